#include <algorithm>

#include <mpp/ranking/filter.hpp>

namespace mpp::ranking {

Filter::Filter(const Pool& pool, std::span<const std::uint64_t> ids)
    : bits_(pool.columns().blocks(), 0), next_id_(pool.columns().next_id) {
  const PoolColumns& c = pool.columns();
  std::vector<std::uint64_t> wanted(ids.begin(), ids.end());
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  std::vector<bool> found(wanted.size(), false);
  for (std::size_t slot = 0; slot < c.slots(); ++slot) {
    const std::uint64_t bit = std::uint64_t{1} << slot % kernels::block_rows;
    const auto at = std::lower_bound(wanted.begin(), wanted.end(), c.ids[slot]);
    if ((c.live[slot / kernels::block_rows] & bit) == 0 || at == wanted.end() || *at != c.ids[slot]) continue;
    bits_[slot / kernels::block_rows] |= bit;
    found[static_cast<std::size_t>(at - wanted.begin())] = true;
  }
  const auto missing = std::find(found.begin(), found.end(), false);
  if (missing != found.end())
    throw ValueError(text("Filter: no live row has id ", wanted[static_cast<std::size_t>(missing - found.begin())]));
}

}  // namespace mpp::ranking
