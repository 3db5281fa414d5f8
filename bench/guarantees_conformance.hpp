#pragma once
// The conformance suite of tests/statistical with numbers: wrong procedures caught, sound ones left alone, and every
// limit at the boundary of its promise.
#include <iostream>

#include "bench_json.hpp"
#include "statistical/mutants.hpp"

namespace mpp::bench {

/// @return whether every mutant was rejected and no sound procedure was
inline bool measure_conformance(Report& report) {
  const std::uint64_t seed = report.quick() ? 1 : 2;  // the tests' own, and another
  const statistical::Scale scale{.replicates = report.quick() ? 1.0 : 8.0, .seed = seed};
  const statistical::Scale of_cells{.replicates = report.quick() ? 0.25 : 8.0, .seed = seed};
  ThreadStopwatch watch;
  std::size_t cells = 0, excess = 0, rejected = 0, alive = 0;
  double spent = 0.0;  // most of its delta that a procedure was seen to use where the rate is exact
  const auto claims = statistical::library_claims();
  for (const statistical::Claim& claim : claims) {
    bool sound = true;
    for (const statistical::Cell& cell : statistical::ValidityCheck(claim, of_cells).run()) {
      ++cells;
      if (cell.replicates == 0) spent = std::max(spent, cell.rate / cell.delta);
      if (!cell.rejected) continue;
      ++excess;
      sound = false;
      std::cerr << statistical::describe(cell) << '\n';
    }
    rejected += sound ? 0 : 1;
  }
  report.set("guarantees.validity_s", watch.seconds());
  watch = {};
  const auto valid = statistical::valid_procedures();  // the claims above come first
  for (const statistical::Procedure& procedure : std::span(valid).subspan(claims.size()))
    if (procedure.rejected(scale)) {
      ++rejected;
      std::cerr << "sound, but rejected by " << procedure.check << ": " << procedure.name << '\n';
    }
  report.set("guarantees.sound_s", watch.seconds());
  watch = {};
  const auto mutants = statistical::mutants();
  for (const statistical::Procedure& mutant : mutants)
    if (!mutant.rejected(scale)) {
      ++alive;
      std::cerr << "wrong, but not rejected by " << mutant.check << ": " << mutant.name << '\n';
    }
  report.set("guarantees.mutants", static_cast<double>(mutants.size()));
  report.set("guarantees.mutants_alive", static_cast<double>(alive));
  report.set("guarantees.valid_procedures", static_cast<double>(valid.size()));
  report.set("guarantees.valid_rejected", static_cast<double>(rejected));
  report.set("guarantees.cells", static_cast<double>(cells));
  report.set("guarantees.false_certification_excess", static_cast<double>(excess));
  report.set("guarantees.delta_spent_most", spent);
  report.set("guarantees.mutants_s", watch.seconds());
  return mutants.size() >= 20 && alive == 0 && rejected == 0 && excess == 0;
}

}  // namespace mpp::bench
