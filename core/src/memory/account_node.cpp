#include "account_node.hpp"

#include <mpp/core/memory/ledger.hpp>

namespace mpp::detail {
namespace {

// Calls visit(node, space, bytes) for each space that asks for bytes, from the leaf to the root, while it returns true.
template <class Visit>
void walk(AccountNode& leaf, const Footprint& bytes, Visit visit) noexcept {
  for (const MemorySpace space : memory_spaces) {
    const std::uint64_t count = bytes[space].count;
    if (count == 0) continue;
    for (AccountNode* node = &leaf; node != nullptr; node = node->parent)
      if (!visit(*node, space, count)) return;
  }
}

struct Added {
  SpaceCounters* counters;
  std::uint64_t bytes;
  std::uint64_t sum;  // that this add produced
};

}  // namespace

// Three passes over the path: look, add, record the peaks.
//
// Look first, because an add at a leaf that its root then refuses would meanwhile take room from others at the leaf.
// A request that does not fit when looked at touches nothing, however large it is. What remains is a race of three:
// a request that did fit loses an ancestor to another one between look and add; until it has given back what it
// added below (each add within its account's limit), a third one may be denied there. That denial is the one it would
// have met had the loser been granted and released, and it needs accounts that are full to within the loser's size.
//
// Peaks last, so that an add which is given back never raises a peak, and from the sums that the adds produced, not
// from a second look at `committed`, which may have fallen again. Exact means: let held(t) be the bytes of granted
// reservations, each counted from its add at this account until its release. held is largest just after some granted
// add, whose sum is at least held and is recorded: the peak is never too small. The sum exceeds held only by adds of
// race losers as above, so without such a race, in particular on one thread, the two are equal.
std::optional<Refusal> commit(AccountNode& leaf, const Footprint& bytes) noexcept {
  std::optional<Refusal> refusal;
  walk(leaf, bytes, [&](AccountNode& node, MemorySpace space, std::uint64_t count) {
    if (const std::uint64_t room = node[space].room(); count > room)
      refusal = {&node, space, Bytes{count}, Bytes{room}};
    return !refusal;
  });
  if (refusal) [[unlikely]]
    return refusal;

  std::array<Added, memory_spaces.size() * Ledger::max_depth> added;  // only the first `size` are ever read
  std::size_t size = 0;
  walk(leaf, bytes, [&](AccountNode& node, MemorySpace space, std::uint64_t count) {
    std::uint64_t available = 0;
    if (const auto sum = node[space].try_add(count, available))
      added[size++] = {&node[space], count, *sum};
    else
      refusal = {&node, space, Bytes{count}, Bytes{available}};
    return !refusal;
  });
  if (refusal) [[unlikely]] {
    while (size-- > 0) added[size].counters->subtract(added[size].bytes);
    return refusal;
  }
  for (std::size_t i = 0; i < size; ++i) added[i].counters->raise_peak(added[i].sum);
  return std::nullopt;
}

void give_back(AccountNode& leaf, const Footprint& bytes) noexcept {
  walk(leaf, bytes, [](AccountNode& node, MemorySpace space, std::uint64_t count) {
    node[space].subtract(count);
    return true;
  });
}

}  // namespace mpp::detail
