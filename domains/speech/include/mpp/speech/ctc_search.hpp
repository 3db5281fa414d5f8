#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <span>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/frame_tokens.hpp>
#include <mpp/speech/prefix_trie.hpp>

namespace mpp::speech {

/// A prefix with the mass of the paths that collapse to it, split by whether their last token is the blank.
struct Hypothesis {
  float blank_mass, label_mass;  ///< times 2^exponent() of the search
  std::uint32_t node;            ///< of the prefix trie
  float dropped;                 ///< largest mass of an extension that this frame dropped; then `below` before that
};
static_assert(sizeof(Hypothesis) == 16);

inline constexpr std::size_t most_live = std::size_t{1} << 24;

struct SearchLimits {
  std::size_t live_cap = 2;         ///< hypotheses kept after each frame, in [1, most_live]
  std::size_t node_capacity = 64;   ///< of the prefix trie, >= frames + 2
  double relative_threshold = 0.0;  ///< drop what is below this share of the best hypothesis; in [0, 1)
};

/// CTC prefix search with merged prefixes, frame after frame, that accounts for every mass it drops.
///
/// Masses are linear floats that share one power of two. Whatever is not carried on - beyond the cap, below a threshold,
/// too small for a float - is charged, times the caller's bound on what the frames after it can still contribute, to its
/// prefix (certificate S3, docs/speech.md). Ties: larger mass, then the node that was there first, then the smaller label.
/// All memory is taken by the constructor; bytes() says how much.
template <class Policy = Accounting>
class BasicCtcSearch {
 public:
  BasicCtcSearch(std::pmr::memory_resource* memory, std::size_t tokens, const SearchLimits& limits)
      : limits_(checked(limits)), trie_(memory, limits.node_capacity), live_(memory), next_(memory),
        candidates_(memory), seen_(memory) {
    live_.reserve(limits.live_cap);
    next_.reserve(limits.live_cap);
    candidates_.reserve(2 * limits.live_cap);
    seen_.assign(tokens, 0);
  }

  static Bytes bytes(std::size_t tokens, const SearchLimits& limits) {
    return PrefixTrie<Policy>::bytes(limits.node_capacity) + bytes_of<Hypothesis>(2 * limits.live_cap) +
           bytes_of<Candidate>(2 * limits.live_cap) + bytes_of<std::uint32_t>(tokens);
  }

  /// Begins anew with the empty prefix, mass 1. Charges are kept in units of 2^unit.
  /// @param last   label that the frame before ended in (a repetition of it emits nothing), no_index for the blank
  /// @param floor  in units: a hypothesis that can contribute less to any labelling is dropped, below the cap too
  void start(std::uint32_t last = no_index, std::int64_t unit = 0, double floor = 0.0) {
    trie_.clear(last);
    live_.clear();
    live_.push_back(last == no_index ? Hypothesis{1.0F, 0.0F, 0, 0.0F} : Hypothesis{0.0F, 1.0F, 0, 0.0F});
    trie_.slot(0) = 0;
    exponent_ = 0;
    unit_ = unit;
    floor_ = floor;
    frames_ = live_sum_ = 0;
    live_max_ = 1;
  }

  /// @param after  not below the largest mass that any labelling of the frames after this one has, whatever token this
  ///               frame ends in
  void step(const FrameTokens& frame, const Scaled& after) {
    charge_ = after.times_power(exponent_ - unit_);
    candidates_.clear();
    cutoff_ = static_cast<float>(limits_.relative_threshold * frame.most());
    if (floor_ > 0.0 && charge_ > 0.0) cutoff_ = std::max(cutoff_, static_cast<float>(std::min(floor_ / charge_, 1.0)));
    next_.resize(live_.size());
    for (std::uint32_t i = 0; i < live_.size(); ++i) stay(frame, i);
    for (std::uint32_t i = 0; i < live_.size(); ++i) extend(frame, i);
    select();
    charge_extensions();
    make_room();
    settle();
    ++frames_;
    live_sum_ += live_.size();
    live_max_ = std::max(live_max_, live_.size());
  }

