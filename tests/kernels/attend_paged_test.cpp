#include <mpp/core/error.hpp>

#include "kernels/attend_scene.hpp"

namespace mpp::kernels {
namespace {

using reference::AttendFault;
using reference::AttendPromise;

constexpr std::array head_dims{32, 64, 96, 128, 256};
constexpr std::array coded_levels{k4v4, k8v4, k8v8, k12v8, k12v4};

class AttendPagedTest : public KernelTest {
 protected:
  static std::string broken(const AttendScene& scene, const AttendResult& result) {
    AttendPromise promise(scene, result);
    const std::string broken = promise.broken();
    worst_ratio_ = std::max(worst_ratio_, promise.worst_ratio());
    return broken;
  }
  void TearDown() override {
    if (worst_ratio_ > 0.0) std::cout << "largest error of a logit over its radius: " << worst_ratio_ << '\n';
    worst_ratio_ = 0.0;
  }
  static AttendPages pages_of(const Family& keys, const Family& values, KvType type, std::size_t head_dim,
                              std::size_t count, const std::function<Levels(std::size_t)>& levels,
                              std::size_t last_tokens = page_tokens) {
    AttendPages pages(context(), type, head_dim);
    for (std::size_t p = 0; p < count; ++p)
      pages.add(exact_page(type, head_dim, static_cast<unsigned>(p + 1), keys.sample, values.sample,
                           p + 1 == count ? last_tokens : page_tokens),
                p + 1 == count && last_tokens < page_tokens ? exact_level : levels(p));
    return pages;
  }
  static inline double worst_ratio_ = 0.0;
};
MPP_ON_ALL_DEVICES(AttendPagedTest);

TEST_P(AttendPagedTest, KeepsItsPromiseForEveryHeadSizeLevelAndType) {
  const auto family = families();
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : head_dims) {
      AttendPages pages = pages_of(family[0], family[0], type, head_dim, 3, [](std::size_t) { return exact_level; });
      for (const Levels levels :
           {k4v4, k8v4, k8v8, k12v8, k12v4, exact_level, Levels{PageLevel::exact, PageLevel::bits4},
            Levels{PageLevel::bits8, PageLevel::exact}}) {
        for (std::size_t p = 0; p < 3; ++p) pages.set_levels(p, levels);
        for (const QueryKind& kind : query_kinds) {
          pages.set_queries(queries_of(kind, 2, head_dim, 5), kind.scale);
          ASSERT_EQ(broken(pages.scene, pages.read()), "")
              << "head_dim " << head_dim << ", levels " << static_cast<int>(levels.key) << ' '
              << static_cast<int>(levels.value) << ", " << kind.name << " queries, type " << static_cast<int>(type);
        }
      }
    }
}

TEST_P(AttendPagedTest, KeepsItsPromiseForEveryFamilyOfNumbers) {
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const Family& keys : families())
      for (const Family& values : families()) {
        AttendPages pages =
            pages_of(keys, values, type, 64, 4, [](std::size_t p) { return coded_levels[p % coded_levels.size()]; });
        for (const QueryKind& kind : query_kinds) {
          pages.set_queries(queries_of(kind, 2, 64, 6), kind.scale);
          const AttendResult result = pages.read();
          ASSERT_EQ(broken(pages.scene, result), "") << keys.name << " keys, " << values.name << " values, "
                                                     << kind.name << " queries, type " << static_cast<int>(type);
        }
      }
}

TEST_P(AttendPagedTest, KeepsItsPromiseForEveryGroup) {
  const auto family = families();
  for (const std::size_t head_dim : {64, 128}) {
    AttendPages pages = pages_of(family[1], family[0], KvType::float16, head_dim, 3, [](std::size_t p) {
      return p == 2 ? exact_level : p == 1 ? k12v8 : k8v4;
    });
    for (std::size_t group = 1; group <= 16; ++group) {
      pages.set_queries(queries_of(query_kinds[group % 3], group, head_dim, 7), query_kinds[group % 3].scale);
      ASSERT_EQ(broken(pages.scene, pages.read()), "") << "group " << group << ", head_dim " << head_dim;
    }
  }
}

TEST_P(AttendPagedTest, KeepsItsPromiseForOneToFortyPagesOfMixedLevels) {
  const auto family = families();
  for (std::size_t count = 1; count <= 40; count += count < 8 ? 1 : 8) {
    AttendPages pages = pages_of(family[0], family[0], KvType::float16, 96, count,
                                 [](std::size_t p) { return p % 6 == 5 ? exact_level : coded_levels[p % 6]; });
    for (const QueryKind& kind : query_kinds) {
      pages.set_queries(queries_of(kind, 3, 96, 8), kind.scale);
      ASSERT_EQ(broken(pages.scene, pages.read()), "") << count << " pages, " << kind.name << " queries";
    }
  }
}

