#pragma once
#include <cstdint>
#include <string_view>

namespace mpp::telemetry {

/// Reads one line of JSON from left to right (RFC 8259). Never allocates, except for the sentence of an error.
///
/// Strings are returned as they stand between their quotes: escapes are checked but not resolved (json_values.hpp does),
/// because most words of our schemas need none.
class JsonCursor {
 public:
  /// @param operation  begins the sentence of an error
  /// @param line       must outlive the cursor, and so must the operation
  JsonCursor(std::string_view operation, std::string_view line, std::uint64_t line_number) noexcept
      : operation_(operation), line_(line), line_number_(line_number) {}

  /// Reads `c`, after white space, if it comes next.
  bool take(char c) noexcept;
  /// The same, but it has to come.
  void need(char c);
  bool at_end() noexcept;

  std::string_view string();
  /// A number as it is written.
  std::string_view number();
  bool string_is_next() noexcept { return next() == '"'; }
  /// Reads null, if it comes next.
  bool take_null() noexcept { return take_word("null"); }
  /// Reads over any value, at most 16 levels deep.
  void skip_value();

  /// Errors name this field from now on.
  void enter_field(std::string_view name) noexcept { field_ = name; }
  /// @throws FormatError with line, field, what comes next here and `expected`
  [[noreturn]] void fail(std::string_view expected) const;
  [[noreturn]] void fail_at(std::string_view came, std::string_view expected) const;

 private:
  char next() noexcept;  // after white space; '\0' at the end of the line
  bool take_word(std::string_view word) noexcept;
  void digits();

  std::string_view operation_;
  std::string_view line_;
  std::uint64_t line_number_;
  std::size_t position_ = 0;
  std::string_view field_;
};

/// True if `text` is UTF-8 without overlong forms, surrogates and values above U+10FFFF (Unicode 15, table 3-7).
bool is_utf8(std::string_view text) noexcept;

}  // namespace mpp::telemetry
