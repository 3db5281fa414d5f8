#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <type_traits>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/rounding.hpp>

namespace mpp::speech {

inline constexpr std::uint32_t no_index = std::numeric_limits<std::uint32_t>::max();

/// The decisions on which the charges of a search rest; tests replace them by broken ones.
struct Accounting {
  /// When the label of a node was emitted: kept by streams only.
  struct Stamp {
    void set(std::size_t) {}
  };
  /// What forgetting a branch leaves behind: its largest chain of charges, for every child that the parent may get later.
  static void fold(float& below, float chain) { below = std::max(below, chain); }
  /// Whether an extension of this mass is charged for sure, so that smaller ones need no charge of their own. Compared as
  /// floats, like candidates are: one that rounds up to the cutoff may be kept, and then nothing stands for the others.
  static bool charged(double mass, float cutoff) { return static_cast<float>(mass) < cutoff; }
  /// The part of a live hypothesis' mass that counts as dropped when the search is told to drop it: all of it.
  static double told(double mass) { return mass; }
};

/// The prefixes that the search knows, with what has been dropped at each of them (certificate S3, docs/speech.md).
///
/// Node 0 is the empty prefix; a child's number is larger than its parent's. Each prefix has at most one node, so merging
/// needs no hashing. The arena holds `capacity` nodes and never grows: collect() forgets branches that nobody needs, and
/// moves what they were charged into their parent, where it counts for every child to come: looser, never too low.
///
/// own    charged to all labellings that begin with this prefix
/// below  charged to all labellings that begin with this prefix and go on with a label for which there is no node;
///        a node made later starts with it as its `own`
/// outside  charged to no labelling that begins with node 0, and not less than what any other was charged
template <class Policy = Accounting>
class PrefixTrie {
 public:
  PrefixTrie(std::pmr::memory_resource* memory, std::size_t capacity) : labels_(memory), books_(memory), sums_(memory) {
    labels_.reserve(capacity);
    books_.reserve(capacity);
    sums_.resize(capacity);
    capacity_ = capacity;
  }

  static Bytes bytes(std::size_t capacity) {
    return bytes_of<PrefixLabel>(capacity) + bytes_of<Books>(capacity) + bytes_of<float>(capacity);
  }

  /// Only the empty prefix, which ends in `label` (no_index: in nothing).
  void clear(std::uint32_t label) {
    labels_.clear();
    books_.clear();
    outside_ = 0.0F;
    append(no_index, label, 0.0F);
  }

  std::size_t size() const { return labels_.size(); }
  std::size_t room() const { return capacity_ - labels_.size(); }
  std::uint32_t parent(std::uint32_t node) const { return labels_[node].parent; }
  std::uint32_t label(std::uint32_t node) const { return labels_[node].label; }
  std::uint32_t first_child(std::uint32_t node) const { return books_[node].first_child; }
  std::uint32_t next_sibling(std::uint32_t node) const { return books_[node].next_sibling; }
  float own(std::uint32_t node) const { return books_[node].own; }
  float below(std::uint32_t node) const { return books_[node].below; }
  float outside() const { return outside_; }
  typename Policy::Stamp& stamp(std::uint32_t node) { return books_[node].stamp; }
  const typename Policy::Stamp& stamp(std::uint32_t node) const { return books_[node].stamp; }
  /// Place of the node in the list of live hypotheses, no_index if it is not there. Kept by the search.
  std::uint32_t& slot(std::uint32_t node) { return books_[node].slot; }
  std::uint32_t slot(std::uint32_t node) const { return books_[node].slot; }

  void charge_own(std::uint32_t node, double mass) { books_[node].own = add_up(books_[node].own, mass); }
  void charge_below(std::uint32_t node, double mass) { books_[node].below = add_up(books_[node].below, mass); }

  /// room() >= 1; the parent has no such child. `own` is what `below` of the parent was before this frame was charged.
  std::uint32_t add(std::uint32_t parent, std::uint32_t label, float own) {
    const std::uint32_t node = append(parent, label, own);
    books_[node].next_sibling = books_[parent].first_child;
    books_[parent].first_child = node;
    return node;
  }

