#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_search.hpp>
#include <mpp/speech/stream.hpp>
#include <mpp/speech/stream_account.hpp>

namespace mpp::speech {

struct CtcStreamOptions {
  std::size_t live_cap = 16;             ///< hypotheses kept after each frame
  std::size_t node_capacity = 512;       ///< of the prefix trie, >= longest_uncommitted + 2; 16 a hypothesis are plenty
  std::size_t longest_uncommitted = 64;  ///< labels, >= 1; when more wait, the oldest ones of the best are committed
  double relative_threshold = 1e-6;      ///< drop what is below this share of the best hypothesis; in [0, 1/4]
  std::size_t commit_interval = 8;       ///< frames between looks at what all live hypotheses share, >= 1
  std::size_t shortest_segment = 100;    ///< frames, >= 1
  double closing_loss = 1e-3;            ///< share of the live mass that closing a segment may drop; in [0, 1/4]
};

/// The charges of a search that also notes when a label was emitted.
struct StreamAccounting : Accounting {
  struct Stamp {
    std::uint32_t frame = 0;  ///< modulo 2^32
    void set(std::size_t now) { frame = static_cast<std::uint32_t>(now); }
  };
};

/// CTC prefix search in sum semantics over a stream of any length, in the memory that it has taken at the start.
///
/// Each row is divided by its sum first. **Committed** is what all live hypotheses begin with: it is handed out and
/// forgotten. When more labels wait than allowed, the oldest ones of the best hypothesis are committed against the
/// others, whose mass is dropped and charged. **A segment is closed** after a frame at which one hypothesis, ending in the
/// blank, holds nearly all of the live mass: the rest is dropped and charged, and the search begins anew.
///
/// Guarantees, all deterministic and with rounding, proofs in docs/speech_stream.md:
/// StreamResult::gap   ln(P(best labelling of all frames) / P(answer)) is not above it. Nothing is known of the frames to
///                     come when mass is dropped, so it grows with the stream: minutes are seldom certified.
/// StreamSegment::gap  the same for the labelling of the frames of one segment, *given* that the frames which close this
///                     segment and the one before are blanks. Given all those blanks, segments are independent: if all gaps
///                     are 0, no sequence of segment labellings is more probable than the one handed out. It is not a
///                     statement about labellings of the whole stream, where different cuts of one labelling add up.
/// A label's frame is where its prefix got most of its mass; it is an estimate and part of no guarantee.
template <class Policy = StreamAccounting>
class CtcStreamDecoder {
 public:
  using Options = CtcStreamOptions;

  CtcStreamDecoder(std::pmr::memory_resource* memory, std::size_t tokens, std::size_t blank, const Options& options)
      : options_(checked(options)), tokens_(tokens), blank_(blank), search_(memory, tokens, limits(options)),
        frame_(memory, tokens) {
    search_.start();
  }

  static Bytes bytes(std::size_t tokens, const Options& options) {
    return BasicCtcSearch<Policy>::bytes(tokens, limits(options)) + FrameTokens::bytes(tokens);
  }
  static void check(const Emissions& chunk, std::uint64_t first_frame) { check_normalised(chunk, first_frame); }

  std::uint64_t frames() const { return frames_; }
  const BasicCtcSearch<Policy>& search() const { return search_; }

  void reserve(StreamOutput& output, std::size_t frames) const {
    grow(output.labels, options_.longest_uncommitted + frames);
    grow(output.segments, (search_.frames() + frames) / options_.shortest_segment + 1);
  }

  void step(std::span<const float> row, StreamOutput& output) {
    // The largest probability of a row is 0.999 / tokens or more: it is listed, so something is always live.
    frame_.prepare(row, blank_, std::min(1e-4, 0.5 / static_cast<double>(tokens_)));
    frame_.normalise();
    search_.step(frame_, everything);
    ++frames_;
    ++longest_;
    if (decided())
      close(output);
    else if (++waiting_ >= options_.commit_interval || longest_ > options_.longest_uncommitted)
      commit(output);
  }

