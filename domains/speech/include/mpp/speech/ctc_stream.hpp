#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_search.hpp>
#include <mpp/speech/label_stream.hpp>
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
  double closing_blank = 0.99;           ///< a segment ends at a blank of at least this probability; in (0, 1]
};

/// The charges of a search that also notes when a label was emitted, and of the stream that it runs over.
struct StreamAccounting : Accounting {
  struct Stamp {
    std::uint32_t frame = 0;  ///< modulo 2^32
    void set(std::size_t now) { frame = static_cast<std::uint32_t>(now); }
  };
  using Account = StreamAccount;
};

/// CTC prefix search in sum semantics over a stream of any length, in the memory that it has taken at the start.
///
/// Each row is divided by its sum first. **Committed** is what all live hypotheses begin with: it is handed out and
/// forgotten. When more labels wait than allowed, the oldest ones of the best hypothesis are committed against the
/// others, whose mass is dropped and charged. **A segment is closed** at a frame that is a blank almost for sure: the
/// hypothesis with the most mass there goes on, the others are dropped and charged, and the search begins anew.
///
/// Guarantees, all deterministic and with rounding; docs/speech_stream.md proves them:
/// StreamResult::gap   ln(P(best labelling of all frames) / P(answer)) is not above it. It grows with the stream: hours are
///                     not proven optimal, but the gap stays small beside -ln P where the model is sure.
/// StreamSegment::gap  the same for the labelling of the frames of one segment, *given* that the frames which close this
///                     segment and the one before are blanks. Given all those blanks, segments are independent: if all gaps
///                     are 0, no sequence of segment labellings is more probable than the one handed out. It is not a
///                     statement about labellings of the whole stream, where different cuts of one labelling add up.
/// A label's frame is where its prefix got most of its mass; it is an estimate and part of no guarantee.
template <class Policy = StreamAccounting>
class CtcStreamDecoder {
 public:
  using Options = CtcStreamOptions;
  using Item = StreamLabel;
  using Output = StreamOutput;
  using Result = StreamResult;

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
    reserve_more(output.labels, options_.longest_uncommitted + frames);
    reserve_more(output.segments, frames / options_.shortest_segment + 2);  // the open one, and the rest at the end
  }

  void step(std::span<const float> row, StreamOutput& output) {
    // The largest probability of a row is 0.999 / tokens or more: it is listed, so something is always live.
    frame_.prepare(row, blank_, std::min(1e-4, 0.5 / static_cast<double>(tokens_)));
    frame_.normalise();
    if (search_.frames() == 0)
      first_label_ = log_up(frame_.first_label(), 0) + FrameTokens::normalise_rounding(tokens_);
    search_.step(frame_, everything);
    ++frames_;
    ++longest_;
    const bool closes =
        search_.frames() >= options_.shortest_segment && frame_.blank_probability() >= options_.closing_blank;
    if (closes && most_in_blank() > 0.0F)
      close(output);
    else if (++waiting_ >= options_.commit_interval || longest_ > options_.longest_uncommitted)
      commit(output);
  }

  void uncommitted(std::vector<StreamLabel>& labels) const { (void)read(search_.live().front().node, 0, labels); }

  StreamResult finish(StreamOutput& output) {
    const std::uint32_t answer = search_.live().front().node;
    const LogInterval kept = mass_interval(mass_of(search_.live().front()));
    const double charged = static_cast<double>(search_.trie().sum_chains()[answer]);
    const double chain =
        log_add_up(mass_interval(largest_chain(search_, mass_of)).upper, charge_up(largest_charge(search_)));
    const LogInterval p =
        account_.answer({kept.lower, log_add_up(kept.upper, charge_up(charged))}, chain, first_label_);
    const Certificate open = certify_segment(1.0, answer, kept.lower);
    const Certificate others = account_.others(open, chain, first_label_);
    hand_out(answer, output);
    if (search_.frames() > 0) add_segment(gap_above(open.best(), kept.lower), 1.0, output);
    return {frames_, labels_, segments_, forced_, p.lower, p.upper, others, gap_above(others.best(), p.lower)};
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
    expects<ValueError>(o.closing_blank > 0.0 && o.closing_blank <= 1.0, "CtcStream: closing_blank is ",
                        o.closing_blank, ", expected in (0, 1]");
    expects<ValueError>(o.commit_interval >= 1 && o.shortest_segment >= 1, "CtcStream: commit_interval is ",
                        o.commit_interval, ", shortest_segment ", o.shortest_segment, ", expected at least 1 each");
    return o;
  }
  static SearchLimits limits(const Options& o) { return {o.live_cap, o.node_capacity, o.relative_threshold}; }

  // Of any mass of the open segment: the search's own, and what is left of a row's sum after the division by it.
  double row_rounding() const {
    return static_cast<double>(search_.frames()) * FrameTokens::normalise_rounding(tokens_);
  }
  double rounding() const { return search_rounding(search_.frames()) + row_rounding(); }

  LogInterval mass_interval(double mass) const {
    return {log_down(mass, search_.exponent()) - rounding(), log_up(mass, search_.exponent()) + rounding()};
  }
  double charge_up(double charge) const { return log_up(charge, search_.unit()) + rounding(); }

  Certificate certify_segment(double total, std::uint32_t answer, double answer_lower) {
    const double up = total * std::exp(row_rounding()) * (1.0 + 0x1p-40);
    Certificate c = certify(search_, up, Scaled::up(up), answer, answer_lower);
    c.mass += row_rounding();
    c.chains += row_rounding();
    return c;
  }

  static bool less_in_blank(const Hypothesis& a, const Hypothesis& b) { return a.blank_mass < b.blank_mass; }
  float most_in_blank() const { return std::ranges::max_element(search_.live(), less_in_blank)->blank_mass; }

  void close(StreamOutput& output) {
    const auto in_blank = [](const Hypothesis& h) { return static_cast<double>(h.blank_mass); };
    const auto in_label = [](const Hypothesis& h) { return static_cast<double>(h.label_mass); };
    ClosedSegment closed;
    closed.blank_chain = mass_interval(largest_chain(search_, in_blank)).upper;
    closed.other_chain =
        log_add_up(mass_interval(largest_chain(search_, in_label)).upper, charge_up(largest_charge(search_)));

    search_.drop_label_masses(everything);
    const Hypothesis& best = *std::ranges::max_element(search_.live(), less_in_blank);
    const std::uint32_t answer = best.node;
    closed.kept = mass_interval(in_blank(best));
    const double blank = frame_.blank_probability();
    const double gap = gap_above(certify_segment(blank, answer, closed.kept.lower).best(), closed.kept.lower);
    search_.drop_unless([answer](const Hypothesis& h) { return h.node == answer; }, everything);

    hand_out(answer, output);
    search_.commit(answer);
    closed.outside = charge_up(static_cast<double>(search_.trie().outside()));
    closed.through = charge_up(search_.trie().largest_charge());
    account_.close(closed, first_label_);
    add_segment(gap, blank, output);
    search_.start();
    first_label_ = -std::numeric_limits<double>::infinity();
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
  // `behind`: how many frames after those of the best hypothesis's labels have to stay free.
  std::uint64_t read(std::uint32_t last, std::size_t behind, std::vector<StreamLabel>& labels) const {
    const auto& trie = search_.trie();
    const auto first = static_cast<std::ptrdiff_t>(labels.size());
    const auto now = static_cast<std::uint32_t>(search_.frames() - 1);
    std::uint64_t limit = frames_ - behind;
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
    // Each live hypothesis may win yet: the frames after a label have to hold all that the longest has behind it.
    const std::size_t behind = longest_live() - search_.trie().depth(search_.live().front().node);
    free_frame_ = read(last, behind, output.labels);
    labels_ += output.labels.size();
  }

  Options options_;
  std::size_t tokens_, blank_;
  BasicCtcSearch<Policy> search_;
  FrameTokens frame_;
  typename Policy::Account account_;
  std::uint64_t frames_ = 0, labels_ = 0, segments_ = 0, forced_ = 0;
  std::uint64_t segment_label_ = 0;  ///< labels before the open segment
  std::uint64_t free_frame_ = 0;     ///< first frame after the last label that was handed out
  /// ln of the largest probability of a label at the first frame of the open segment
  double first_label_ = -std::numeric_limits<double>::infinity();
  std::size_t longest_ = 0;  ///< no live hypothesis has more uncommitted labels
  std::size_t waiting_ = 0;  ///< frames since the last look at what is shared
};

using CtcStream = Stream<CtcStreamDecoder<>>;

}  // namespace mpp::speech
