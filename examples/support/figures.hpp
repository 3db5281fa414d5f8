#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "support/statistics.hpp"

namespace mpp::examples {

/// Where requests stopped: one bar per row, one part per level, as shares of the row. What no level released is the rest.
struct Bars {
  struct Row {
    std::string label;
    std::vector<double> counts;  ///< [levels], >= 0
    double rest = 0.0;
  };
  std::string title;
  std::vector<std::string> levels;  ///< names, cheapest first
  std::vector<Row> rows;
  std::string rest = {};  ///< its name; empty if there can be none
};

/// How something falls from level to level: quantiles per level on a logarithmic axis with a lane of its own for zero.
/// Infinite values lie on the upper edge.
struct Curve {
  struct Line {
    std::string label;
    std::vector<Quantiles> points;  ///< [levels], >= 0
  };
  struct Mark {
    std::string label;
    double value{};  ///< > 0: a horizontal line
  };
  std::string title, unit;
  std::vector<std::string> levels;
  std::vector<Line> lines;  ///< at most 2
  std::vector<Mark> marks;
};

/// How bytes per request are distributed: one histogram per row on a common logarithmic axis, with what the worst case
/// would take. Groups of requests are stacked.
struct ByteSpread {
  struct Row {
    std::string label;
    std::vector<std::vector<double>> bytes;  ///< [groups][requests]; 0 lies on the lower edge
  };
  std::string title;
  std::vector<std::string> groups;
  std::vector<Row> rows;
  double worst_case{};  ///< bytes, > 0
};

/// Which pages of a context were brought in, and how far: one strip per row, the oldest page on the left.
struct PageMap {
  struct Row {
    std::string label;
    std::vector<std::size_t> levels;  ///< [pages], indices of `levels`
  };
  std::string title;
  std::vector<std::string> levels;  ///< names, cheapest first
  std::vector<Row> rows;
};

/// Inline SVG, as wide as its place, coloured by the classes of the page that report.cpp writes.
/// @throws ShapeError if the parts do not fit together
[[nodiscard]] std::string svg(const Bars& figure);
[[nodiscard]] std::string svg(const Curve& figure);
[[nodiscard]] std::string svg(const ByteSpread& figure);
[[nodiscard]] std::string svg(const PageMap& figure);

/// Text for HTML: & < > " replaced.
[[nodiscard]] std::string escaped(const std::string& text);

}  // namespace mpp::examples
