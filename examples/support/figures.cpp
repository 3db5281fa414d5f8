#include "support/figures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include <mpp/core/error.hpp>

#include "support/table.hpp"

namespace mpp::examples {
namespace {

constexpr double width = 760;
constexpr double left = 108;  // room for row labels
constexpr double right = width - 24;

std::string opened(const std::string& title, double height) {
  return text("<svg viewBox=\"0 0 ", width, " ", height, "\" role=\"img\" aria-label=\"", escaped(title), "\">\n");
}

std::string label(double x, double y, std::string_view anchor, std::string_view style, const std::string& words) {
  return text("<text x=\"", x, "\" y=\"", y, "\" text-anchor=\"", anchor, "\" class=\"", style, "\">", escaped(words),
              "</text>\n");
}

std::string rectangle(double x, double y, double w, double h, std::string_view style, double opacity,
                      const std::string& hover) {
  return text("<rect x=\"", x, "\" y=\"", y, "\" width=\"", w, "\" height=\"", h, "\" class=\"", style,
              "\" fill-opacity=\"", opacity, "\"><title>", escaped(hover), "</title></rect>\n");
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return text("<line x1=\"", x1, "\" y1=\"", y1, "\" x2=\"", x2, "\" y2=\"", y2, "\" class=\"", style, "\"/>\n");
}

// One hue from pale to full, so that the order of levels or groups can be seen without a legend.
double shade(std::size_t i, std::size_t n) {
  return n < 2 ? 1.0 : 0.25 + 0.75 * static_cast<double>(i) / static_cast<double>(n - 1);
}

std::string shade_legend(const std::vector<std::string>& names, double y, double& x) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += rectangle(x, y - 10, 12, 12, "cool", shade(i, names.size()), names[i]) +
           label(x + 18, y, "start", "soft", names[i]);
    x += 44 + 6.6 * static_cast<double>(names[i].size());
  }
  return out;
}

// Logarithmic axis from the power of ten below the smallest value to a little above the largest one, at most six
// decades: a lone tiny value must not flatten the rest.
class LogAxis {
 public:
  LogAxis(double smallest, double largest)
      : high_(std::log10(largest) + 0.15), low_(std::floor(std::max(std::log10(smallest), high_ - 6.0))) {}

  /// Position in [0, 1]; what lies outside goes to the edge.
  double at(double value) const { return std::clamp((std::log10(value) - low_) / (high_ - low_), 0.0, 1.0); }

  /// Powers of ten on the axis.
  std::vector<double> ticks() const {
    std::vector<double> ticks;
    for (double decade = low_; decade <= high_; decade += 1.0) ticks.push_back(std::pow(10.0, decade));
    return ticks;
  }

 private:
  double high_, low_;
};

}  // namespace

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string svg(const Bars& figure) {
  constexpr double row_height = 46;
  std::string out = opened(figure.title, 40 + row_height * static_cast<double>(figure.rows.size()));
  double after_legend = left;
  out += shade_legend(figure.levels, 18, after_legend);
  if (!figure.rest.empty())
    out += rectangle(after_legend, 8, 12, 12, "warm", 1.0, figure.rest) +
           label(after_legend + 18, 18, "start", "soft", figure.rest);
  double y = 36;
  for (const Bars::Row& row : figure.rows) {
    expects<ShapeError>(row.counts.size() == figure.levels.size(), "Bars: ", row.counts.size(), " counts, expected ",
                        figure.levels.size());
    const double all = total(row.counts) + row.rest;
    out += label(left - 12, y + 21, "end", "ink", row.label);
    if (all == 0.0) out += label(left, y + 21, "start", "soft", "nothing was released");
    double x = left;
    const auto part = [&](double count, const std::string& name, std::string_view hue, double opacity) {
      if (count == 0.0) return;
      const double share = count / all;
      const double w = share * (right - left);
      const std::string percent = compact(100.0 * share, 2) + " %";
      out += rectangle(x, y, std::max(w - 2, 0.5), 32, hue, opacity, name + ": " + percent);
      if (w > 44) out += label(x + w / 2 - 1, y + 21, "middle", opacity > 0.5 ? "paper" : "ink", percent);
      x += w;
    };
    for (std::size_t level = 0; level < row.counts.size(); ++level)
      part(row.counts[level], figure.levels[level], "cool", shade(level, row.counts.size()));
    part(row.rest, figure.rest, "warm", 1.0);
    y += row_height;
  }
  return out + "</svg>\n";
}