  void uncommitted(std::vector<StreamLabel>& labels) const { (void)read(search_.live().front().node, labels); }

  StreamResult finish(StreamOutput& output) {
    const std::uint32_t answer = search_.live().front().node;
    const LogInterval kept = mass_of_best();
    const double charged = static_cast<double>(search_.trie().sum_chains()[answer]);
    const LogInterval p = account_.answer({kept.lower, log_add_up(kept.upper, log_up(charged, 0) + rounding())});
    const Certificate open = certify_segment(1.0, answer, kept.lower);
    const double gap = gap_above(account_.others(open), p.lower);
    hand_out(answer, output);
    if (search_.frames() > 0) add_segment(gap_above(open.best(), kept.lower), 1.0, output);
    return {frames_, labels_, segments_, forced_, p.lower, p.upper, gap};
  }

 private:
  static constexpr Scaled everything{1.0F,
                                     0};  // no labelling has more of the frames to come, and nothing less is known

  static const Options& checked(const Options& o) {
    expects<ValueError>(o.longest_uncommitted >= 1 && o.longest_uncommitted < most_live,
                        "CtcStream: longest_uncommitted is ", o.longest_uncommitted, ", expected 1 to ", most_live - 1);
    expects<ValueError>(o.node_capacity >= o.longest_uncommitted + 2, "CtcStream: node_capacity is ", o.node_capacity,
                        ", expected at least longest_uncommitted + 2 = ", o.longest_uncommitted + 2);
    expects<ValueError>(o.relative_threshold >= 0.0 && o.relative_threshold <= 0.25,
                        "CtcStream: relative_threshold is ", o.relative_threshold, ", expected in [0, 0.25]");
    expects<ValueError>(o.closing_loss >= 0.0 && o.closing_loss <= 0.25, "CtcStream: closing_loss is ", o.closing_loss,
                        ", expected in [0, 0.25]");
    expects<ValueError>(o.commit_interval >= 1 && o.shortest_segment >= 1, "CtcStream: commit_interval is ",
                        o.commit_interval, ", shortest_segment ", o.shortest_segment, ", expected at least 1 each");
    return o;
  }
  static SearchLimits limits(const Options& o) { return {o.live_cap, o.node_capacity, o.relative_threshold}; }

  template <class T>
  static void grow(std::vector<T>& to, std::size_t more) {
    if (to.capacity() - to.size() < more) to.reserve(std::max(to.size() + more, 2 * to.capacity()));
  }

  // Of any mass of the open segment: the search's own, and what is left of a row's sum after the division by it.
  double row_rounding() const {
    return static_cast<double>(search_.frames()) * FrameTokens::normalise_rounding(tokens_);
  }
  double rounding() const { return search_rounding(search_.frames()) + row_rounding(); }

  LogInterval mass_of_best() const {
    const Hypothesis& best = search_.live().front();
    const double mass = static_cast<double>(best.blank_mass) + static_cast<double>(best.label_mass);
    return {log_down(mass, search_.exponent()) - rounding(), log_up(mass, search_.exponent()) + rounding()};
  }

  Certificate certify_segment(double total, std::uint32_t answer, double answer_lower) {
    const double up = total * std::exp(row_rounding()) * (1.0 + 0x1p-40);
    Certificate c = certify(search_, up, Scaled::up(up), answer, answer_lower);
    c.mass += row_rounding();
    c.chains += row_rounding();
    return c;
  }

  bool decided() const {
    if (search_.frames() < options_.shortest_segment) return false;
    double total = 0.0;
    for (const Hypothesis& h : search_.live())
      total += static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
    return static_cast<double>(search_.live().front().blank_mass) >= (1.0 - options_.closing_loss) * total;
  }