  /// Call for every node to be kept, then collect(). Uses slot: every slot must be no_index before.
  void keep(std::uint32_t node) {
    for (; node != no_index && books_[node].slot == no_index; node = labels_[node].parent) books_[node].slot = 0;
  }
  /// Forgets all nodes but those kept and their ancestors. moved(node) is a kept node's new number until end_collect().
  void collect() {
    keep(0);
    for (std::uint32_t n = count(); n-- > 1;)
      if (books_[n].slot == no_index)
        Policy::fold(books_[labels_[n].parent].below, add_up(books_[n].own, static_cast<double>(books_[n].below)));
    std::uint32_t next = 0;
    for (std::uint32_t n = 0; n < count(); ++n)
      if (books_[n].slot != no_index) books_[n].slot = next++;
    kept_ = next;
  }
  /// Makes `root` node 0 and forgets all nodes that do not begin with it; then moved() and end_collect() as above.
  void keep_below(std::uint32_t root) {
    const float* const chains = sum_chains();
    kept_ = 0;
    for (std::uint32_t n = 0; n < count(); ++n) {
      if (n == root || (n > root && books_[labels_[n].parent].slot != no_index))
        books_[n].slot = kept_++;
      else
        Policy::fold(outside_, add_up(chains[n], static_cast<double>(books_[n].below)));
    }
    books_[root].own = chains[root];
    labels_[root].parent = no_index;
  }
  std::uint32_t moved(std::uint32_t node) const { return books_[node].slot; }
  void end_collect() {
    for (std::uint32_t n = 0; n < count(); ++n) {
      const std::uint32_t to = books_[n].slot;
      if (to == no_index) continue;
      // Parents come first: labels_[parent] of a kept node has been moved already, its number read before that.
      const std::uint32_t up = labels_[n].parent == no_index ? no_index : sums_index(labels_[n].parent);
      set_sums_index(n, to);
      labels_[to] = {up, labels_[n].label};
      books_[to] = {books_[n].own, books_[n].below, no_index, no_index, no_index, books_[n].stamp};
    }
    labels_.resize(kept_);
    books_.resize(kept_);
    for (std::uint32_t n = 1; n < kept_; ++n) {
      books_[n].next_sibling = books_[labels_[n].parent].first_child;
      books_[labels_[n].parent].first_child = n;
    }
  }

  /// Deepest node that `a` and `b` both begin with.
  std::uint32_t shared(std::uint32_t a, std::uint32_t b) const {
    while (a != b) (a > b ? a : b) = labels_[std::max(a, b)].parent;
    return a;
  }
  std::size_t depth(std::uint32_t node) const {
    std::size_t labels = 0;
    for (; labels_[node].parent != no_index; node = labels_[node].parent) ++labels;
    return labels;
  }

  /// Sum of own over the node and its ancestors, for every node; rounded up. Valid until the trie changes.
  const float* sum_chains() {
    sums_[0] = books_[0].own;
    for (std::uint32_t n = 1; n < count(); ++n)
      sums_[n] = add_up(sums_[labels_[n].parent], static_cast<double>(books_[n].own));
    return sums_.data();
  }
  /// The most that a labelling which begins with node 0 has been charged; as a sum of two floats, within 2^-53 of itself.
  double largest_charge() {
    const float* const chains = sum_chains();
    double most = 0.0;
    for (std::uint32_t n = 0; n < count(); ++n)
      most = std::max(most, static_cast<double>(chains[n]) + static_cast<double>(books_[n].below));
    return most;
  }

 private:
  struct PrefixLabel {
    std::uint32_t parent, label;
  };
  struct Books {
    float own, below;
    std::uint32_t first_child, next_sibling, slot;
    [[no_unique_address]] typename Policy::Stamp stamp;
  };
  static_assert(sizeof(PrefixLabel) == 8);
  static_assert(sizeof(Books) == 20 || !std::is_empty_v<typename Policy::Stamp>);

  std::uint32_t count() const { return static_cast<std::uint32_t>(labels_.size()); }
  std::uint32_t append(std::uint32_t parent, std::uint32_t label, float own) {
    labels_.push_back({parent, label});
    books_.push_back({own, 0.0F, no_index, no_index, no_index, {}});
    return count() - 1;
  }
  // The sums are not in use while collecting: they hold the new numbers.
  std::uint32_t sums_index(std::uint32_t n) const { return std::bit_cast<std::uint32_t>(sums_[n]); }
  void set_sums_index(std::uint32_t n, std::uint32_t to) { sums_[n] = std::bit_cast<float>(to); }

  Buffer<PrefixLabel> labels_;
  Buffer<Books> books_;
  Buffer<float> sums_;
  std::size_t capacity_ = 0;
  std::uint32_t kept_ = 0;
  float outside_ = 0.0F;
};

}  // namespace mpp::speech
