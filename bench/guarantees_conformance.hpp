#pragma once
// The conformance suite of tests/statistical with numbers: wrong procedures caught, sound ones left alone, and every
// limit at the boundary of its promise.
#include <iostream>

#include "bench_json.hpp"
#include "statistical/mutants.hpp"

namespace mpp::bench {

struct Conformance {
  std::size_t mutants = 0, alive = 0;  ///< alive: wrong, and no check rejected it
  std::size_t valid = 0, valid_rejected = 0;
  std::size_t cells = 0, excess = 0;  ///< excess: wrong more often than delta
  double spent = 0.0;                 ///< most of its delta that a limit used where the rate is exact
  double validity_s = 0.0, sound_s = 0.0, mutants_s = 0.0;

  bool sound() const { return mutants >= 20 && alive == 0 && valid_rejected == 0 && excess == 0; }
  void report(Report& report) const {
    report.set("guarantees.mutants", static_cast<double>(mutants));
    report.set("guarantees.mutants_alive", static_cast<double>(alive));
    report.set("guarantees.valid_procedures", static_cast<double>(valid));
    report.set("guarantees.valid_rejected", static_cast<double>(valid_rejected));
    report.set("guarantees.cells", static_cast<double>(cells));
    report.set("guarantees.false_certification_excess", static_cast<double>(excess));
    report.set("guarantees.delta_spent_most", spent);
    report.set("guarantees.validity_s", validity_s);
    report.set("guarantees.sound_s", sound_s);
    report.set("guarantees.mutants_s", mutants_s);
  }
};

/// Names what is wrong on stderr.
inline Conformance run_conformance(bool quick) {
  const std::uint64_t seed = quick ? 1 : 2;  // the tests' own, and another
  const statistical::Scale scale{.replicates = quick ? 1.0 : 8.0, .seed = seed};
  const statistical::Scale of_cells{.replicates = quick ? 0.25 : 8.0, .seed = seed};
  Conformance found;
  ThreadStopwatch watch;
  const auto claims = statistical::library_claims();
  for (const statistical::Claim& claim : claims) {
    bool sound = true;
    for (const statistical::Cell& cell : statistical::ValidityCheck(claim, of_cells).run()) {
      ++found.cells;
      if (cell.replicates == 0) found.spent = std::max(found.spent, cell.rate / cell.delta);
      if (!cell.rejected) continue;
      ++found.excess;
      sound = false;
      std::cerr << statistical::describe(cell) << '\n';
    }
    found.valid_rejected += sound ? 0 : 1;
  }
  found.validity_s = watch.seconds();
  watch = {};
  const auto valid = statistical::valid_procedures();  // the claims above come first
  found.valid = valid.size();
  for (const statistical::Procedure& procedure : std::span(valid).subspan(claims.size()))
    if (procedure.rejected(scale)) {
      ++found.valid_rejected;
      std::cerr << "sound, but rejected by " << procedure.check << ": " << procedure.name << '\n';
    }
  found.sound_s = watch.seconds();
  watch = {};
  const auto mutants = statistical::mutants();
  found.mutants = mutants.size();
  for (const statistical::Procedure& mutant : mutants)
    if (!mutant.rejected(scale)) {
      ++found.alive;
      std::cerr << "wrong, but not rejected by " << mutant.check << ": " << mutant.name << '\n';
    }
  found.mutants_s = watch.seconds();
  return found;
}

}  // namespace mpp::bench
