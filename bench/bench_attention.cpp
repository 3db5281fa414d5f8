// Certified attention over compressed pages: is every certificate one, how tight is it, and what does a read cost with it.
// Peers stand beside it in bench/peers/attention.py.
#include <cstdlib>
#include <iostream>

#include "attention_soundness.hpp"
#include "bench_json.hpp"

namespace {

using namespace mpp;

void run_all(bench::Report& report) {
  bool sound = bench::measure_soundness(report);
  expects<std::runtime_error>(sound, "bench_attention: a bound or a certificate is wrong; see the metrics");
}

}  // namespace

int main(int argc, char** argv) try {
  bench::keep_freed_memory();
  bench::Report report("attention", "Certified attention: soundness, tightness, time per read");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  int status = 0;
  try {
    run_all(report);
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  return std::max(status, report.finish());
} catch (const std::exception& error) {
  std::cerr << "bench_attention: " << error.what() << '\n';
  return 1;
}
