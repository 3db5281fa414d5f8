// The small pieces: statistics, tables, users and the exact scan.
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "support/exact_scan.hpp"
#include "support/statistics.hpp"
#include "support/table.hpp"
#include "support/users.hpp"

namespace mpp::examples {
namespace {

TEST(Quantile, IsASampleThatAtLeastTheShareDoesNotExceed) {
  const std::vector<double> samples{4.0, 1.0, 3.0, 2.0};
  EXPECT_EQ(quantile(samples, 0.0), 1.0);
  EXPECT_EQ(quantile(samples, 0.25), 1.0);
  EXPECT_EQ(quantile(samples, 0.26), 2.0);
  EXPECT_EQ(quantile(samples, 0.99), 4.0);
  EXPECT_EQ(quantile(samples, 1.0), 4.0);
  EXPECT_THROW((void)quantile({}, 0.5), ValueError);
  EXPECT_THROW((void)quantile(samples, 1.01), ValueError);
}

TEST(TableText, HasThreeDigitsAndGroups) {
  EXPECT_EQ(compact(0.0), "0");
  EXPECT_EQ(compact(12.345), "12.3");
  EXPECT_EQ(compact(0.004119), "0.00412");
  EXPECT_EQ(compact(1234.5), "1234");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(bytes_text(102.4e6), "102 MB");
  EXPECT_EQ(bytes_text(1e5, 1), "100 kB");
}

TEST(TableText, AlignsFiguresToTheRight) {
  std::ostringstream out;
  out << Table({"name", "n"}).row({"a", "10"});
  EXPECT_EQ(out.str(), "name   n\na     10\n");
  out.str("");
  out << Table({"said", "heard", "n"}, 2).row({"a", "b", "10"}).row({"ab cd", "", "1"});
  EXPECT_EQ(out.str(), "said   heard   n\na      b      10\nab cd          1\n");
  EXPECT_THROW(Table({"name"}).row({"a", "b"}), ShapeError);
}

TEST(Users, ComeInAFixedMixAndAreTheSameEveryTime) {
  const auto near = ranking::make_synthetic(ranking::Family::clustered, 100, 21, 8, 3);
  const auto users = make_users(near, 20, 5);
  std::array<int, 3> mix{};
  for (const User& user : users) ++mix[static_cast<std::size_t>(user.interest)];
  EXPECT_EQ(mix, (std::array{14, 4, 2}));
  const auto again = make_users(near, 20, 5);
  for (std::size_t i = 0; i < users.size(); ++i) EXPECT_EQ(users[i].query, again[i].query);
}

TEST(Users, BetweenIsTheMeanOfTwoAndRandomKeepsTheLength) {
  const auto near = ranking::make_synthetic(ranking::Family::clustered, 100, 11, 8, 3);
  const auto query = [&](std::size_t i) { return std::span(near.queries).subspan(i * 8, 8); };
  const auto squares = [](std::span<const float> v) { return std::inner_product(v.begin(), v.end(), v.begin(), 0.0); };
  const auto users = make_users(near, 10, 5);
  for (std::size_t i = 0; i < users.size(); ++i) {
    if (users[i].interest == Interest::near) {
      EXPECT_TRUE(std::ranges::equal(users[i].query, query(i)));
    }
    if (users[i].interest == Interest::between) {
      EXPECT_EQ(users[i].query[0], 0.5f * (query(i)[0] + query(i + 1)[0]));
    }
    if (users[i].interest == Interest::random) {
      EXPECT_NEAR(squares(users[i].query), squares(query(i)), 1e-4);
    }
  }
}

class ExactScanTest : public testing::Test {
 protected:
  static constexpr std::size_t dims = 5, k = 4;
  const ranking::Synthetic data_ = ranking::make_synthetic(ranking::Family::gaussian, 300, 1, dims, 2);
  ExactScan scan_{data_.rows, dims};
  const std::vector<kernels::Scored> exact_ = scan_.best(data_.queries, k);

  // The rows that a plain loop in double finds at the given ranks.
  ranking::Ranking ranks(std::initializer_list<std::size_t> ranks) const {
    std::vector<kernels::Scored> all;
    for (std::size_t i = 0; i < data_.rows.size() / dims; ++i) {
      double score = 0.0;
      for (std::size_t d = 0; d < dims; ++d) score += double{data_.rows[i * dims + d]} * data_.queries[d];
      all.push_back({score, i});
    }
    std::sort(all.begin(), all.end(), kernels::ranks_before);
    ranking::Ranking answer;
    for (const std::size_t rank : ranks) answer.items.push_back({.id = all[rank].id, .score = all[rank].score});
    return answer;
  }
};

TEST_F(ExactScanTest, FindsWhatAPlainLoopFinds) {
  const auto expected = ranks({0, 1, 2, 3});
  ASSERT_EQ(exact_.size(), k);
  for (std::size_t j = 0; j < k; ++j) {
    EXPECT_EQ(exact_[j].id, expected.items[j].id);
    EXPECT_NEAR(exact_[j].score, expected.items[j].score, 1e-13);  // 5 products below 10: 5 * 10 * 2^-53 is 6e-15
  }
  EXPECT_EQ(scan_.regret(data_.queries, exact_, expected), 0.0);
}

TEST_F(ExactScanTest, RegretIsTheLargestGapByPosition) {
  const auto worst = ranks({0, 1, 2, 9});
  const double gap = exact_[3].score - worst.items[3].score;
  EXPECT_GT(gap, 0.0);
  EXPECT_NEAR(scan_.regret(data_.queries, exact_, worst), gap, 1e-13);
  const auto missed = ranks({1, 2, 3, 4});  // misses the best: every position moves up
  EXPECT_GT(scan_.regret(data_.queries, exact_, missed), 0.0);
}

TEST_F(ExactScanTest, AnAnswerThatIsTooShortHasNoFiniteRegret) {
  EXPECT_EQ(scan_.regret(data_.queries, exact_, ranks({0, 1, 2})), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace mpp::examples
