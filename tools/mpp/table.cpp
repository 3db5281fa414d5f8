#include "mpp/table.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

namespace mpp::tools {
namespace {

using Json = nlohmann::json;

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

std::optional<double> number(const Json& value) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_number()) return value.get<double>();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

std::vector<std::string> split(const std::string& line, std::size_t number) {
  expects<FormatError>(line.find('"') == line.npos, "line ", number, ": quotes in CSV are not understood");
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
  const Json row = Json::parse(content, nullptr, /*allow_exceptions=*/false);
  expects<FormatError>(row.is_object(), "line ", line, ": no JSON object");
  expects<FormatError>(first || row.size() == columns_.size(), "line ", line, ": ", row.size(), " fields, expected ",
                       columns_.size(), " as in the first row");
  for (const auto& [name, value] : row.items()) {
    expects<FormatError>(first || columns_.contains(name), "line ", line, ": field '", name,
                         "' is not in the first row");
    add(name, number(value), line, value.dump());
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
  try {
    std::string line;
    for (std::size_t number_of_line = 1; std::getline(in, line); ++number_of_line) {
      if (trimmed(line).empty()) continue;
      if (names.empty() && trimmed(line).front() == '{') {
        table.add_json(line, number_of_line);
        continue;
      }
      const auto fields = split(line, number_of_line);
      if (names.empty()) {
        expects<FormatError>(table.rows_ == 0, "line ", number_of_line, ": no JSON object");
        names = fields;
        for (const std::string& name : names)
          expects<FormatError>(table.columns_.try_emplace(name).second, "line ", number_of_line, ": two columns are '",
                               name, "'");
        continue;
      }
      expects<FormatError>(fields.size() == names.size(), "line ", number_of_line, ": ", fields.size(),
                           " fields, expected ", names.size());
      for (std::size_t i = 0; i < names.size(); ++i)
        table.add(names[i], number(std::string_view(fields[i])), number_of_line, fields[i]);
      ++table.rows_;
    }
  } catch (const FormatError& error) {
    throw FormatError(text(file, ", ", error.what()));
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
