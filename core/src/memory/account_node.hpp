#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <mpp/core/memory/denial.hpp>
#include <mpp/core/memory/footprint.hpp>

namespace mpp::detail {

/// Bytes of one account in one memory space. A cache line each, so that two spaces never contend.
///
/// Memory order: giving back is a release and adding an acquire on the same counter, so whatever an owner did to its
/// memory before it returned the bytes happens before the next owner is granted them.
struct alignas(64) SpaceCounters {
  std::uint64_t limit = 0;                  // fixed when the account is opened
  std::atomic<std::uint64_t> committed{0};  // here and below; never above limit
  std::atomic<std::uint64_t> peak{0};       // of committed
  std::atomic<std::uint64_t> used{0};       // by reservations of this very account; readers sum over the subtree,
  std::atomic<std::uint64_t> retiring{0};   // because these change with every allocation and are rarely read
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  std::uint64_t room() const noexcept { return limit - committed.load(std::memory_order_relaxed); }

  /// Adds if the sum stays within the limit. @return the sum; or nothing, then `available` is the room it found.
  std::optional<std::uint64_t> try_add(std::uint64_t bytes, std::uint64_t& available) noexcept {
    std::uint64_t seen = committed.load(std::memory_order_relaxed);
    do {
      available = limit - seen;
      if (bytes > available) return std::nullopt;
    } while (
        !committed.compare_exchange_weak(seen, seen + bytes, std::memory_order_acquire, std::memory_order_relaxed));
    return seen + bytes;
  }

  void subtract(std::uint64_t bytes) noexcept { committed.fetch_sub(bytes, std::memory_order_release); }

  void raise_peak(std::uint64_t sum) noexcept {
    std::uint64_t seen = peak.load(std::memory_order_relaxed);
    while (seen < sum && !peak.compare_exchange_weak(seen, sum, std::memory_order_relaxed)) {
    }
  }
};

/// One account. Nodes never move and are freed with the ledger. Everything but the counters and `next` is fixed
/// before the node is published, so that readers need no lock.
struct AccountNode {
  AccountNode(AccountNode* parent_account, const Footprint& limit) noexcept
      : parent(parent_account), depth(parent == nullptr ? 1 : parent->depth + 1) {
    for (const MemorySpace space : memory_spaces) (*this)[space].limit = limit[space].count;
  }

  SpaceCounters& operator[](MemorySpace space) noexcept { return spaces[static_cast<std::size_t>(space)]; }

  /// One value per space, for example `node.read(&SpaceCounters::peak)`.
  template <class Value>
  Footprint read(Value SpaceCounters::*counter) const noexcept {
    Footprint values;
    for (std::size_t i = 0; i < spaces.size(); ++i) values.per_space[i] = Bytes{spaces[i].*counter};
    return values;
  }

  bool under(const AccountNode& ancestor) const noexcept {
    const AccountNode* node = this;
    while (node->depth > ancestor.depth) node = node->parent;
    return node == &ancestor;
  }

  std::array<SpaceCounters, memory_spaces.size()> spaces;
  AccountNode* const parent;
  const std::size_t depth;  // the root's is 1
  std::size_t index = 0;    // in opening order
  std::string_view path;
  std::atomic<AccountNode*> next{nullptr};  // in opening order: parents come before their children
};

/// Calls visit(node) for `top` and for every account under it, in opening order.
template <class Visit>
void for_subtree(const AccountNode& top, Visit visit) {
  for (const AccountNode* node = &top; node != nullptr; node = node->next.load(std::memory_order_acquire))
    if (node->under(top)) visit(*node);
}

/// Where and why a commit stopped.
struct Refusal {
  const AccountNode* account;
  MemorySpace space;
  Bytes requested, available;
};

/// Adds `bytes` to every account from `leaf` to the root, or to none. No lock, no allocation.
std::optional<Refusal> commit(AccountNode& leaf, const Footprint& bytes) noexcept;

/// Takes `bytes`, which commit() added, from every account from `leaf` to the root.
void give_back(AccountNode& leaf, const Footprint& bytes) noexcept;

/// The refusal together with the largest holders under the account that refused.
Denial explain(const Refusal& refusal);

}  // namespace mpp::detail
