// An exact search whose history has little room: it says so, and takes no more than it claims.
#include <gtest/gtest.h>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

#include "domains/speech/viterbi_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

struct ExactSearches {
  std::size_t finished = 0, too_long = 0, exceeded = 0, wrong = 0;
};

/// Exact searches with room for frames + 2 words, each in a reservation of the bytes that it claims.
template <class Policy>
ExactSearches search_exactly(std::size_t cases) {
  using Search = BasicViterbiSearch<LookAhead, Policy>;
  const std::vector<NgramModel> models = fuzz_models(8);
  std::mt19937_64 random(8);
  ExactSearches seen;
  for (std::size_t i = 0; i < cases; ++i) {
    const ViterbiCase problem(random, Scene::full_history, models);
    const Emissions e = problem.emissions();
    const ViterbiLimits limits{.live_cap = 500, .history_capacity = e.frames + 2, .exact = true};
    const LookAhead look_ahead(problem.folded(), e, std::pmr::new_delete_resource());
    Ledger ledger(Footprint::unlimited());
    Reservation reservation(ledger.root());
    ReservationResource memory(reservation, MemorySpace::host);
    EXPECT_FALSE(reservation.try_grow(Footprint::host(Search::bytes(e.tokens, limits))).has_value());
    try {
      Search search(&memory, e, problem.graph(), look_ahead, limits);
      search.run(-std::numeric_limits<double>::infinity());
      ++seen.finished;
      long double best = -std::numeric_limits<long double>::infinity();
      for (const auto& [labels, score] : reference::all_word_labellings(e, problem.graph()))
        best = std::max(best, score);
      const auto found = static_cast<long double>(search.found() > 0 ? search.found_score(0)
                                                                     : -std::numeric_limits<double>::infinity());
      const long double rounding = problem.magnitude() * 0x1p-48L;
      seen.wrong += !(found == best) && !(std::abs(found - best) <= rounding) ? 1 : 0;
    } catch (const SearchTooLong&) {
      ++seen.too_long;
    } catch (const ReservationExceeded&) {
      ++seen.exceeded;
    }
  }
  return seen;
}

TEST(ViterbiSearch, AnExactOneSaysThatItsHistoryIsFull) {
  const ExactSearches seen = search_exactly<ViterbiAccounting>(2000);
  EXPECT_EQ(seen.exceeded, 0U);
  EXPECT_EQ(seen.wrong, 0U);
  EXPECT_GT(seen.too_long, 50U);
  EXPECT_GT(seen.finished, 100U);
}

struct ForgetsTheLiveSet : ViterbiAccounting {
  static bool admits_full_history() { return false; }
};
TEST(ViterbiSearch, TheTestAboveCatchesOneThatGoesOnWithAFullHistory) {
  EXPECT_GT(search_exactly<ForgetsTheLiveSet>(1000).exceeded, 0U);
}

}  // namespace
}  // namespace mpp::speech
