#include "mpp/table.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <string_view>

#include <mpp/core/error.hpp>

#include "mpp/json_row.hpp"

namespace mpp::tools {
namespace {

std::string_view trimmed(std::string_view field) {
  const auto first = field.find_first_not_of(" \t\r");
  return first == field.npos ? std::string_view() : field.substr(first, field.find_last_not_of(" \t\r") - first + 1);
}

std::optional<double> number(std::string_view field) {
  if (field == "true") return 1.0;
  if (field == "false") return 0.0;
  double value{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& line) {
  expects<FormatError>(line.find('"') == line.npos, "quotes in CSV are not understood");
  std::vector<std::string> fields;
  for (std::size_t from = 0;;) {
    const auto comma = line.find(',', from);
    fields.emplace_back(trimmed(std::string_view(line).substr(from, comma - from)));
    if (comma == line.npos) return fields;
    from = comma + 1;
  }
}

}  // namespace

void Table::add_json(const std::string& content, std::size_t line) {
  const bool first = rows_++ == 0;
  const std::vector<JsonField> row = parse_json_row(content);
  expects<FormatError>(first || row.size() == columns_.size(), row.size(), " fields, expected ", columns_.size(),
                       " as in the first row");
  for (const JsonField& field : row) {
    expects<FormatError>(first || columns_.contains(field.name), "field '", field.name, "' is not in the first row");
    add(field.name, field.value, line, field.came);
  }
}

// A column of words does no harm until it is asked for.
void Table::add(const std::string& name, std::optional<double> value, std::size_t line, std::string_view came) {
  Column& column = columns_[name];
  column.values.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
  if (!value && column.refusal.empty())
    column.refusal =
        text(file_, ", line ", line, ", column '", name, "': came '", came.substr(0, 40), "', expected a number");
}

Table Table::read(const std::string& file) {
  std::ifstream stream;
  if (file != "-") stream.open(file);
  std::istream& in = file == "-" ? std::cin : stream;
  expects<ValueError>(in.good(), file, " cannot be read");
  Table table;
  table.file_ = file;
  std::vector<std::string> names;  // of CSV
  std::size_t number_of_line = 0;
  try {
    for (std::string line; std::getline(in, line);) {
      ++number_of_line;
      if (trimmed(line).empty()) {
        expects<FormatError>(names.size() != 1,
                             "a blank line, expected a value: with one column it may be a missing one");
        continue;
      }
      if (names.empty() && trimmed(line).front() == '{') {
        table.add_json(line, number_of_line);
        continue;
      }
      const auto fields = split(line);
      if (names.empty()) {
        expects<FormatError>(table.rows_ == 0, "no JSON object");
        names = fields;
        for (const std::string& name : names)
          expects<FormatError>(table.columns_.try_emplace(name).second, "two columns are '", name, "'");
        continue;
      }
      expects<FormatError>(fields.size() == names.size(), fields.size(), " fields, expected ", names.size());
      for (std::size_t i = 0; i < names.size(); ++i)
        table.add(names[i], number(std::string_view(fields[i])), number_of_line, fields[i]);
      ++table.rows_;
    }
  } catch (const FormatError& error) {
    throw FormatError(text(file, ", line ", number_of_line, ": ", error.what()));
  }
  expects<FormatError>(in.eof(), file, ": reading stopped before the end");
  return table;
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& [name, column] : columns_) names.push_back(name);
  return names;
}

const std::vector<double>& Table::column(const std::string& name) const {
  const auto found = columns_.find(name);
  if (found != columns_.end()) {
    expects<FormatError>(found->second.refusal.empty(), found->second.refusal);
    return found->second.values;
  }
  std::string there;
  for (const auto& [other, column] : columns_) there += text(there.empty() ? "" : ", ", other);
  throw ValueError(text(file_, ": no column '", name, "'; there are: ", there.empty() ? "none" : there));
}

}  // namespace mpp::tools
