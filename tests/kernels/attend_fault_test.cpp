#include "kernels/attend_scene.hpp"
#include "kernels/spread_scene.hpp"

// attend_paged in double precision passes the tests of attend_paged_test.cpp, and fails them with any of the mistakes that a
// kernel could make. So those tests can fail.
namespace mpp::kernels {
namespace {

using reference::AttendFault;

/// The scene of `exact` at these levels, coded by the reference.
AttendScene scene_of(const ExactPage& exact, Levels levels, std::vector<float> queries, float scale) {
  AttendScene scene;
  scene.shape = {exact.head_dim, queries.size() / exact.head_dim, exact.type, scale};
  scene.pages.push_back({reference::quantize_page(exact.key_rows(), exact.value_rows()), page_tokens, levels.key,
                         levels.value, doubles(exact.key_rows()), doubles(exact.value_rows())});
  scene.queries = std::move(queries);
  return scene;
}

ErrorRatios worst_of(AttendFault fault, PageLevel level) {
  ErrorRatios worst;
  const auto look = [&](const ExactPage& exact, std::vector<float> queries, float scale) {
    const AttendScene scene = scene_of(exact, {level, PageLevel::exact}, std::move(queries), scale);
    worst.take(worst_ratios(scene, reference::attend_paged(scene, fault), 0));
  };
  for (const Family& family : families())
    for (const double logit : {0.01, 1.0, 10.0}) {
      const ExactPage exact = exact_page(KvType::float16, 64, 21, family.sample, unit_values(0));
      const double reach = std::max(reference::norm(doubles(exact.key_rows())), 1e-20);
      look(exact, queries_of(query_kinds[0], 4, 64, 12), static_cast<float>(4.0 * logit / reach));
      look(exact, std::vector<float>(64, 1.0F), static_cast<float>(4.0 * logit / reach));
    }
  const WorstRounding hard = worst_rounding(128, 0);
  look(hard.page, hard.query, 0.1F);
  // All tokens of a page err in the same way: by their residuals, and by the rounding of the query alone.
  const auto values = exact_page(KvType::bfloat16, 128, 1, unit_values(0), unit_values(0)).values;
  ExactPage off = page_of_residuals(128, level, [](std::size_t, std::size_t) { return -0.5; });
  off.values = values;
  const auto half_step = std::ldexp(1.0, -17 - reference::bits_of(level));
  look(off, std::vector<float>(128, 1.0F), static_cast<float>(1.0 / (128.0 * half_step)));
  ExactPage middle = page_of_residuals(128, PageLevel::bits12, [](std::size_t, std::size_t) { return 0.0; });
  middle.values = values;
  look(middle, hard.query, 0x1p24F);
  return worst;
}

TEST(AttendPaged, TheReferenceStaysWithinItsRadiusAndItsSpread) {
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12, PageLevel::exact}) {
    const ErrorRatios worst = worst_of(AttendFault::none, level);
    EXPECT_LE(worst.radius, 1.0) << static_cast<int>(level);
    EXPECT_LE(worst.spread, 1.0) << static_cast<int>(level);
    EXPECT_GT(worst.radius, level == PageLevel::exact ? -1.0 : 0.3) << static_cast<int>(level);
    EXPECT_GT(worst.spread, level == PageLevel::exact ? -1.0 : 0.85) << static_cast<int>(level);
  }
}

TEST(AttendPaged, ARadiusOrASpreadWithAMistakeIsCaught) {
  EXPECT_GT(worst_of(AttendFault::radius_without_query_rounding, PageLevel::bits12).radius, 1.0);
  EXPECT_GT(worst_of(AttendFault::radius_of_8_bits, PageLevel::bits4).radius, 1.0);
  EXPECT_GT(worst_of(AttendFault::radius_without_residual, PageLevel::bits8).radius, 1.0);
  EXPECT_GT(worst_of(AttendFault::fine_half_step_wrong, PageLevel::bits12).radius, 1.0);
  EXPECT_GT(worst_of(AttendFault::spread_without_query_rounding, PageLevel::bits12).spread, 1.0);
  EXPECT_GT(worst_of(AttendFault::spread_of_8_bits, PageLevel::bits4).spread, 1.0);
  for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12})
    EXPECT_GT(worst_of(AttendFault::half_step_forgotten, level).radius, 1.0) << static_cast<int>(level);
}

TEST(AttendPaged, TheReferenceKeepsThePromiseOfEveryNumberAndAChangedNumberIsCaught) {
  const Family family = families()[0];
  for (const Levels levels : {k4v4, k8v8, k12v4, exact_level}) {
    const ExactPage exact = exact_page(KvType::float16, 64, 3, family.sample, family.sample);
    const AttendScene scene = scene_of(exact, levels, queries_of(query_kinds[1], 2, 64, 4), 0.125F);
    const AttendResult good = reference::attend_paged(scene);
    const auto broken = [&](const AttendResult& result) { return reference::AttendPromise(scene, result).broken(); };
    EXPECT_EQ(broken(good), "");
    const auto caught = [&](const auto& change) {
      AttendResult result = good;
      change(result);
      EXPECT_NE(broken(result), "");
    };
    caught([](AttendResult& result) { result.max_logit[1] += 0.01; });
    caught([](AttendResult& result) { result.mass[1] *= 1.00005; });
    caught([](AttendResult& result) { result.energy[1] *= 1.003; });
    caught([](AttendResult& result) { result.log_sum_exp[1] += 2e-4; });
    caught([](AttendResult& result) { result.output[70] += 0.02; });
    caught([](AttendResult& result) { result.value_reach[0] *= 0.999; });
    caught([](AttendResult& result) { result.spread[1] = -1.0; });
    caught([](AttendResult& result) { result.spread[1] = std::nan(""); });
    if (levels.value == PageLevel::exact) {
      caught([](AttendResult& result) { result.value_spread[0] = 1e-30; });
      continue;
    }
    caught([](AttendResult& result) { result.value_residual[0] *= 0.9; });
    caught([](AttendResult& result) { result.value_spread[0] *= 0.1; });  // 8 times a residual, and then not
    caught([](AttendResult& result) { result.value_spread[0] = 0.0; });
    caught([](AttendResult& result) { result.spread[1] = 0.0; });
    caught([](AttendResult& result) { result.radius[1] = 0.0; });
  }
}

}  // namespace
}  // namespace mpp::kernels