TEST_P(AttendPagedTest, WeighsWithinItsRoundingWhereLogitsAreExact) {
  // Small integers: nothing hides behind the error of a logit. Weights from 1 to far below what is flushed.
  const Family family = families()[0];
  for (const std::size_t head_dim : {32, 128})
    for (const double slope : {0.0, 1.0 / 64, 0.25, 1.0, 4.0}) {
      AttendPages pages(context(), KvType::float16, head_dim);
      for (std::size_t p = 0; p < 9; ++p) {
        const auto key = [slope, p](std::mt19937_64& random, std::size_t i, std::size_t j) {
          return j == 0 ? -slope * static_cast<double>(i * 29 % 64 + 8 * (p * 5 % 9))
                        : std::normal_distribution<double>()(random);
        };
        pages.add(exact_page(KvType::float16, head_dim, 30, key, family.sample), exact_level);
        pages.set_levels(p, {PageLevel::exact, p % 3 == 0   ? PageLevel::exact
                                               : p % 3 == 1 ? PageLevel::bits4
                                                            : PageLevel::bits8});
      }
      std::vector<float> query(head_dim);
      query[0] = 1.0F;
      pages.set_queries(query, 1.0F);
      EXPECT_EQ(AttendPromise(pages.scene, pages.read(), 0.0).broken(), "") << head_dim << ", slope " << slope;
    }
}

TEST_P(AttendPagedTest, WeighsWhatIsFarBelowWithinItsRounding) {
  // The difference of two logits that are exact is not, where the smaller one is beyond 64: half a step of floats there.
  if (GetParam() == Device::cuda) GTEST_SKIP() << "weights below 2^-39 of the page are not seen in an output";
  const AttendRounding rounding = attend_rounding(1);
  double worst = 0.0;
  for (int half_steps = 1; half_steps < 64; half_steps += 2) {
    const double top = std::ldexp(half_steps, -18);
    const auto key = [top](std::mt19937_64&, std::size_t i, std::size_t j) {
      return j > 0 ? 0.0 : i == 0 ? top : -64.0 - static_cast<double>(i) / 4.0;
    };
    const auto value = [](std::mt19937_64&, std::size_t i, std::size_t j) { return i == j && i > 0 ? 1.0 : 0.0; };
    AttendPages pages(context(), KvType::float16, 64);
    pages.add_open(exact_page(KvType::float16, 64, 1, key, value));
    std::vector<float> query(64);
    query[0] = 1.0F;
    pages.set_queries(query, 1.0F);
    const AttendResult result = pages.read();
    for (std::size_t i = 1; i < page_tokens; ++i) {
      const double exact = std::exp(-64.0 - static_cast<double>(i) / 4.0 - top);
      worst = std::max(worst, std::fabs(result.output[i] / exact - 1.0));
    }
  }
  EXPECT_LE(worst, rounding.weight + 0x1p-23);
  EXPECT_GT(worst, 0x1p-18);
}

TEST_P(AttendPagedTest, ChargesForSharesThatUnderflow) {
  // The heaviest page has values of 0; the other one's share is no normal float, or none at all.
  for (const double below : {88.0, 95.0, 103.0, 104.0, 110.0, 150.0})
    for (const bool first : {false, true}) {
      AttendPages pages(context(), KvType::bfloat16, 32);
      for (const bool heavy : {first, !first}) {
        const double size = heavy ? 0.0 : 1e30;
        pages.add_open(exact_page(
            KvType::bfloat16, 32, 1,
            [=](std::mt19937_64&, std::size_t, std::size_t j) { return j == 0 && !heavy ? -below : 0.0; },
            [=](std::mt19937_64&, std::size_t, std::size_t) { return size; }));
      }
      std::vector<float> query(32);
      query[0] = 1.0F;
      pages.set_queries(query, 1.0F);
      EXPECT_EQ(AttendPromise(pages.scene, pages.read(), 0.0).broken(), "") << below << ' ' << first;
    }
}

TEST_P(AttendPagedTest, KeepsItsPromiseForTwoThousandPages) {
  const auto family = families();
  AttendPages pages = pages_of(
      family[0], family[0], KvType::float16, 32, 2048, [](std::size_t p) { return p % 97 == 0 ? exact_level : k8v4; },
      5);
  for (const QueryKind& kind : {query_kinds[0], query_kinds[1]}) {
    pages.set_queries(queries_of(kind, 1, 32, 9), kind.scale);
    ASSERT_EQ(broken(pages.scene, pages.read()), "") << kind.name;
  }
}

TEST_P(AttendPagedTest, ReadsOpenPagesOfOneToAllTokens) {
  const auto family = families();
  for (std::size_t tokens = 1; tokens <= page_tokens; ++tokens) {
    const KvType type = tokens % 2 == 0 ? KvType::float16 : KvType::bfloat16;
    AttendPages pages = pages_of(
        family[0], family[1], type, 64, 1 + tokens % 3, [](std::size_t) { return k8v8; }, tokens);
    pages.set_queries(queries_of(query_kinds[0], 2, 64, 10), 0.125F);
    ASSERT_EQ(broken(pages.scene, pages.read()), "") << tokens << " tokens";
  }
}

