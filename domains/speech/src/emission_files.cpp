#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include <mpp/core/error.hpp>
#include <mpp/speech/emissions.hpp>

#include "src/line_reader.hpp"

namespace mpp::speech {
namespace {

using Json = nlohmann::json;

void add_row(EmissionMatrix& matrix, std::size_t values, std::string_view reader) {
  if (matrix.frames == 0) matrix.tokens = values;
  expects<FormatError>(values > 0, reader, ": frame ", matrix.frames, " is empty");
  expects<FormatError>(values == matrix.tokens, reader, ": frame ", matrix.frames, " has ", values,
                       " values, the first has ", matrix.tokens);
  ++matrix.frames;
}

float number(const Json& value, std::size_t frame, std::size_t token) {
  if (value.is_null()) return -std::numeric_limits<float>::infinity();
  expects<FormatError>(value.is_number(), "read_emissions_json: frame ", frame, ", token ", token, " is a ",
                       value.type_name(), ", expected a number");
  const auto x = value.get<double>();  // of a number beyond double: infinity
  expects<FormatError>(std::fabs(x) <= std::numeric_limits<float>::max(), "read_emissions_json: frame ", frame,
                       ", token ", token, " is ", x, ", expected a float");
  return static_cast<float>(x);
}

float number(std::string_view field, std::size_t frame, std::size_t token) {
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  while (!field.empty() && field.back() == ' ') field.remove_suffix(1);
  float x{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), x);
  const bool whole = error == std::errc{} && end == field.data() + field.size();
  expects<FormatError>(whole && x < std::numeric_limits<float>::infinity(), "read_emissions_csv: frame ", frame,
                       ", token ", token, " is '", printable(field), "', expected a number or -inf");
  return x;
}

}  // namespace

EmissionMatrix read_emissions_json(const std::filesystem::path& path) {
  std::ifstream in = open_file(path, "read_emissions_json");
  Json file;
  try {
    file = Json::parse(in);
  } catch (const Json::exception& e) {
    throw FormatError(text("read_emissions_json: ", path.string(), " is not JSON: ", e.what()));
  }
  expects<FormatError>(!file.is_object() || file.size() == 1, "read_emissions_json: the object has ", file.size(),
                       " members, expected one matrix");
  const Json& rows = file.is_object() ? *file.begin() : file;
  expects<FormatError>(rows.is_array() && !rows.empty(), "read_emissions_json: found a ", rows.type_name(), " of ",
                       rows.size(), " elements, expected rows of numbers");
  EmissionMatrix matrix;
  for (const Json& row : rows) {
    expects<FormatError>(row.is_array(), "read_emissions_json: frame ", matrix.frames, " is a ", row.type_name(),
                         ", expected an array of numbers");
    std::size_t token = 0;
    for (const Json& value : row) matrix.log_probs.push_back(number(value, matrix.frames, token++));
    add_row(matrix, token, "read_emissions_json");
  }
  return matrix;
}

EmissionMatrix read_emissions_csv(const std::filesystem::path& path) {
  std::ifstream in = open_file(path, "read_emissions_csv");
  EmissionMatrix matrix;
  std::string buffer;
  char separator = '\0';
  bool ended = false;  // an empty line has been seen
  while (std::getline(in, buffer)) {
    std::string_view line = buffer;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ended = ended || line.empty();
    if (line.empty()) continue;
    expects<FormatError>(!ended, "read_emissions_csv: an empty line before frame ", matrix.frames);
    if (separator == '\0') separator = line.find(';') != std::string_view::npos ? ';' : ',';
    std::size_t token = 0;
    while (!line.empty()) {
      const std::size_t end = std::min(line.find(separator), line.size());
      matrix.log_probs.push_back(number(line.substr(0, end), matrix.frames, token++));
      line.remove_prefix(std::min(end + 1, line.size()));
    }
    add_row(matrix, token, "read_emissions_csv");
  }
  expects<FormatError>(matrix.frames > 0, "read_emissions_csv: ", path.string(), " holds no frame");
  return matrix;
}

}  // namespace mpp::speech