  void close(StreamOutput& output) {
    const double blank = frame_.blank_probability();
    const std::uint32_t answer = search_.live().front().node;
    search_.drop_label_masses(everything);
    const LogInterval kept = mass_of_best();
    const double gap = gap_above(certify_segment(blank, answer, kept.lower).best(), kept.lower);
    search_.drop_unless([best = &search_.live().front()](const Hypothesis& h) { return &h == best; }, everything);
    hand_out(answer, output);
    search_.commit(answer);
    auto& trie = search_.trie();
    const float* const chains = trie.sum_chains();
    double through = 0.0;
    for (std::uint32_t n = 0; n < trie.size(); ++n)
      through = std::max(through, static_cast<double>(chains[n]) + static_cast<double>(trie.below(n)));
    account_.close(kept, log_up(through, 0) + rounding(), log_up(static_cast<double>(trie.outside()), 0) + rounding());
    add_segment(gap, blank, output);
    search_.start();
    longest_ = waiting_ = 0;
  }

  void add_segment(double gap, double blank, StreamOutput& output) {
    output.segments.push_back({frames_ - search_.frames(), frames_, labels_ - segment_label_, gap, blank});
    segment_label_ = labels_;
    ++segments_;
  }

  std::size_t longest_live() const {
    std::size_t longest = 0;
    for (const Hypothesis& h : search_.live()) longest = std::max(longest, search_.trie().depth(h.node));
    return longest;
  }

  void commit(StreamOutput& output) {
    std::uint32_t root = search_.shared();
    const auto& trie = search_.trie();
    const std::size_t longest = longest_live();
    if (longest > trie.depth(root) + options_.longest_uncommitted) {
      const std::size_t excess = longest - options_.longest_uncommitted;
      root = search_.live().front().node;
      for (std::size_t depth = trie.depth(root); depth > excess; --depth) root = trie.parent(root);
      const std::size_t allowed = trie.depth(root) + options_.longest_uncommitted;
      search_.drop_unless(
          [&](const Hypothesis& h) { return trie.shared(h.node, root) == root && trie.depth(h.node) <= allowed; },
          everything);
      root = search_.shared();
      ++forced_;
    }
    if (root != 0) {
      hand_out(root, output);
      search_.commit(root);
    }
    longest_ = longest_live();
    waiting_ = 0;
  }

  // Appends the labels of the best hypothesis down to `last`, which is on its way. Each was emitted before the next one.
  // Returns the first frame that is free for a label after them.
  std::uint64_t read(std::uint32_t last, std::vector<StreamLabel>& labels) const {
    const auto& trie = search_.trie();
    const auto first = static_cast<std::ptrdiff_t>(labels.size());
    const auto now = static_cast<std::uint32_t>(search_.frames() - 1);
    std::uint64_t limit = frames_;
    for (std::uint32_t n = search_.live().front().node; trie.parent(n) != no_index; n = trie.parent(n)) {
      // The difference modulo 2^32 is right for labels that have waited for fewer frames than that.
      const auto age = static_cast<std::uint32_t>(now - trie.stamp(n).frame);
      limit = std::min(limit - 1, frames_ - 1 - age);
      if (n <= last) labels.push_back({limit, trie.label(n)});
    }
    std::reverse(labels.begin() + first, labels.end());
    std::uint64_t free = free_frame_;
    for (auto label = labels.begin() + first; label != labels.end(); ++label) {
      label->frame = std::max(label->frame, free);
      free = label->frame + 1;
    }
    return free;
  }

  void hand_out(std::uint32_t last, StreamOutput& output) {
    labels_ -= output.labels.size();
    free_frame_ = read(last, output.labels);
    labels_ += output.labels.size();
  }

  Options options_;
  std::size_t tokens_, blank_;
  BasicCtcSearch<Policy> search_;
  FrameTokens frame_;
  StreamAccount account_;
  std::uint64_t frames_ = 0, labels_ = 0, segments_ = 0, forced_ = 0;
  std::uint64_t segment_label_ = 0;  ///< labels before the open segment
  std::uint64_t free_frame_ = 0;     ///< first frame after the last label that was handed out
  std::size_t longest_ = 0;          ///< no live hypothesis has more uncommitted labels
  std::size_t waiting_ = 0;          ///< frames since the last look at what is shared
};

using CtcStream = Stream<CtcStreamDecoder<>>;

}  // namespace mpp::speech