TEST_P(AttendPagedTest, BoundsPagesThatAreLeftOut) {
  for (const Family& keys : families())
    for (const KvType type : {KvType::float16, KvType::bfloat16}) {
      AttendPages pages =
          pages_of(keys, families()[0], type, 64, 5, [](std::size_t p) { return p % 2 == 0 ? left_out : k8v4; });
      for (const QueryKind& kind : query_kinds) {
        pages.set_queries(queries_of(kind, 2, 64, 11), kind.scale);
        ASSERT_EQ(broken(pages.scene, pages.read()), "") << keys.name << ", " << kind.name << " queries";
      }
    }
}

TEST_P(AttendPagedTest, BoundsATokenAtTheEndOfItsRange) {
  // Of one channel the bound is the logit of the largest key, 256 steps of 2^-5 above 0, but for rounding.
  const Family borders = families()[7];
  AttendPages pages(context(), KvType::float16, 64);
  for (unsigned seed : {1, 2}) pages.add(exact_page(KvType::float16, 64, seed, borders.sample, borders.sample), k8v4);
  pages.set_levels(1, left_out);
  std::vector<float> query(64);
  for (int i = 0; i < 64; ++i) {
    query[0] = 1.0F + static_cast<float>(i) * 0.01F;
    pages.set_queries(query, 0.1F);
    ASSERT_EQ(broken(pages.scene, pages.read()), "") << query[0];
  }
}

TEST_P(AttendPagedTest, BoundsAPageWithoutCodesThatIsLeftOut) {
  // summarize_page() leaves no zero and no step behind: only the reach of the keys is known.
  for (const std::size_t tokens : {1, 63, 64}) {
    const Family family = families()[0];
    AttendPages pages(context(), KvType::float16, 64);
    pages.add(exact_page(KvType::float16, 64, 2, family.sample, family.sample), k8v4);
    pages.add_open(exact_page(KvType::float16, 64, 3, family.sample, family.sample, tokens));
    pages.set_levels(1, left_out);
    pages.set_queries(queries_of(query_kinds[0], 2, 64, 11), 1.0F);
    ASSERT_EQ(broken(pages.scene, pages.read()), "") << tokens << " tokens";
  }
}

TEST_P(AttendPagedTest, IsTheSameWithoutStatistics) {
  const auto family = families();
  AttendPages pages = pages_of(
      family[0], family[0], KvType::float16, 128, 9,
      [](std::size_t p) { return p == 8 ? exact_level : coded_levels[p % 5]; }, 30);
  pages.set_queries(queries_of(query_kinds[0], 4, 128, 14), 0.1F);
  const AttendResult first = pages.read(), second = pages.read(pages.views(), false);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.log_sum_exp, second.log_sum_exp);
}

TEST_P(AttendPagedTest, KnowsNothingOfKeysBeyondHalfButByTheirExactNumbers) {
  ExactPage exact = exact_page(KvType::bfloat16, 64, 5, families()[0].sample, families()[0].sample);
  exact.keys[17 * 64 + 3] = stored(KvType::bfloat16, 1e6);
  AttendPages pages(context(), KvType::bfloat16, 64);
  pages.add(exact, k8v4);
  for (const QueryKind& kind : {query_kinds[0], QueryKind{"zero", 0.0, 1.0F}})  // not 0 times infinity
    for (const Levels levels : {k4v4, k8v4, k12v8}) {
      pages.set_levels(0, levels);
      pages.set_queries(queries_of(kind, 2, 64, 15), 0.01F);
      EXPECT_EQ(pages.read().radius, std::vector<double>(2, HUGE_VAL));
      EXPECT_EQ(pages.read().spread, std::vector<double>(2, HUGE_VAL));
    }
  pages.set_levels(0, exact_level);
  EXPECT_EQ(broken(pages.scene, pages.read()), "");
}

TEST_P(AttendPagedTest, KnowsNothingOfValuesBeyondHalfButByTheirExactNumbers) {
  ExactPage exact = exact_page(KvType::bfloat16, 64, 5, families()[0].sample, families()[0].sample);
  exact.values[17 * 64 + 3] = stored(KvType::bfloat16, 1e6);
  AttendPages pages(context(), KvType::bfloat16, 64);
  pages.add(exact, k8v4);
  pages.set_queries(queries_of(query_kinds[0], 2, 64, 15), 0.1F);
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8}) {
    pages.set_levels(0, {PageLevel::bits8, level});
    EXPECT_EQ(pages.read().value_residual[0], HUGE_VAL);
    EXPECT_EQ(pages.read().value_spread[0], HUGE_VAL);
  }
  pages.set_levels(0, {PageLevel::bits8, PageLevel::exact});
  EXPECT_EQ(broken(pages.scene, pages.read()), "");
}

}  // namespace
}  // namespace mpp::kernels
