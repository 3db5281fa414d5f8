#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/control/outcome.hpp>

#include "support/report.hpp"
#include "support/users.hpp"

namespace mpp::examples {

/// One request as it was served, and how far its answer really was from the exact one.
struct Served {
  Interest interest{};
  Verdict verdict{};
  Level level{};
  double bytes{};      ///< most that the request held
  double seconds{};    ///< median of the repetitions
  double certified{};  ///< bound that the answer was released with; score
  double realised{};   ///< score regret against the exact scan; score
};

/// All users under one target.
struct Series {
  std::string label;  ///< as written on the command line
  double epsilon{};   ///< score
  std::vector<Served> requests;
};

/// Bound and error of every user who was certified exact, level by level. Both stay 0 after the level that did it.
struct Ladder {
  std::vector<std::vector<double>> certified{}, realised{};  ///< [levels][users]
};

/// What a run of ranking_pool measured.
struct RankingRun {
  std::size_t items{}, dims{}, k{};
  std::string family{};
  double delta{};
  double worst_case{};                 ///< bytes of a request that holds every row in fp32
  double claim{};                      ///< bytes that the tier claims for its exact level, codes and scratch included
  double resident{}, backing{};        ///< bytes of the catalogue that all requests share
  double cap{}, peak{};                ///< bytes that requests may hold together, and what the ledger saw at most
  std::vector<double> scan_seconds{};  ///< [users], medians
  std::vector<Series> series{};
  Ladder ladder{};
};

/// Names of the rungs of ranking::RankTier.
inline constexpr std::string_view rank_levels[] = {"1 bit", "2 bits", "4 bits", "8 bits", "exact rows"};

/// One row per target.
[[nodiscard]] Table summary(const RankingRun& run);
/// One sentence per certified answer, released or on the way up, that is further off than its bound: what must never be
/// seen. Empty when every bound held.
[[nodiscard]] std::vector<std::string> violations(const RankingRun& run);
[[nodiscard]] nlohmann::json to_json(const RankingRun& run);
[[nodiscard]] Report to_report(const RankingRun& run);

}  // namespace mpp::examples
