#include "support/figures.hpp"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>

namespace mpp::examples {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// What lies between `before` and the next `after`, all of them, in order.
std::vector<std::string> between(const std::string& drawing, const std::string& before, const std::string& after) {
  std::vector<std::string> out;
  for (std::size_t at = drawing.find(before); at != std::string::npos; at = drawing.find(before, at)) {
    at += before.size();
    out.push_back(drawing.substr(at, drawing.find(after, at) - at));
  }
  return out;
}

// Values of an attribute of all elements with a class, in order.
std::vector<double> values(const std::string& drawing, const std::string& element, const std::string& attribute,
                           const std::string& style) {
  std::vector<double> out;
  for (const std::string& tag : between(drawing, "<" + element + " ", ">")) {
    if (tag.find("class=\"" + style + "\"") == std::string::npos) continue;
    for (const std::string& value : between(" " + tag, " " + attribute + "=\"", "\"")) out.push_back(std::stod(value));
  }
  return out;
}

// No coordinate is NaN or infinite. Those of a drawing are in these attributes; hover texts may say "inf".
bool finite(const std::string& drawing) {
  for (const char* attribute : {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "points", "d"})
    for (const std::string& value : between(drawing, std::string(" ") + attribute + "=\"", "\""))
      if (value.find("nan") != std::string::npos || value.find("inf") != std::string::npos) return false;
  return true;
}

TEST(Bars, PartsAreAsWideAsTheirShare) {
  const std::string drawing = svg(Bars{"", {"a", "b", "c"}, {{"row", {1.0, 0.0, 3.0}}}});
  const auto widths = values(drawing, "rect", "width", "cool");
  ASSERT_EQ(widths.size(), 5u);  // three in the legend; the empty part is not drawn
  EXPECT_NEAR((widths[4] + 2) / (widths[3] + 2), 3.0, 1e-3);
}

TEST(Bars, TheRestIsPartOfTheWhole) {
  const std::string drawing = svg(Bars{"", {"a"}, {{"row", {1.0}, 3.0}, {"none", {0.0}, 2.0}}, "open"});
  const auto cool = values(drawing, "rect", "width", "cool"), warm = values(drawing, "rect", "width", "warm");
  ASSERT_EQ(cool.size(), 2u);
  ASSERT_EQ(warm.size(), 3u);  // the legend, and both rows
  EXPECT_NEAR((warm[1] + 2) / (cool[1] + 2), 3.0, 1e-3);
  EXPECT_NEAR(warm[2] - warm[1], cool[1] + 2, 1e-3);
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
  for (const char* hue : {"cool", "warm"})
    for (const double y : values(drawing, "circle", "cy", hue)) EXPECT_TRUE(y >= 0.0 && y <= 396.0);
  EXPECT_TRUE(finite(svg(Curve{"", "", {"a"}, {{"zero", {Quantiles{}}}}, {}})));
}

TEST(ByteSpread, CountsEveryRequestOnce) {
  const std::string drawing = svg(ByteSpread{"", {"a", "b"}, {{"row", {{1e6, 1e6, 5e6}, {2e7}}}}, 1e8});
  int requests = 0;
  for (const char* group : {"a", "b"})
    for (const std::string& count : between(drawing, text("<title>", group, ": "), "<")) requests += std::stoi(count);
  EXPECT_EQ(requests, 4);
}

TEST(ByteSpread, StaysOnThePageWhateverTheValues) {
  EXPECT_TRUE(finite(svg(ByteSpread{"", {"a"}, {{"denied", {{0.0}}}, {"none", {{}}}, {"huge", {{1e19}}}}, 1.0})));
}

TEST(Figures, TheFinitenessCheckCatchesWhatIsNotANumber) {
  EXPECT_FALSE(finite("<circle cx=\"nan\"/>"));
  EXPECT_FALSE(finite("<polyline points=\"1,2 3,-inf \"/>"));
}

TEST(PageMap, NeighboursAtOneLevelAreOneRectangleAsWideAsTheirPages) {
  const std::string drawing = svg(PageMap{"", {"low", "high"}, {{"row", {0, 0, 0, 1, 0, 0}}}});
  const auto x = values(drawing, "rect", "x", "cool"), widths = values(drawing, "rect", "width", "cool");
  ASSERT_EQ(widths.size(), 5u);  // two in the legend
  EXPECT_NEAR(widths[2], 3.0 * widths[3], 1e-2);
  EXPECT_NEAR(x[3], x[2] + widths[2], 1e-2);
  EXPECT_NE(drawing.find("high: pages 3 to 3"), std::string::npos);
  EXPECT_TRUE(finite(svg(PageMap{"", {"low"}, {{"none", {}}}})));
}

TEST(PageMap, RejectsALevelWithoutAName) { EXPECT_THROW((void)svg(PageMap{"", {"low"}, {{"row", {1}}}}), ShapeError); }

}  // namespace
}  // namespace mpp::examples
