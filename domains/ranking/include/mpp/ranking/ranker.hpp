#pragma once
#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/ranking/rank_margin.hpp>
#include <mpp/ranking/rank_tier.hpp>

namespace mpp::ranking {

using RankController = Controller<RankTier, RankMargin>;

/// Accounts of one pool under a ledger: what all requests share, and what each brings in.
struct RankAccounts {
  Account resident, backing, requests;
};

/// The ledger has no room for a pool.
struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(const Denial& denial) : sentence(denial.message()) {}
  const char* what() const noexcept override { return sentence.c_str(); }
  std::string sentence;
};

/// A pool, its ledger accounts, and the controller that serves it: everything most callers need.
///
///   Ledger ledger(Footprint::host(Bytes{1'000'000'000}));
///   Ranker ranker(pool, ledger);
///   auto outcome = ranker.serve({.query = query, .k = 10});          // epsilon = 0: the exact top 10
///   for (const RankedItem& item : outcome.value().items) ...
///
/// The pool and the ledger must outlive it, and the pool must not change meanwhile: its bytes are charged once.
/// serve() may be called from many threads.
class Ranker {
 public:
  /// Opens account `name` under the root and charges the pool's bytes to it.
  /// @throws OutOfMemory if the ledger has no room for the pool; ValueError if the account exists
  Ranker(const Pool& pool, Ledger& ledger, RankOptions options = {}, RankMetric metric = RankMetric::score_regret,
         TraceSink* sink = nullptr, std::string_view name = "ranking");
  Ranker(Pool&&, Ledger&, RankOptions = {}, RankMetric = RankMetric::score_regret, TraceSink* = nullptr,
         std::string_view = {}) = delete;  // the pool must outlive the ranker

  /// The request's delta is set to the target's: with delta > 0 the randomized bound is used too.
  [[nodiscard]] Outcome<Ranking> serve(RankRequest request, QualityTarget target = {}) const;
  /// Same outcomes as one by one; the sign codes are read once for all requests.
  [[nodiscard]] std::vector<Outcome<Ranking>> serve(std::vector<RankRequest> requests, QualityTarget target = {}) const;

  [[nodiscard]] const RankAccounts& accounts() const noexcept { return accounts_; }
  [[nodiscard]] const RankTier& tier() const noexcept { return tier_; }

 private:
  RankTier tier_;
  RankMargin estimator_;
  RankAccounts accounts_;
  Reservation resident_, backing_;
  RankController controller_;
};

}  // namespace mpp::ranking
