#pragma once
#include <CLI/CLI.hpp>

namespace mpp::tools {

/// Exit codes of every command.
inline constexpr int done = 0;
inline constexpr int nothing_certified = 1;
inline constexpr int refused = 2;  ///< wrong options or input
inline constexpr int alarm = 3;

/// Each adds its command to `app`, whose callback sets `code`.
void add_calibrate(CLI::App& app, int& code);
void add_audit(CLI::App& app, int& code);

}  // namespace mpp::tools
