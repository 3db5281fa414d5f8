// Certified attention over compressed pages: is every certificate one, how tight is it, and what does a read cost with it.
// Peers stand beside it in bench/peers/attention.py.
#include <cstdlib>
#include <iostream>

#include "attention_captured.hpp"
#include "attention_server.hpp"
#include "attention_soundness.hpp"
#include "attention_timings.hpp"
#include "bench_json.hpp"

namespace {

using namespace mpp;

void run_all(bench::Report& report, const std::string& captured) {
  bench::measure_speed(report);
  bench::ReadTally reads = bench::measure_captured(report, captured);
  reads.add(bench::fuzz_all(report.quick()));
  const bool sound = bench::report_soundness(report, reads);
  expects<std::runtime_error>(sound, "bench_attention: a bound or a certificate is wrong; see the metrics");
}

}  // namespace

int main(int argc, char** argv) try {
  bench::keep_freed_memory();
  bench::Report report("attention", "Certified attention: soundness, tightness, time per read");
  std::string captured = "out/attention";
  report.app().add_option("--captured", captured, "Folder of captured reads, as tools/capture_attention.py makes it");
  std::string serve_folder;
  report.app().add_option("--serve", serve_folder,
                          "Answer lines on stdin about reads, and about the keys in this folder");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  if (!serve_folder.empty()) return bench::AttentionServer(serve_folder).serve();
  int status = 0;
  try {
    run_all(report, captured);
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  return std::max(status, report.finish());
} catch (const std::exception& error) {
  std::cerr << "bench_attention: " << error.what() << '\n';
  return 1;
}
