#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mpp::tools {

/// Columns of numbers, one row per request.
class Table {
 public:
  /// Reads CSV with a line of names, or JSON lines (objects) if the first character is '{'. "-" is the standard input.
  /// Numbers, true and false; "inf", "-inf"; NaN is "nan" or, in JSON, null. Quotes in CSV are not understood.
  /// Two columns or fields of one name, and JSON nested deeper than 16, are refused, as is a blank line
  /// of CSV with one column: a value may be missing there.
  /// @throws FormatError naming the line for a row that does not fit; ValueError if the file cannot be read
  static Table read(const std::string& file);

  [[nodiscard]] bool has(const std::string& name) const { return columns_.contains(name); }
  [[nodiscard]] std::vector<std::string> names() const;
  /// @throws ValueError for a column that is not there, with those that are; FormatError naming the line of a value
  ///         that is no number (only now: a column of words does no harm until it is asked for)
  [[nodiscard]] const std::vector<double>& column(const std::string& name) const;
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }

 private:
  struct Column {
    std::vector<double> values;
    std::string refusal;  // of the first value that is no number
  };
  void add(const std::string& name, std::optional<double> value, std::size_t line, std::string_view came);
  void add_json(const std::string& content, std::size_t line);

  std::string file_;
  std::map<std::string, Column> columns_;
  std::size_t rows_ = 0;
};

}  // namespace mpp::tools
