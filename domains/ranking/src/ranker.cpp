#include <algorithm>
#include <iterator>

#include <mpp/ranking/ranker.hpp>

namespace mpp::ranking {
namespace {

RankAccounts open_accounts(Ledger& ledger, std::string_view name) {
  const Account account = ledger.open(ledger.root(), name);
  return {ledger.open(account, "resident"), ledger.open(account, "backing"), ledger.open(account, "requests")};
}

// Requests that share one pass over the sign codes. More would save little, and what they hold leaves the caches.
constexpr std::size_t batch_size = 4;

void charge(Reservation& reservation, const Footprint& bytes) {
  if (const auto denial = reservation.try_grow(bytes)) throw OutOfMemory(*denial);
  reservation.use(bytes);
}

}  // namespace

Ranker::Ranker(const Pool& pool, Ledger& ledger, RankOptions options, RankMetric metric, TraceSink* sink,
               std::string_view name)
    : tier_(pool, options), estimator_(metric), accounts_(open_accounts(ledger, name)), resident_(accounts_.resident),
      backing_(accounts_.backing), controller_(tier_, estimator_, accounts_.requests, sink) {
  charge(resident_, pool.resident());
  charge(backing_, pool.backing());
}

Outcome<Ranking> Ranker::serve(RankRequest request, QualityTarget target) const {
  request.delta = target.delta;
  return controller_.serve(request, target);
}

std::vector<Outcome<Ranking>> Ranker::serve(std::vector<RankRequest> requests, QualityTarget target) const {
  for (RankRequest& request : requests) request.delta = target.delta;
  std::vector<Outcome<Ranking>> outcomes;
  outcomes.reserve(requests.size());
  for (std::size_t first = 0; first < requests.size(); first += batch_size) {
    const auto group =
        std::span<const RankRequest>(requests).subspan(first, std::min(batch_size, requests.size() - first));
    std::ranges::move(controller_.serve(group, target), std::back_inserter(outcomes));
  }
  return outcomes;
}

Level pilot_first_level(const Pool& pool) {
  constexpr std::size_t queries = 4;
  constexpr double crowded = 0.9;  // a plane that leaves more than this open is not worth a pass of its own
  const RankTier tier(pool);
  const PoolColumns& c = pool.columns();
  std::size_t live = 0;
  double open[2] = {};
  for (std::size_t i = 0; i < queries; ++i) {
    const std::size_t slot = c.slots() * (2 * i + 1) / (2 * queries);
    if (c.slots() == 0 || (c.live[slot / kernels::block_rows] >> slot % kernels::block_rows & 1) == 0) continue;
    const RankRequest request{.query = c.rows.view().subspan(slot * c.dims, c.dims)};
    RankState state(std::pmr::new_delete_resource());
    for (Level level = 0; level < 2; ++level) {
      tier.materialise(request, state, level);
      open[level] +=
          static_cast<double>(tier.execute(request, state, level).open_rows) / static_cast<double>(pool.size());
    }
    ++live;
  }
  Level level = 0;
  while (level < 2 && live > 0 && open[level] / static_cast<double>(live) > crowded) ++level;
  return level;
}

}  // namespace mpp::ranking
