#include "src/telemetry/json_cursor.hpp"

#include <algorithm>
#include <string>

#include <mpp/core/error.hpp>

namespace mpp::telemetry {
namespace {

constexpr std::size_t max_depth = 16;
constexpr std::size_t max_quote = 24;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// What came, short and printable: an error may end in a log.
std::string quoted(std::string_view came) {
  std::string out(came.substr(0, max_quote));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return came.size() > max_quote ? "'" + out + "...'" : "'" + out + "'";
}

}  // namespace

void JsonCursor::fail_at(std::string_view came, std::string_view expected) const {
  const std::string where = field_.empty() ? std::string() : text(", field ", quoted(field_));
  throw FormatError(text(operation_, ": line ", line_number_, where, ": came ",
                         came.empty() ? std::string("the end of the line") : quoted(came), ", expected ", expected));
}
void JsonCursor::fail(std::string_view expected) const {
  fail_at(line_.substr(std::min(position_, line_.size())), expected);
}

char JsonCursor::next() noexcept {
  while (position_ < line_.size() && std::string_view(" \t\r\n").find(line_[position_]) != std::string_view::npos)
    ++position_;
  return position_ < line_.size() ? line_[position_] : '\0';
}
bool JsonCursor::at_end() noexcept {
  next();
  return position_ == line_.size();
}
bool JsonCursor::take(char c) noexcept {
  if (next() != c || position_ == line_.size()) return false;
  ++position_;
  return true;
}
void JsonCursor::need(char c) {
  if (!take(c)) fail(text("'", c, "'"));
}
bool JsonCursor::take_word(std::string_view word) noexcept {
  next();
  if (line_.substr(position_, word.size()) != word) return false;
  position_ += word.size();
  return true;
}

std::string_view JsonCursor::string() {
  if (!take('"')) fail("a string");
  const std::size_t start = position_;
  for (; position_ < line_.size(); ++position_) {
    const char c = line_[position_];
    if (c == '"') return line_.substr(start, position_++ - start);
    if (static_cast<unsigned char>(c) < 0x20) fail("no control character in a string");
    if (c != '\\') continue;
    const std::string_view escape = line_.substr(position_ + 1, 5);
    if (escape.empty() || std::string_view("\"\\/bfnrtu").find(escape[0]) == std::string_view::npos)
      fail("an escape of JSON");
    ++position_;
    if (escape[0] != 'u') continue;
    if (escape.size() < 5 || !std::all_of(escape.begin() + 1, escape.end(), hex)) fail("four hexadecimal digits");
    position_ += 4;
  }
  fail("the closing quote of a string");
}

void JsonCursor::digits() {
  if (position_ == line_.size() || !digit(line_[position_])) fail("a digit");
  while (position_ < line_.size() && digit(line_[position_])) ++position_;
}

std::string_view JsonCursor::number() {
  if (next() != '-' && !digit(next())) fail("a number");
  const std::size_t start = position_;
  const auto here = [&](std::string_view any) {
    return position_ < line_.size() && any.find(line_[position_]) != std::string_view::npos;
  };
  if (here("-")) ++position_;
  if (here("0"))
    ++position_;  // a second digit ends the number: JSON has no leading zeros
  else
    digits();
  if (here(".")) {
    ++position_;
    digits();
  }
  if (here("eE")) {
    ++position_;
    if (here("+-")) ++position_;
    digits();
  }
  return line_.substr(start, position_ - start);
}

// Keeps the open brackets in an array instead of on the call stack, so that nesting cannot exhaust it.
void JsonCursor::skip_value() {
  char open[max_depth];
  std::size_t depth = 0;
  const auto key = [&] {
    string();
    need(':');
  };
  for (;;) {
    const char c = next();
    if (c == '{' || c == '[') {
      if (depth == max_depth) fail("at most 16 levels of nesting");
      take(c);
      open[depth++] = c;
      if (!take(c == '{' ? '}' : ']')) {
        if (c == '{') key();
        continue;
      }
      --depth;
    } else if (c == '"') {
      string();
    } else if (!take_word("true") && !take_word("false") && !take_word("null")) {
      number();
    }
    // A value is complete: close what ends here, or go on behind a comma.
    while (depth > 0 && take(open[depth - 1] == '{' ? '}' : ']')) --depth;
    if (depth == 0) return;
    need(',');
    if (open[depth - 1] == '{') key();
  }
}

bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i), second = byte(i + 1);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0) return false;
    if (lead == 0xe0 && second < 0xa0) return false;  // overlong
    if (lead == 0xed && second > 0x9f) return false;  // surrogates
    if (lead == 0xf0 && second < 0x90) return false;  // overlong
    if (lead == 0xf4 && second > 0x8f) return false;  // above U+10FFFF
    for (std::size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    i += length;
  }
  return true;
}

}  // namespace mpp::telemetry
