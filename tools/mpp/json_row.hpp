#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mpp::tools {

/// A field of a JSON object.
struct JsonField {
  std::string name;
  std::optional<double> value;  ///< of a number, true, false, null (NaN), "inf" or "-inf"
  std::string came;             ///< what else it is, at most 40 characters
};

/// The fields of one JSON object, in constant stack space and without keeping what lies deeper than its own fields.
/// @throws FormatError for what is no JSON object, a name that comes twice, and nesting deeper than 16
[[nodiscard]] std::vector<JsonField> parse_json_row(std::string_view line);

}  // namespace mpp::tools