std::string svg(const Curve& figure) {
  constexpr double top = 44, bottom = 330, zero = 356, height = 396;
  expects<ShapeError>(figure.lines.size() <= 2, "Curve: ", figure.lines.size(), " lines, expected at most 2");
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
  const auto cover = [&](double value) {
    if (!(value > 0.0) || std::isinf(value)) return;
    smallest = std::min(smallest, value);
    largest = std::max(largest, value);
  };
  for (const Curve::Line& one : figure.lines) {
    expects<ShapeError>(one.points.size() == figure.levels.size(), "Curve: ", one.points.size(), " points, expected ",
                        figure.levels.size());
    for (const Quantiles& p : one.points)
      for (const double value : {p.low, p.mid, p.high, p.most}) cover(value);
  }
  for (const Curve::Mark& mark : figure.marks) cover(mark.value);
  const LogAxis axis = largest > 0.0 ? LogAxis(smallest, largest) : LogAxis(0.1, 1.0);
  const auto y_of = [&](double value) { return value > 0.0 ? bottom - axis.at(value) * (bottom - top) : zero; };
  const double step = (right - left) / static_cast<double>(std::max<std::size_t>(figure.levels.size(), 1));
  const auto x_of = [&](std::size_t level) { return left + (static_cast<double>(level) + 0.5) * step; };

  std::string out = opened(figure.title, height);
  for (const double tick : axis.ticks()) {
    const double y = y_of(tick);
    out += line(left, y, right, y, "grid") + label(left - 12, y + 4, "end", "soft", compact(tick, 1));
  }
  out += line(left, zero, right, zero, "grid") + label(left - 12, zero + 4, "end", "soft", "0");
  out += label(left - 12, 18, "end", "soft", figure.unit);
  for (std::size_t level = 0; level < figure.levels.size(); ++level)
    out += label(x_of(level), height - 12, "middle", "ink", figure.levels[level]);
  for (const Curve::Mark& mark : figure.marks) {
    const double y = y_of(mark.value);
    out += line(left, y, right, y, "mark") + label(right, y - 5, "end", "soft", mark.label);
  }

  static constexpr std::string_view hues[] = {"cool", "warm"};
  for (std::size_t i = 0; i < figure.lines.size(); ++i) {
    const Curve::Line& one = figure.lines[i];
    const std::string hue(hues[i]);
    const double aside = 10.0 * (static_cast<double>(i) - 0.5);  // both lines end on zero and would hide each other
    std::string band, back, middle, points;
    for (std::size_t level = 0; level < one.points.size(); ++level) {
      const Quantiles& p = one.points[level];
      const double x = x_of(level) + aside;
      band += text(x, ",", y_of(p.high), " ");
      back = text(x, ",", y_of(p.low), " ") + back;
      middle += text(x, ",", y_of(p.mid), " ");
      points += line(x, y_of(p.high), x, y_of(p.most), hue + "-line thin") +
                line(x - 4, y_of(p.most), x + 4, y_of(p.most), hue + "-line thin") +
                text("<circle cx=\"", x, "\" cy=\"", y_of(p.mid), "\" r=\"4\" class=\"", hue, "\"><title>",
                     escaped(text(one.label, ", ", figure.levels[level], ": median ", compact(p.mid), ", 10 to 90 % ",
                                  compact(p.low), " to ", compact(p.high), ", largest ", compact(p.most))),
                     "</title></circle>\n");
    }
    out += text("<polygon points=\"", band, back, "\" class=\"", hue, "\" fill-opacity=\"0.14\"/>\n<polyline points=\"",
                middle, "\" class=\"", hue, "-line\"/>\n", points);
    const double x = left + 250.0 * static_cast<double>(i);
    out += text("<circle cx=\"", x + 6, "\" cy=\"14\" r=\"5\" class=\"", hue, "\"/>\n") +
           label(x + 18, 18, "start", "soft", one.label);
  }
  return out + "</svg>\n";
}

