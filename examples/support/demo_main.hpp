#pragma once
#include <exception>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "support/json_file.hpp"

namespace mpp::examples {

/// main() of a program: describe(app, options), print(measure(options)), the files that were asked for, and on stderr
/// which bounds are broken.
/// @return 0; 1 if a bound is broken; 2 for an error, and what CLI11 says for arguments that it does not know
template <class Options, class Describe, class Measure, class Print>
int demo_main(int argc, char** argv, const std::string& program, const std::string& about, const Describe& describe,
              const Measure& measure, const Print& print) {
  Options options;
  CLI::App app(about);
  describe(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    const auto run = measure(options);
    print(run);
    if (!options.json.empty()) write_json(options.json, to_json(run));
    if (!options.report.empty()) to_report(run).write(options.report);
    const auto broken = violations(run);
    for (const std::string& sentence : broken) std::cerr << program << ": bound broken: " << sentence << '\n';
    return broken.empty() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return 2;
  }
}

}  // namespace mpp::examples
