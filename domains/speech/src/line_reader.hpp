#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::speech {

/// Lines of a text file, each shorter than 64 KiB, so that a hostile file cannot fill the memory. Reads the stream in
/// blocks, beyond the line that is asked for.
class LineReader {
 public:
  static constexpr std::size_t longest = 64 * 1024;

  /// @param what  begins every error: "read_arpa" or "read_arpa: lm.arpa"
  LineReader(std::istream& in, std::string what);

  /// Moves to the next line. @return false at the end of the file
  /// @throws FormatError if the line is too long or the stream fails
  bool next();

  /// The current line without its end (line feed, or carriage return and line feed); valid until next().
  std::string_view line() const noexcept { return line_; }
  std::uint64_t number() const noexcept { return number_; }  ///< of the current line, from 1

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    fail_at(number_, parts...);
  }
  template <class... Parts>
  [[noreturn]] void fail_at(std::uint64_t number, const Parts&... parts) const {
    throw FormatError(text(what_, ": line ", number, ": ", parts...));
  }

 private:
  void fill();

  std::istream& in_;
  std::string what_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what is still unread of the buffer
  std::string_view line_;
  std::uint64_t number_ = 0;
};

/// @throws FormatError if the file cannot be opened
std::ifstream open_file(const std::filesystem::path& path, std::string_view what);

/// Splits at runs of spaces and tabs. @return how many fields there are; those beyond fields.size() are only counted
std::size_t split(std::string_view line, std::span<std::string_view> fields) noexcept;

inline bool blank(std::string_view line) noexcept { return line.find_first_not_of(" \t") == std::string_view::npos; }

/// For messages: what is not printable ASCII or UTF-8 as \xNN, and at most 80 bytes.
std::string printable(std::string_view text);

}  // namespace mpp::speech