std::string svg(const ByteSpread& figure) {
  constexpr double top = 54, row_height = 92, bar_height = 60;
  constexpr std::size_t bins = 56;
  constexpr double bin_width = (right - left) / static_cast<double>(bins);
  const std::size_t groups = figure.groups.size();
  double smallest = figure.worst_case;
  double largest = figure.worst_case;
  for (const ByteSpread::Row& row : figure.rows) {
    expects<ShapeError>(row.bytes.size() == groups, "ByteSpread: ", row.bytes.size(), " groups, expected ", groups);
    for (const auto& group : row.bytes) {
      for (const double bytes : group) {
        smallest = std::min(smallest, bytes);
        largest = std::max(largest, bytes);
      }
    }
  }
  const LogAxis axis(smallest, largest);
  const auto x_of = [&](double bytes) { return left + axis.at(bytes) * (right - left); };
  const double bottom = top + row_height * static_cast<double>(figure.rows.size());

  double after_legend = left;
  std::string out = opened(figure.title, bottom + 34) + shade_legend(figure.groups, 18, after_legend);
  for (const double tick : axis.ticks()) {
    const double x = x_of(tick);
    out += line(x, top - 6, x, bottom, "grid") + label(x, bottom + 20, "middle", "soft", bytes_text(tick, 1));
  }
  double base = top + bar_height + 12;
  for (const ByteSpread::Row& row : figure.rows) {
    out += label(left - 12, base - 4, "end", "ink", row.label) + line(left, base, right, base, "axis");
    std::vector<std::vector<double>> counts(bins, std::vector<double>(groups));
    std::vector<double> all;
    for (std::size_t group = 0; group < groups; ++group) {
      for (const double bytes : row.bytes[group]) {
        counts[std::min(bins - 1, static_cast<std::size_t>(axis.at(bytes) * bins))][group] += 1.0;
        all.push_back(bytes);
      }
    }
    double tallest = 1.0;
    for (const auto& bin : counts) tallest = std::max(tallest, total(bin));
    for (std::size_t bin = 0; bin < bins; ++bin) {
      double y = base;
      for (std::size_t group = 0; group < groups; ++group) {
        const double h = counts[bin][group] / tallest * bar_height;
        if (h == 0.0) continue;
        y -= h;
        out += rectangle(left + bin_width * static_cast<double>(bin), y, bin_width - 1, h, "cool", shade(group, groups),
                         text(figure.groups[group], ": ", counts[bin][group]));
      }
    }
    if (!all.empty()) {
      const double x = x_of(mean(all));
      out += text("<path d=\"M", x, " ", base + 2, " l5 9 h-10 z\" class=\"warm\"/>\n") +
             label(x > right - 180 ? x - 9 : x + 9, base + 12, x > right - 180 ? "end" : "start", "soft",
                   text("mean ", bytes_text(mean(all)), ", p99 ", bytes_text(quantile(all, 0.99))));
    }
    base += row_height;
  }
  const double limit = x_of(figure.worst_case);
  return out + line(limit, top - 6, limit, bottom, "limit") +
         label(limit, top - 12, limit > right - 80 ? "end" : "middle", "warm-text",
               "worst case " + bytes_text(figure.worst_case)) +
         "</svg>\n";
}

std::string svg(const PageMap& figure) {
  constexpr double row_height = 34;
  std::string out = opened(figure.title, 40 + row_height * static_cast<double>(figure.rows.size()));
  double after_legend = left;
  out += shade_legend(figure.levels, 18, after_legend);
  double y = 34;
  for (const PageMap::Row& row : figure.rows) {
    out += label(left - 12, y + 16, "end", "ink", row.label);
    const double step = (right - left) / static_cast<double>(std::max<std::size_t>(row.levels.size(), 1));
    // Neighbours at the same level are one rectangle: a long context has thousands of pages.
    for (std::size_t begin = 0; begin < row.levels.size();) {
      const std::size_t level = row.levels[begin];
      expects<ShapeError>(level < figure.levels.size(), "PageMap: page ", begin, " is at level ", level, ", of ",
                          figure.levels.size());
      std::size_t end = begin + 1;
      while (end < row.levels.size() && row.levels[end] == level) ++end;
      out +=
          rectangle(left + step * static_cast<double>(begin), y, step * static_cast<double>(end - begin), 22, "cool",
                    shade(level, figure.levels.size()), text(figure.levels[level], ": pages ", begin, " to ", end - 1));
      begin = end;
    }
    y += row_height;
  }
  return out + "</svg>\n";
}

}  // namespace mpp::examples
