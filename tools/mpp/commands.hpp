#pragma once
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>

namespace mpp::tools {

/// Exit codes of every command.
inline constexpr int done = 0;
inline constexpr int nothing_certified = 1;
inline constexpr int refused = 2;  ///< wrong options or input
inline constexpr int alarm = 3;

/// For CLI::Option::check(): what is no integer from 0 to 2^64 - 1 must not wrap around or become the largest.
inline std::string whole_number(const std::string& value) {
  std::uint64_t number{};
  const char* const last = value.data() + value.size();
  const auto [end, error] = std::from_chars(value.data(), last, number);
  return error == std::errc{} && end == last ? "" : "came " + value + ", expected an integer from 0 to 2^64 - 1";
}

/// Each adds its command to `app`, whose callback sets `code`.
void add_calibrate(CLI::App& app, int& code);
void add_audit(CLI::App& app, int& code);

}  // namespace mpp::tools
