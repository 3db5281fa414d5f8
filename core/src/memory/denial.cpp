#include <mpp/core/memory/denial.hpp>

#include <algorithm>
#include <sstream>

#include "account_node.hpp"

namespace mpp {

std::string Denial::message() const {
  std::ostringstream out;
  out << name(space) << ": " << requested.count << " B requested, " << available.count << " B available under "
      << account;
  const char* separator = "; held by ";
  for (const Holder& holder : holders) {
    out << separator << holder.account << " (" << holder.committed.count << " B)";
    separator = ", ";
  }
  return out.str();
}

// What an account holds itself is what it has committed less what its children have. Other threads go on reserving
// while the counters are read one by one, so a child may be ahead of its parent: the difference then saturates at 0.
Denial detail::explain(const Refusal& refusal) {
  struct Own {
    const AccountNode* node;
    Bytes bytes;
  };
  const AccountNode& first = *refusal.account;
  std::vector<Own> owns;
  std::vector<std::size_t> place;  // in owns, by opening order counted from `first`
  for_subtree(first, [&](const AccountNode& node) {
    const Bytes committed = node.read(&SpaceCounters::committed)[refusal.space];
    place.resize(node.index - first.index + 1);
    place.back() = owns.size();
    owns.push_back({&node, committed});
    if (&node != &first) owns[place[node.parent->index - first.index]].bytes -= committed;
  });

  std::erase_if(owns, [](const Own& own) { return own.bytes == Bytes{}; });
  const auto end = owns.begin() + static_cast<std::ptrdiff_t>(std::min(owns.size(), Denial::max_holders));
  std::partial_sort(owns.begin(), end, owns.end(), [](const Own& a, const Own& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.node->index < b.node->index;
  });

  Denial denial{refusal.space, refusal.requested, refusal.available, std::string(first.path), {}};
  for (auto own = owns.begin(); own != end; ++own) denial.holders.push_back({std::string(own->node->path), own->bytes});
  return denial;
}

}  // namespace mpp
