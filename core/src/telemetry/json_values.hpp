#pragma once
#include <charconv>
#include <limits>
#include <string>

#include <mpp/core/error.hpp>

#include "src/telemetry/json_cursor.hpp"

/// Values of our JSON schemas, read to the same bits as they were written.
namespace mpp::telemetry {

template <class Integer>
Integer integer(JsonCursor& in, Integer from = 0) {
  const std::string_view digits = in.number();
  Integer value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < from)
    in.fail_at(digits, text("an integer from ", from, " to ", std::numeric_limits<Integer>::max()));
  return value;
}

double real(JsonCursor& in);
/// JSON has no NaN and no infinity: null, "inf" and "-inf" stand for them.
double real_or_word(JsonCursor& in);
/// Writes what real_or_word() reads: the shortest text that gives the same bits. @return its end
char* write_real(char* begin, char* end, double x);

/// A string with its escapes resolved. @throws FormatError for a surrogate without its other half
std::string resolved_string(JsonCursor& in);
/// `text` with its quotes and the escapes that RFC 8259 demands. text: UTF-8
std::string quoted_string(std::string_view text);

}  // namespace mpp::telemetry
