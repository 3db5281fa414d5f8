#include "mpp/json_row.hpp"

#include <limits>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

namespace mpp::tools {
namespace {

using Json = nlohmann::json;

// Takes the parser's events instead of a tree: a tree keeps the last of two fields of one name, and is as deep as its
// input, so that what walks it runs out of stack.
class Row final : public nlohmann::json_sax<Json> {
 public:
  static constexpr int deepest = 16;

  std::vector<JsonField> fields;
  bool object = false;

  bool null() override { return add(std::numeric_limits<double>::quiet_NaN()); }
  bool boolean(bool value) override { return add(value ? 1.0 : 0.0); }
  bool number_integer(number_integer_t value) override { return add(static_cast<double>(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t& /*written*/) override { return add(value); }
  bool string(string_t& value) override {
    if (value == "inf") return add(std::numeric_limits<double>::infinity());
    if (value == "-inf") return add(-std::numeric_limits<double>::infinity());
    return add(std::nullopt, '"' + value.substr(0, 38) + '"');
  }
  bool binary(binary_t& /*value*/) override { return false; }  // JSON has none

  bool start_object(std::size_t /*elements*/) override {
    object = object || depth_ == 0;
    return open("an object");
  }
  bool start_array(std::size_t /*elements*/) override { return open("an array"); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (depth_ > 1) return true;
    expects<FormatError>(names_.insert(name).second, "two fields are '", name, "'");
    name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool add(std::optional<double> value, std::string came = {}) {
    if (depth_ == 1) fields.push_back({name_, value, std::move(came)});
    return object;
  }
  bool open(const char* what) {
    add(std::nullopt, what);
    expects<FormatError>(++depth_ <= deepest, "nesting deeper than ", deepest);
    return object;
  }
  bool close() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::string name_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<JsonField> parse_json_row(std::string_view line) {
  Row row;
  expects<FormatError>(Json::sax_parse(line, &row) && row.object, "no JSON object");
  return std::move(row.fields);
}

}  // namespace mpp::tools
