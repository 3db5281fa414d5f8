// Guarantees: does the conformance suite catch what is wrong and pass what is right, how soon is drift found, and does a
// calibrated cascade keep its promise? Other implementations stand beside ours in bench/peers/guarantees.py.
#include <future>
#include <iostream>

#include "bench_json.hpp"
#include "guarantees_audit.hpp"
#include "guarantees_conformance.hpp"
#include "guarantees_limits.hpp"
#include "guarantees_ranking.hpp"
#include "guarantees_server.hpp"

namespace {

using namespace mpp;

void run_all(bench::Report& report) {
  bool kept = bench::measure_size(report);
  bench::measure_time(report);  // before anything runs beside it
  auto conformance = std::async(std::launch::async, bench::run_conformance, report.quick());
  const std::size_t traced = report.quick() ? 20'000 : 100'000;
  for (const ranking::Family family : {ranking::Family::clustered, ranking::Family::power_law})
    kept = bench::CascadeBench(report, family, traced).run() && kept;
  kept = bench::measure_audit(report) && kept;
  const bench::Conformance found = conformance.get();
  found.report(report);
  expects<std::runtime_error>(kept && found.sound(), "bench_guarantees: a promise is broken; see the metrics");
}

}  // namespace

int main(int argc, char** argv) try {
  bench::keep_freed_memory();
  bench::Report report("guarantees", "Guarantees: conformance, calibration of a cascade, detection, time per limit");
  bool serve = false;
  report.app().add_flag("--serve", serve, "Answer questions on stdin, one line of JSON each");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  if (serve) return bench::serve_guarantees();
  int status = 0;
  try {
    run_all(report);
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  return std::max(status, report.finish());
} catch (const std::exception& error) {
  std::cerr << "bench_guarantees: " << error.what() << '\n';
  return 1;
}
