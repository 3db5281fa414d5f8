// Calibration and audit from files: what core/guarantees does, for those who measure in another language.
#include <exception>
#include <iostream>

#include "mpp/commands.hpp"

int main(int argc, char** argv) {
  using namespace mpp::tools;
  int code = done;
  CLI::App app("Certificates for cascades: calibrate them on past requests, audit them on new ones.", "mpp");
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 nothing certified, 2 wrong options or input, 3 alarm.");
  add_calibrate(app, code);
  add_audit(app, code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? done : refused;
  } catch (const std::exception& error) {
    std::cerr << "mpp: " << error.what() << '\n';
    return refused;
  }
  return code;
}
