#include <algorithm>
#include <limits>

#include "kernels/samples.hpp"
#include "reference/rescore.hpp"

namespace mpp::kernels {
namespace {

class TopkTest : public KernelTest {
 protected:
  static std::vector<Scored> run(const std::vector<Scored>& items, std::size_t k) {
    DeviceArray<Scored> device = upload(items);
    const std::size_t kept = topk(context(), device.span(), k);
    EXPECT_EQ(kept, std::min(k, items.size()));
    auto all = device.to_host();
    auto before = items, after = all;
    std::sort(before.begin(), before.end(), ranks_before);
    std::sort(after.begin(), after.end(), ranks_before);
    EXPECT_EQ(before, after) << "items were lost";
    all.resize(kept);
    return all;
  }
};
MPP_ON_ALL_DEVICES(TopkTest);

// Scores from a small set, so that ties abound; ids in no order.
std::vector<Scored> tied_items(std::size_t n) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double scores[] = {0.5, -0.5, 0.0, -0.0, 1e300, -1e300, inf, -inf, 5e-324, -5e-324};
  const auto pick = random_integers<std::uint8_t>(n, 0, 9, 41);
  std::vector<Scored> items(n);
  for (std::size_t i = 0; i < n; ++i) items[i] = {scores[pick[i]], (i * 7919) % 10'007 + (i % 2) * (1ULL << 40)};
  return items;
}

TEST_P(TopkTest, OrdersByScoreAndTiesById) {
  for (const std::size_t n : {0, 1, 2, 63, 64, 65, 1000})
    for (const std::size_t k : {0, 1, 10, 64, 1000, 5000}) {
      const auto tied = tied_items(n);
      EXPECT_EQ(run(tied, k), reference::topk(tied, k)) << k << " of " << n;
      std::vector<Scored> plain(n);
      const auto scores = gaussian<double>(n, 42);
      for (std::size_t i = 0; i < n; ++i) plain[i] = {scores[i], n - i};
      EXPECT_EQ(run(plain, k), reference::topk(plain, k)) << k << " of " << n;
    }
}

TEST_P(TopkTest, ZerosOfBothSignsTie) {
  const auto best = run({{-0.0, 1}, {0.0, 2}, {-0.0, 0}}, 2);
  EXPECT_EQ(best, (std::vector<Scored>{{0.0, 0}, {0.0, 1}}));
}

TEST_P(TopkTest, GivesTheSameForEveryOrderOfTheItems) {
  auto items = tied_items(1000);
  const auto expected = run(items, 100);
  std::reverse(items.begin(), items.end());
  EXPECT_EQ(run(items, 100), expected);
}

}  // namespace
}  // namespace mpp::kernels
