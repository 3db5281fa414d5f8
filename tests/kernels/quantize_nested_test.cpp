#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>

#include "kernels/samples.hpp"
#include "reference/sign_code.hpp"

namespace mpp::kernels {
namespace {

class QuantizeNestedTest : public KernelTest {};
MPP_ON_ALL_DEVICES(QuantizeNestedTest);

/// Rows of one scene together with the clip and the exponent they are coded with.
struct Scene {
  std::string name;
  std::vector<float> rows;
  int unit_exponent = 0;
  float clip = 1.0F;
};

std::vector<float> concatenated(std::initializer_list<std::vector<float>> parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
std::vector<float> one_hot(std::size_t dims, std::size_t at, float value) {
  std::vector<float> row(dims, 0.0F);
  row[at] = value;
  return row;
}

std::vector<Scene> scenes(std::size_t dims) {
  const int about_norm = std::ilogb(std::sqrt(static_cast<double>(dims)));
  const auto zero = std::vector<float>(dims, 0.0F);
  const auto odd = std::vector<float>(dims, 1.0F + 0x1p-11F);  // a scale half way between two halves
  return {
      {"gaussian", gaussian(65 * dims, 1), about_norm},
      {"clipped", gaussian(65 * dims, 2), about_norm, 0.7F},
      {"huge", gaussian(3 * dims, 3, 1e37), 122},
      {"denormal", gaussian(3 * dims, 4, 1e-41), -136},
      {"far below the unit", gaussian(3 * dims, 5, 1e-6), 0},
      {"far above the unit", gaussian(3 * dims, 6, 1e6), 0},
      {"special", concatenated({zero, one_hot(dims, 0, 1.0F), one_hot(dims, dims - 1, -3.0F), odd,
                                std::vector<float>(dims, 0.1F), std::vector<float>(dims, -0.0F), zero})},
  };
}

// Number of rows and planes whose factors break their promise after `change` has been applied to them.
template <class Change>
std::size_t broken(const HostCode& code, const Scene& scene, std::size_t dims, Change change, std::string* first) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < scene.rows.size() / dims; ++i)
    for (std::size_t p = 0; p < planes; ++p) {
      const auto why = reference::broken_promise(std::span(scene.rows).subspan(i * dims, dims),
                                                 reference::code_values(code.codes, i, p, dims),
                                                 change(code.factors[p][i]), scene.unit_exponent);
      if (!why.empty() && count++ == 0 && first != nullptr)
        *first = text(scene.name, ", row ", i, ", plane ", p, ": ", why);
    }
  return count;
}
constexpr auto unchanged = [](PlaneFactors f) { return f; };

TEST_P(QuantizeNestedTest, FactorsKeepTheirPromise) {
  for (const std::size_t dims : {8, 64, 96, 128, 384, 1024})
    for (const Scene& scene : scenes(dims)) {
      const HostCode code = quantize(context(), scene.rows, dims, scene.unit_exponent, scene.clip);
      std::string first;
      EXPECT_EQ(broken(code, scene, dims, unchanged, &first), 0U) << "dims " << dims << ": " << first;
    }
}

TEST_P(QuantizeNestedTest, TheTestAboveCatchesFactorsRoundedTheWrongWay) {
  constexpr std::size_t dims = 96;
  const Scene scene = scenes(dims).front();
  const HostCode code = quantize(context(), scene.rows, dims, scene.unit_exponent);
  const auto below = [](Half h) { return Half{static_cast<std::uint16_t>(h.bits - 1)}; };
  const auto above = [](Half h) { return Half{static_cast<std::uint16_t>(h.bits + 1)}; };
  const auto caught = [&](auto change) { return broken(code, scene, dims, change, nullptr); };
  EXPECT_GT(caught([&](PlaneFactors f) { return f.residual = below(f.residual), f; }), 0U);
  EXPECT_GT(caught([&](PlaneFactors f) { return f.norm = below(f.norm), f; }), 0U);
  EXPECT_GT(caught([&](PlaneFactors f) { return f.scale = below(f.scale), f; }), 0U);
  EXPECT_GT(caught([&](PlaneFactors f) { return f.scale = above(f.scale), f; }), 0U);
  EXPECT_GT(caught([&](PlaneFactors f) { return f.scale = {}, f; }), 0U);
}

TEST_P(QuantizeNestedTest, FactorsAreNotWiderThanTheirRounding) {
  // A bound of infinity everywhere would be sound: rows whose scale fits Half must get a residual within one unit in
  // the last place (2^-10 relative, 2^-24 absolute) of the true one, here via its complement: one step further down
  // is broken.
  constexpr std::size_t dims = 128;
  const Scene scene = scenes(dims).front();
  const HostCode code = quantize(context(), scene.rows, dims, scene.unit_exponent);
  const auto two_below = [](PlaneFactors f) {
    return f.residual.bits = static_cast<std::uint16_t>(f.residual.bits - 2), f;
  };
  EXPECT_EQ(broken(code, scene, dims, two_below, nullptr), 65 * planes);
}

TEST_P(QuantizeNestedTest, CodesAreTheNearestCellsOfTheGrid) {
  constexpr std::size_t dims = 64;
  for (const float clip : {1.0F, 0.7F}) {
    const auto rows = gaussian(65 * dims, 8);
    const HostCode code = quantize(context(), rows, dims, 3, clip);
    for (std::size_t i = 0; i < 65; ++i) {
      const auto v = reference::code_values(code.codes, i, planes - 1, dims);
      double limit = 0.0;
      for (std::size_t j = 0; j < dims; ++j) limit = std::max(limit, std::fabs(double{rows[i * dims + j]}));
      limit *= clip;
      for (std::size_t j = 0; j < dims; ++j) {
        const double y = rows[i * dims + j], inside = std::clamp(y, -limit, limit);
        // Half a cell, plus the rounding of the position.
        EXPECT_LE(std::fabs(inside - limit * v[j] / 256.0), limit / 256.0 * (1 + 1e-9)) << i << ", " << j;
      }
    }
  }
}

TEST_P(QuantizeNestedTest, ZeroRowsHaveZeroFactorsAndTinyRowsAnInfiniteResidual) {
  constexpr std::size_t dims = 8;
  const HostCode code =
      quantize(context(), concatenated({std::vector<float>(dims, 0.0F), gaussian(dims, 1, 1e-20)}), dims);
  for (std::size_t p = 0; p < planes; ++p) {
    EXPECT_EQ(code.factors[p][0].scale, Half{});
    EXPECT_EQ(code.factors[p][0].residual, Half{});
    EXPECT_EQ(code.factors[p][1].scale, Half{});
    EXPECT_EQ(to_float(code.factors[p][1].residual), std::numeric_limits<float>::infinity());
  }
}

TEST_P(QuantizeNestedTest, AcceptsNoRowsAndTheLargestDims) {
  EXPECT_TRUE(quantize(context(), {}, 64).factors[0].empty());
  const Scene scene{"largest", gaussian(2 * 32768, 9), 7};
  std::string first;
  EXPECT_EQ(broken(quantize(context(), scene.rows, 32768, 7), scene, 32768, unchanged, &first), 0U) << first;
}

TEST_P(QuantizeNestedTest, NamesTheFirstRowThatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    auto rows = gaussian(1000 * 64, 10);
    rows[137 * 64 + 63] = bad;
    rows[900 * 64] = bad;
    EXPECT_EQ(message_of<ValueError>([&] { quantize(context(), rows, 64); }),
              "quantize_nested: row 137 holds NaN or infinity, expected finite values");
  }
}

TEST_P(QuantizeNestedTest, NamesTheArgumentThatDoesNotFit) {
  const auto message = [&](std::size_t values, std::size_t dims, float clip) {
    return message_of<std::invalid_argument>([&] {
      const auto rows = upload(std::vector<float>(values));
      quantize_nested(context(), rows.span(), dims, 0, clip, {});
    });
  };
  EXPECT_NE(message(12, 12, 1.0F).find("dims is 12"), std::string::npos);
  EXPECT_NE(message(12, 8, 1.0F).find("rows has 12"), std::string::npos);
  EXPECT_NE(message(8, 8, 0.0F).find("clip is 0"), std::string::npos);
  EXPECT_NE(message(8, 8, 1.5F).find("clip is 1.5"), std::string::npos);
  EXPECT_NE(message(8, 8, std::nanf("")).find("clip is nan"), std::string::npos);
  EXPECT_NE(message(8, 8, 1.0F).find("codes[0] has 0"), std::string::npos);
}

}  // namespace
}  // namespace mpp::kernels
