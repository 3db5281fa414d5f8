#include <mpp/core/error.hpp>

#include "kernels/attend_scene.hpp"

// What attend_paged() does not read, and what it says then.
namespace mpp::kernels {
namespace {

class AttendRefusalTest : public KernelTest {
 protected:
  static AttendPages coded_pages(unsigned count) {
    const Family family = families()[0];
    AttendPages pages(context(), KvType::float16, 64);
    for (unsigned p = 0; p < count; ++p)
      pages.add(exact_page(KvType::float16, 64, p + 1, family.sample, family.sample), k8v4);
    return pages;
  }
};
MPP_ON_ALL_DEVICES(AttendRefusalTest);

TEST_P(AttendRefusalTest, AStalePageIsAnError) {
  AttendPages pages = coded_pages(3);
  pages.set_queries(queries_of(query_kinds[0], 1, 64, 16), 0.1F);
  for (const PageLevel level : {PageLevel::omitted, PageLevel::bits8, PageLevel::exact}) {
    pages.set_levels(1, {level, level == PageLevel::exact ? PageLevel::exact : level});
    auto views = pages.views();
    EXPECT_NO_THROW(static_cast<void>(pages.read(views)));
    views[1].generation = 2;
    EXPECT_THROW(static_cast<void>(pages.read(views)), StalePage) << static_cast<int>(level);
    EXPECT_NO_THROW(static_cast<void>(pages.read()));
  }
}

TEST_P(AttendRefusalTest, RefusesShapesThatDoNotFit) {
  AttendPages pages = coded_pages(2);
  pages.set_queries(queries_of(query_kinds[0], 1, 64, 17), 0.1F);
  const AttendShape good = pages.scene.shape;
  const auto refused = [&](const AttendShape& shape) {
    pages.scene.shape = shape;
    EXPECT_THROW(static_cast<void>(pages.read()), std::invalid_argument)
        << shape.head_dim << ' ' << shape.group << ' ' << shape.scale;
    pages.scene.shape = good;
  };
  for (const std::size_t head_dim : {0, 16, 48, 288}) refused({head_dim, 1, KvType::float16, 0.1F});
  for (const std::size_t group : {0, 17}) refused({64, group, KvType::float16, 0.1F});
  for (const float scale : {0.0F, -1.0F, HUGE_VALF, std::nanf("")}) refused({64, 1, KvType::float16, scale});

  const auto refused_page = [&](const auto& change) {
    auto views = pages.views();
    change(views[1]);
    EXPECT_THROW(static_cast<void>(pages.read(views)), std::invalid_argument);
  };
  refused_page([](KvPage& page) { page.key_planes[1] = nullptr; });
  refused_page([](KvPage& page) { page.value_planes[0] = nullptr; });
  refused_page([](KvPage& page) { page.key_level = PageLevel::exact; });     // no exact keys
  refused_page([](KvPage& page) { page.value_level = PageLevel::exact; });   // no exact values
  refused_page([](KvPage& page) { page.value_level = PageLevel::bits12; });  // keys only
  refused_page([](KvPage& page) { page.key_level = PageLevel::omitted; });   // but its values are not
  refused_page([](KvPage& page) { page.tokens = 63; });
  refused_page([](KvPage& page) { page.tokens = 65; });
  for (std::size_t p = 0; p < 2; ++p) pages.set_levels(p, left_out);
  EXPECT_THROW(static_cast<void>(pages.read()), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(pages.read(std::vector<KvPage>{})), std::invalid_argument);
}

TEST_P(AttendRefusalTest, RefusesStatisticsOfWhichSomeAreMissing) {
  float number = 0.0F;
  double sum = 0.0;
  const KvPage page;
  const PageStatistics all{&number, &number, &number, &number, &number, &number, &number, &number};
  for (float* PageStatistics::*array :
       {&PageStatistics::max_logit, &PageStatistics::mass, &PageStatistics::radius, &PageStatistics::spread,
        &PageStatistics::energy, &PageStatistics::value_residual, &PageStatistics::value_spread,
        &PageStatistics::value_reach}) {
    KvRead read{&page, 1, &number, &number, &sum, all};
    read.statistics.*array = nullptr;
    const std::string message = message_of<ShapeError>([&] {
      attend_paged(context(), {64, 1, KvType::float16, 1.0F}, std::array{read});
    });
    EXPECT_NE(message.find("7 of 8 arrays of statistics, expected all or none"), std::string::npos) << message;
  }
}

TEST_P(AttendRefusalTest, RefusesAQueryThatIsNotFinite) {
  AttendPages pages = coded_pages(2);
  for (const float bad : {HUGE_VALF, -HUGE_VALF, std::nanf("")}) {
    auto queries = queries_of(query_kinds[0], 3, 64, 18);
    queries[2 * 64 + 5] = bad;
    pages.set_queries(queries, 0.1F);
    EXPECT_THROW(static_cast<void>(pages.read()), ValueError);
  }
}

TEST_P(AttendRefusalTest, NamesTheFirstReadAndPageThatAreWrong) {
  AttendPages pages = coded_pages(200);  // several blocks of a device
  pages.set_queries(queries_of(query_kinds[0], 1, 64, 19), 0.1F);
  auto views = pages.views();
  for (const std::size_t bad : {150, 70}) views[bad].generation = 9;
  const auto stale = message_of<StalePage>([&] { static_cast<void>(pages.read(views)); });
  EXPECT_NE(stale.find("attend_paged: read 0: page 70 is of"), std::string::npos) << stale;
  views[150].key_planes[0] = nullptr;
  views[70].generation = 1;
  const auto malformed = message_of<ShapeError>([&] { static_cast<void>(pages.read(views)); });
  EXPECT_NE(malformed.find("attend_paged: read 0: page 150 has levels that"), std::string::npos) << malformed;
}

TEST_P(AttendRefusalTest, APageThatWasOnlySummarisedHasNoCodes) {
  const Family family = families()[0];
  const ExactPage exact = exact_page(KvType::float16, 64, 5, family.sample, family.sample);
  DevicePage coded(context(), exact), summarised(context(), exact, 1, false);
  AttendPages pages = coded_pages(1);
  pages.set_queries(queries_of(query_kinds[0], 1, 64, 20), 0.1F);
  for (const Levels levels :
       {k8v4, Levels{PageLevel::bits8, PageLevel::exact}, Levels{PageLevel::exact, PageLevel::bits4}}) {
    KvPage forged = coded.view(levels.key, levels.value);
    EXPECT_NO_THROW(static_cast<void>(pages.read({forged})));
    forged.metadata = summarised.view(PageLevel::exact, PageLevel::exact).metadata;
    EXPECT_THROW(static_cast<void>(pages.read({forged})), ShapeError) << static_cast<int>(levels.key);
  }
  const KvPage honest = summarised.view(PageLevel::exact, PageLevel::exact);
  EXPECT_NO_THROW(static_cast<void>(pages.read({honest})));
}

TEST_P(AttendRefusalTest, APageOfFewerTokensThanItsViewSays) {
  const Family family = families()[0];
  AttendPages pages(context(), KvType::float16, 64);
  pages.add_open(exact_page(KvType::float16, 64, 6, family.sample, family.sample, 20));
  pages.set_queries(queries_of(query_kinds[0], 1, 64, 21), 0.1F);
  auto views = pages.views();
  views[0].tokens = 19;
  EXPECT_NO_THROW(static_cast<void>(pages.read(views)));
  views[0].tokens = 21;
  EXPECT_THROW(static_cast<void>(pages.read(views)), ShapeError);
}

// Not refused: the keys are numbers. Their sums near the end of bfloat16 are infinite, of either sign.
TEST_P(AttendRefusalTest, ALogitThatIsNoNumberMakesTheOutputNone) {
  const auto key = [](std::mt19937_64&, std::size_t i, std::size_t j) { return i != 5 ? 0.0 : j < 16 ? 3e38 : -3e38; };
  const auto value = [](std::mt19937_64&, std::size_t, std::size_t) { return 1.0; };
  AttendPages pages(context(), KvType::bfloat16, 32);
  pages.add_open(exact_page(KvType::bfloat16, 32, 1, key, value));
  pages.set_queries(std::vector<float>(32, 1.0F), 1.0F);
  EXPECT_TRUE(std::isnan(pages.read().output[0]));
}

}  // namespace
}  // namespace mpp::kernels
