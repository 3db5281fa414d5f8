#include "support/figures.hpp"

#include <limits>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>

namespace mpp::examples {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Values of an attribute of all elements with a class, in order.
std::vector<double> values(const std::string& drawing, const std::string& element, const std::string& attribute,
                           const std::string& style) {
  const std::regex tag("<" + element + " [^>]*class=\"" + style + "\"[^>]*>");
  const std::regex value(" " + attribute + "=\"([^\"]*)\"");
  std::vector<double> out;
  for (std::sregex_iterator it(drawing.begin(), drawing.end(), tag), end; it != end; ++it) {
    const std::string found = it->str();
    std::smatch match;
    if (std::regex_search(found, match, value)) out.push_back(std::stod(match[1]));
  }
  return out;
}

bool finite(const std::string& drawing) { return !std::regex_search(drawing, std::regex("=\"[^\"a-z]*(nan|inf)")); }

TEST(Bars, PartsAreAsWideAsTheirShare) {
  const std::string drawing = svg(Bars{"", {"a", "b", "c"}, {{"row", {1.0, 0.0, 3.0}}}});
  const auto widths = values(drawing, "rect", "width", "cool");
  ASSERT_EQ(widths.size(), 5u);  // three in the legend; the empty part is not drawn
  EXPECT_NEAR((widths[4] + 2) / (widths[3] + 2), 3.0, 1e-3);
}

TEST(Bars, AnEmptyRowSaysSo) {
  const std::string drawing = svg(Bars{"", {"a"}, {{"row", {0.0}}}});
  EXPECT_NE(drawing.find("nothing was released"), std::string::npos);
  EXPECT_TRUE(finite(drawing));
}

TEST(Bars, RejectARowOfAnotherLength) { EXPECT_THROW((void)svg(Bars{"", {"a", "b"}, {{"row", {1.0}}}}), ShapeError); }

TEST(Curve, EqualRatiosAreEqualDistancesAndZeroLiesBelowAll) {
  const auto same = [](double v) { return Quantiles{v, v, v, v}; };
  const std::string drawing =
      svg(Curve{"", "", {"a", "b", "c", "d"}, {{"line", {same(100), same(10), same(1), same(0)}}}, {}});
  const auto y = values(drawing, "circle", "cy", "cool");
  ASSERT_EQ(y.size(), 5u);  // four points and the legend
  EXPECT_NEAR(y[1] - y[0], y[2] - y[1], 0.01);
  EXPECT_GT(y[1], y[0]);
  EXPECT_GT(y[3], y[2]);
}

TEST(Curve, StaysOnThePageWhateverTheValues) {
  const Quantiles wild{0.0, 1e-300, 1e300, infinity};
  const std::string drawing = svg(Curve{"", "", {"a"}, {{"one", {wild}}, {"two", {wild}}}, {{"mark", infinity}}});
  EXPECT_TRUE(finite(drawing));
  for (const double y : values(drawing, "circle", "cy", "(cool|warm)")) EXPECT_TRUE(y >= 0.0 && y <= 396.0);
  EXPECT_TRUE(finite(svg(Curve{"", "", {"a"}, {{"zero", {Quantiles{}}}}, {}})));
}

TEST(ByteSpread, CountsEveryRequestOnce) {
  const std::string drawing = svg(ByteSpread{"", {"a", "b"}, {{"row", {{1e6, 1e6, 5e6}, {2e7}}}}, 1e8});
  const std::regex hover("<title>(a|b): (\\d+)</title>");
  int requests = 0;
  for (std::sregex_iterator it(drawing.begin(), drawing.end(), hover), end; it != end; ++it)
    requests += std::stoi((*it)[2]);
  EXPECT_EQ(requests, 4);
}

TEST(ByteSpread, StaysOnThePageWhateverTheValues) {
  EXPECT_TRUE(finite(svg(ByteSpread{"", {"a"}, {{"denied", {{0.0}}}, {"none", {{}}}, {"huge", {{1e19}}}}, 1.0})));
}

TEST(Figures, TheFinitenessCheckCatchesWhatIsNotANumber) {
  EXPECT_FALSE(finite("<circle cx=\"nan\"/>"));
  EXPECT_FALSE(finite("<polyline points=\"1,2 3,-inf \"/>"));
}

}  // namespace
}  // namespace mpp::examples
