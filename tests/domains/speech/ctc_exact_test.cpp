// Branch and bound against enumeration, from the worst incumbent there is.
#include <gtest/gtest.h>

#include <cmath>
#include <memory_resource>
#include <random>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/suffix_bound.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "reference/ctc_reference.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

struct ExactTally {
  std::size_t missed = 0;  ///< answers that are not the optimum
  std::size_t dear = 0;    ///< runs that expanded more than predicted
};

// max_products: the broken twin, whose suffix bound is the product of each frame's largest probability.
ExactTally search_all(std::size_t cases, bool max_products) {
  constexpr double slack = 1e-12;  // of the enumeration and of ln P in double
  ExactTally tally;
  std::mt19937_64 random(31);
  for (std::size_t i = 0; i < cases; ++i) {
    const EmissionMatrix m = random_emissions(random, 1 + random() % 7, 1 + random() % 4,
                                              static_cast<double>(random() % 4), random() % 3 == 0 ? 0.3 : 0.0);
    const Emissions e = m.view(random() % m.tokens);
    std::vector<Scaled> after(m.frames + 1);
    const double total = mass_bounds(e, after);
    suffix_bounds(e, {.horizon = 1 + random() % 6, .live_cap = 1 + random() % 4}, after,
                  std::pmr::new_delete_resource());
    if (max_products)
      for (std::size_t t = m.frames; t-- > 0;) {
        double most = 0.0;
        for (const float x : e.row(t)) most = std::max(most, std::exp(static_cast<double>(x)));
        after[t] = Scaled::up(most * after[t + 1].times_power(0));
      }
    std::vector<double> scratch(score_scratch(m.frames));
    Incumbents incumbents(std::pmr::new_delete_resource());
    incumbents.reserve(1, m.frames);
    incumbents.offer({}, ctc_log_probability(e, {}, scratch));
    ExactSearch search(std::pmr::new_delete_resource(), m.frames, m.tokens);
    const auto truth = reference::all_labellings(e);
    const double predicted = predicted_expansions(m.frames, total, incumbents.log_probability(0).lower);
    tally.missed += search.run(e, after, incumbents, scratch, 1'000'000) ? 0 : 1;
    tally.dear += static_cast<double>(search.expanded()) > predicted ? 1 : 0;
    const auto best = static_cast<double>(std::log(reference::most_probable(truth)->second));
    tally.missed += incumbents.log_probability(0).upper < best - slack ? 1 : 0;
  }
  return tally;
}

TEST(ExactSearch, FindsTheOptimumWithinThePredictedExpansions) {
  const ExactTally tally = search_all(20000, false);
  EXPECT_EQ(tally.missed, 0U);
  EXPECT_EQ(tally.dear, 0U);
}

TEST(ExactSearch, TheTestAboveCatchesTheProductOfTheLargestProbabilities) {
  EXPECT_GT(search_all(2000, true).missed, 0U);
}

TEST(ExactSearch, StopsAtTheLimit) {
  std::mt19937_64 random(9);
  const EmissionMatrix m = random_emissions(random, 20, 8, 0.1, 0.0);
  const Emissions e = m.view(0);
  Buffer<Scaled> after(m.frames + 1, std::pmr::new_delete_resource());
  (void)mass_bounds(e, after);
  std::vector<double> scratch(score_scratch(m.frames));
  ExactSearch search(std::pmr::new_delete_resource(), m.frames, m.tokens);
  for (const std::uint64_t limit : {0U, 1U, 7U}) {
    Incumbents incumbents(std::pmr::new_delete_resource());
    incumbents.reserve(1, m.frames);
    incumbents.offer({}, ctc_log_probability(e, {}, scratch));
    EXPECT_FALSE(search.run(e, after, incumbents, scratch, limit));
    EXPECT_EQ(search.expanded(), limit);
  }
}

TEST(ExactSearch, RefusesWhatDoesNotFit) {
  const EmissionMatrix m = from_probabilities({0.5F, 0.5F, 0.5F, 0.5F}, 2);
  ExactSearch search(std::pmr::new_delete_resource(), 2, 2);
  Incumbents none(std::pmr::new_delete_resource());
  std::vector<double> scratch(score_scratch(2));
  EXPECT_THROW((void)search.run(m.view(0), std::vector<Scaled>(3), none, scratch, 9), ValueError);
  EXPECT_THROW((void)search.run(m.view(0), std::vector<Scaled>(2), none, scratch, 9), ShapeError);
}

TEST(Incumbents, KeepTheBestOnceAndInOrder) {
  Incumbents incumbents(std::pmr::new_delete_resource());
  incumbents.reserve(2, 3);
  const std::vector<std::uint32_t> a{1}, b{2, 1}, c{3, 3, 3};
  incumbents.offer(a, {-3, -3});
  incumbents.offer(b, {-3, -3});
  incumbents.offer(a, {-3, -3});
  EXPECT_EQ(incumbents.size(), 2U);
  EXPECT_EQ(incumbents.labels(0)[0], 1U);
  incumbents.offer(c, {-4, -4});
  EXPECT_EQ(incumbents.labels(1).size(), 2U);
  incumbents.offer(c, {-1, -1});
  EXPECT_EQ(incumbents.labels(0).size(), 3U);
  EXPECT_EQ(incumbents.labels(1)[0], 1U);
}

}  // namespace
}  // namespace mpp::speech