  /// Deepest prefix that all live hypotheses begin with.
  std::uint32_t shared() const {
    std::uint32_t node = live_.front().node;
    for (std::size_t i = 1; i < live_.size() && node != 0; ++i) node = trie_.shared(node, live_[i].node);
    return node;
  }

  /// Drops the live hypotheses of which keep(h) is false, and charges them; all, or the first is kept. `after` as in step().
  template <class Keep>
  void drop_unless(const Keep& keep, const Scaled& after) {
    charge_ = after.times_power(exponent_ - unit_);
    std::size_t kept = 0;
    for (const Hypothesis& h : live_) {
      trie_.slot(h.node) = no_index;
      if (keep(h))
        live_[kept++] = h;
      else
        charge(h.node, Policy::told(static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass)));
    }
    live_.resize(kept);
    number_live();
  }

  /// Drops what does not end in the blank, and charges it.
  void drop_label_masses(const Scaled& after) {
    charge_ = after.times_power(exponent_ - unit_);
    for (Hypothesis& h : live_) {
      charge(h.node, Policy::told(static_cast<double>(h.label_mass)));
      h.label_mass = 0.0F;
    }
  }

  /// Makes `root`, with which all live hypotheses begin, node 0 of the trie and forgets what does not begin with it.
  void commit(std::uint32_t root) {
    for (const Hypothesis& h : live_) trie_.slot(h.node) = no_index;
    trie_.keep_below(root);
    for (Hypothesis& h : live_) h.node = trie_.moved(h.node);
    trie_.end_collect();
    number_live();
  }

  std::span<const Hypothesis> live() const { return {live_.data(), live_.size()}; }  ///< best first
  std::int64_t exponent() const { return exponent_; }
  std::int64_t unit() const { return unit_; }
  std::size_t frames() const { return frames_; }  ///< since start()
  std::size_t live_max() const { return live_max_; }
  double live_mean() const {
    return frames_ == 0 ? 1.0 : static_cast<double>(live_sum_) / static_cast<double>(frames_);
  }
  PrefixTrie<Policy>& trie() { return trie_; }
  const PrefixTrie<Policy>& trie() const { return trie_; }

 private:
  static constexpr double tiny = 0x1p-96;  // masses below it would leave the normal floats: dropped, not kept
  static constexpr std::uint32_t stays = no_index;
  static constexpr std::uint32_t known = 0x80000000U;  // `what` is a node that is not live, else a label without a node

  struct Candidate {
    float mass;
    std::uint32_t source;  // index into live_
    std::uint32_t what;
  };

  static const SearchLimits& checked(const SearchLimits& limits) {
    expects<ValueError>(limits.live_cap >= 1 && limits.live_cap <= most_live, "CtcSearch: live_cap is ",
                        limits.live_cap, ", expected in [1, ", most_live, "]");
    expects<ShapeError>(limits.node_capacity < known - 1, "CtcSearch: node_capacity is ", limits.node_capacity,
                        ", expected below ", known - 1, "; use a smaller live cap");
    return limits;
  }
  static bool is_new(const Candidate& c) { return c.what < known; }
  std::uint32_t node_of(const Candidate& c) const { return c.what == stays ? live_[c.source].node : c.what & ~known; }
  bool before(const Candidate& a, const Candidate& b) const {
    if (a.mass != b.mass) return a.mass > b.mass;
    if (is_new(a) != is_new(b)) return is_new(b);
    if (!is_new(a)) return node_of(a) < node_of(b);
    if (a.source != b.source) return live_[a.source].node < live_[b.source].node;
    return a.what < b.what;
  }

  float keep_or_charge(double mass, std::uint32_t node) {
    if (mass >= tiny) return static_cast<float>(mass);
    charge(node, mass);
    return 0.0F;
  }

