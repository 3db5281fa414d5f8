#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::examples {

/// "12.3", "0.00412": `digits` significant digits, without an exponent between 1e-4 and 1e6.
inline std::string compact(double value, int digits = 3) {
  const double size = std::abs(value);
  char out[64];
  if (size >= 1e-4 && size < 1e6) {
    const int before = static_cast<int>(std::floor(std::log10(size))) + 1;
    std::snprintf(out, sizeof out, "%.*f", std::max(0, digits - before), value);
  } else {
    std::snprintf(out, sizeof out, "%.*g", digits, value);
  }
  return out;
}

/// "200,000"
inline std::string grouped(std::size_t value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

/// "4.10 MB": decimal units.
inline std::string bytes_text(double bytes, int digits = 3) {
  if (bytes < 1e3) return compact(bytes, digits) + " B";
  if (bytes < 1e6) return compact(bytes / 1e3, digits) + " kB";
  return bytes < 1e9 ? compact(bytes / 1e6, digits) + " MB" : compact(bytes / 1e9, digits) + " GB";
}

/// "70 / 25 / 5": each count in percent of `all`.
inline std::string shares(const std::vector<double>& counts, double all) {
  std::string out;
  for (const double count : counts)
    out += text(out.empty() ? "" : " / ", compact(100.0 * count / std::max(1.0, all), 2));
  return out;
}

/// Cells under a head, printed as text here and as HTML by Report::table.
class Table {
 public:
  /// @param words  columns of words, the first ones: they are aligned to the left, figures to the right
  explicit Table(std::vector<std::string> head, std::size_t words = 1) : head_(std::move(head)), words_(words) {}

  /// @throws ShapeError unless there is one cell per column
  Table& row(std::vector<std::string> cells) {
    expects<ShapeError>(cells.size() == head_.size(), "Table::row: ", cells.size(), " cells, expected ", head_.size());
    rows_.push_back(std::move(cells));
    return *this;
  }

  [[nodiscard]] const std::vector<std::string>& head() const noexcept { return head_; }
  [[nodiscard]] std::size_t words() const noexcept { return words_; }
  [[nodiscard]] const std::vector<std::vector<std::string>>& rows() const noexcept { return rows_; }

  friend std::ostream& operator<<(std::ostream& out, const Table& table) {
    std::vector<std::size_t> width(table.head_.size());
    const auto widen = [&](const std::vector<std::string>& cells) {
      for (std::size_t i = 0; i < cells.size(); ++i) width[i] = std::max(width[i], cells[i].size());
    };
    widen(table.head_);
    for (const auto& cells : table.rows_) widen(cells);
    const auto print = [&](const std::vector<std::string>& cells) {
      for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string padding(width[i] - cells[i].size(), ' ');
        const bool last = i + 1 == cells.size();
        out << (i == 0 ? "" : "  ") << (i < table.words_ ? cells[i] + (last ? "" : padding) : padding + cells[i]);
      }
      out << '\n';
    };
    print(table.head_);
    for (const auto& cells : table.rows_) print(cells);
    return out;
  }

 private:
  std::vector<std::string> head_;
  std::size_t words_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mpp::examples
