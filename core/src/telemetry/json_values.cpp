#include "src/telemetry/json_values.hpp"

#include <cmath>

namespace mpp::telemetry {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  const auto tail = [&](int shift) { put(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    tail(6);
  } else {
    put(0xf0 | code >> 18);
    tail(12);
    tail(6);
  }
  tail(0);
}

// The four digits behind "\u", which the cursor has checked.
std::uint32_t code_unit(std::string_view digits) {
  std::uint32_t unit = 0;
  std::from_chars(digits.data(), digits.data() + 4, unit, 16);
  return unit;
}

char control(char letter) {
  switch (letter) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return letter;  // ", \ and /
  }
}

}  // namespace

double real(JsonCursor& in) {
  const std::string_view digits = in.number();
  double value{};
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc{})
    in.fail_at(digits, "a number that a double can hold");
  return value;
}

double real_or_word(JsonCursor& in) {
  if (in.take_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!in.string_is_next()) return real(in);
  const std::string_view word = in.string();
  if (word != "inf" && word != "-inf") in.fail_at(word, "a number, null, \"inf\" or \"-inf\"");
  const double infinity = std::numeric_limits<double>::infinity();
  return word == "inf" ? infinity : -infinity;
}

char* write_real(char* begin, char* end, double x) {
  if (std::isfinite(x)) return std::to_chars(begin, end, x).ptr;
  const std::string_view word = std::isnan(x) ? "null" : x > 0.0 ? "\"inf\"" : "\"-inf\"";
  return begin + word.copy(begin, static_cast<std::size_t>(end - begin));
}

std::string resolved_string(JsonCursor& in) {
  const std::string_view raw = in.string();
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out.push_back(raw[i]);
      continue;
    }
    if (raw[++i] != 'u') {
      out.push_back(control(raw[i]));
      continue;
    }
    std::uint32_t code = code_unit(raw.substr(i + 1, 4));
    i += 4;
    if (code >= 0xd800 && code < 0xe000) {  // half of a pair (RFC 8259, section 7)
      const bool pair = code < 0xdc00 && raw.substr(i + 1, 2) == "\\u";
      const std::uint32_t low = pair ? code_unit(raw.substr(i + 3, 4)) : 0;
      if (low < 0xdc00 || low >= 0xe000) in.fail_at(raw, "no surrogate without its other half");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      i += 6;
    }
    append_utf8(out, code);
  }
  return out;
}

std::string quoted_string(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out.append("\\u00").push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
      continue;
    }
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

}  // namespace mpp::telemetry