  // The same prefix one frame on: the blank, the last label again, or the parent's emission of it.
  void stay(const FrameTokens& frame, std::uint32_t i) {
    Hypothesis& h = live_[i];
    h.dropped = 0.0F;
    const std::uint32_t label = trie_.label(h.node);
    const double total = static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
    double emitted = 0.0;
    if (label != no_index) {
      emitted = frame.probability(label) * static_cast<double>(h.label_mass);
      const double carried = frame.blank_probability() * total + emitted;
      const std::uint32_t parent = trie_.parent(h.node);
      const std::uint32_t slot = parent == no_index ? no_index : trie_.slot(parent);
      if (slot != no_index) {
        const double entering = extension(frame, live_[slot], trie_.label(parent), label);
        emitted += entering;
        if (entering > carried) trie_.stamp(h.node).set(frames_);
      }
    }
    next_[i] = {keep_or_charge(frame.blank_probability() * total, h.node), keep_or_charge(emitted, h.node), h.node,
                0.0F};
    offer(static_cast<double>(next_[i].blank_mass) + static_cast<double>(next_[i].label_mass), {0.0F, i, stays});
  }

  static double extension(const FrameTokens& frame, const Hypothesis& h, std::uint32_t last, std::uint32_t label) {
    const double from = label == last ? static_cast<double>(h.blank_mass)
                                      : static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
    return frame.probability(label) * from;
  }

  // One more label. Children that are live have taken their part in stay().
  void extend(const FrameTokens& frame, std::uint32_t i) {
    Hypothesis& h = live_[i];
    const std::uint32_t last = trie_.label(h.node);
    if (++stamp_ == 0) {
      std::fill(seen_.begin(), seen_.end(), 0U);
      stamp_ = 1;
    }
    for (std::uint32_t c = trie_.first_child(h.node); c != no_index; c = trie_.next_sibling(c)) {
      const std::uint32_t label = trie_.label(c);
      seen_[label] = stamp_;
      if (trie_.slot(c) == no_index) offer(extension(frame, h, last, label), {0.0F, i, c | known});
    }
    if (last != no_index && seen_[last] != stamp_) {
      offer(extension(frame, h, last, last), {0.0F, i, last});
      seen_[last] = stamp_;
    }
    const double total = static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
    for (const std::uint32_t label : frame.labels()) {
      if (seen_[label] == stamp_) continue;
      const double mass = frame.probability(label) * total;
      offer(mass, {0.0F, i, label});
      if (Policy::charged(mass, cutoff_) || mass < tiny) return;  // later labels and the rest have less
    }
    if (frame.rest() > 0.0) drop_extension(h, frame.rest() * total);
  }

  void drop_extension(Hypothesis& h, double mass) { h.dropped = std::max(h.dropped, float_above(mass)); }

  void offer(double mass, Candidate candidate) {
    candidate.mass = static_cast<float>(mass);
    if (mass < tiny || candidate.mass < cutoff_) return drop(mass, candidate);
    if (candidates_.size() == 2 * limits_.live_cap) shrink();
    candidates_.push_back(candidate);
  }

  void drop(double mass, const Candidate& candidate) {
    if (is_new(candidate))
      drop_extension(live_[candidate.source], mass);
    else
      charge(node_of(candidate), mass);
  }

  void charge(std::uint32_t node, double mass) {
    if (mass > 0.0) trie_.charge_own(node, mass * charge_);  // charge_ may be infinite
  }

  void drop_from(std::size_t first) {
    for (std::size_t c = first; c < candidates_.size(); ++c)
      drop(static_cast<double>(candidates_[c].mass), candidates_[c]);
    candidates_.resize(std::min(first, candidates_.size()));
  }

  void shrink() {
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(limits_.live_cap) - 1;
    std::nth_element(candidates_.begin(), last, candidates_.end(),
                     [this](const Candidate& a, const Candidate& b) { return before(a, b); });
    cutoff_ = std::max(cutoff_, last->mass);
    drop_from(limits_.live_cap);
  }

  void select() {
    if (candidates_.size() > limits_.live_cap) shrink();
    std::sort(candidates_.begin(), candidates_.end(),
              [this](const Candidate& a, const Candidate& b) { return before(a, b); });
    for (const Hypothesis& h : live_) trie_.slot(h.node) = no_index;
  }

  // One labelling passes through one child at most, so a frame charges its largest dropped extension, not their sum.
  void charge_extensions() {
    for (Hypothesis& h : live_) {
      const float before_this_frame = trie_.below(h.node);
      if (h.dropped > 0.0F) trie_.charge_below(h.node, static_cast<double>(h.dropped) * charge_);
      h.dropped = before_this_frame;
    }
  }

  // Ends after at most log2(live_cap) rounds: one hypothesis and its ancestors need frames + 2 nodes at most.
  void make_room() {
    for (bool first = true;; first = false) {
      const auto added = static_cast<std::size_t>(std::count_if(candidates_.begin(), candidates_.end(), is_new));
      if (added <= trie_.room()) return;
      if (!first) drop_late(std::max<std::size_t>(1, candidates_.size() / 2));
      for (const Candidate& c : candidates_) trie_.keep(is_new(c) ? live_[c.source].node : node_of(c));
      trie_.collect();
      for (Candidate& c : candidates_)
        if (!is_new(c) && c.what != stays) c.what = trie_.moved(c.what & ~known) | known;
      for (std::size_t i = 0; i < live_.size(); ++i)  // no_index: of no further use
        if (live_[i].node != no_index) next_[i].node = live_[i].node = trie_.moved(live_[i].node);
      trie_.end_collect();
    }
  }

  // After the extensions of the frame have been charged, each one that is dropped adds to `below` by itself.
  void drop_late(std::size_t first) {
    for (std::size_t c = first; c < candidates_.size(); ++c) {
      const double mass = static_cast<double>(candidates_[c].mass) * charge_;
      if (is_new(candidates_[c]))
        trie_.charge_below(live_[candidates_[c].source].node, mass);
      else
        trie_.charge_own(node_of(candidates_[c]), mass);
    }
    candidates_.resize(std::min(first, candidates_.size()));
  }

  void number_live() {
    for (std::size_t i = 0; i < live_.size(); ++i) trie_.slot(live_[i].node) = static_cast<std::uint32_t>(i);
  }

  void settle() {
    for (Candidate& c : candidates_)
      if (is_new(c)) c.what = trie_.add(live_[c.source].node, c.what, live_[c.source].dropped) | known;
    live_.resize(candidates_.size());
    double most = 0.0;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& c = candidates_[i];
      live_[i] = c.what == stays ? next_[c.source] : Hypothesis{0.0F, c.mass, c.what & ~known, 0.0F};
      if (c.what != stays) trie_.stamp(live_[i].node).set(frames_);
      trie_.slot(live_[i].node) = static_cast<std::uint32_t>(i);
      most = std::max(most, static_cast<double>(live_[i].blank_mass) + static_cast<double>(live_[i].label_mass));
    }
    if (most == 0.0) return;
    const int shift = std::ilogb(most);
    for (Hypothesis& h : live_) {
      h.blank_mass = std::scalbn(h.blank_mass, -shift);
      h.label_mass = std::scalbn(h.label_mass, -shift);
    }
    exponent_ += shift;
  }

  SearchLimits limits_;
  PrefixTrie<Policy> trie_;
  Buffer<Hypothesis> live_, next_;
  Buffer<Candidate> candidates_;
  std::pmr::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
  double charge_ = 0.0, floor_ = 0.0;
  float cutoff_ = 0.0F;
  std::int64_t exponent_ = 0, unit_ = 0;
  std::size_t frames_ = 0, live_sum_ = 0, live_max_ = 1;
};

using CtcSearch = BasicCtcSearch<>;

}  // namespace mpp::speech
