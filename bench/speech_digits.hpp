#pragma once
// Strings of real recorded digits at several levels of noise: how many utterances are proven optimal at which cap, with
// how many live hypotheses and bytes. The emissions are made by examples/models (bench/README.md).
#include <array>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/memory/ledger.hpp>
#include <mpp/speech/emission_set.hpp>
#include <mpp/speech/score_gap.hpp>

#include "bench_json.hpp"

namespace mpp::bench {

/// What the utterances of one condition needed, released at the first proof and at cap 128 at the latest.
struct NeedOfProof {
  static constexpr std::array<std::size_t, 3> caps{2, 16, 128};
  std::array<double, 3> proven{};  ///< utterances proven at this cap or below
  double live = 0.0;               ///< mean live hypotheses per frame at the last level, summed over utterances
  std::vector<double> bytes;       ///< peak, per utterance
};

inline NeedOfProof prove_utterances(const speech::EmissionSet& set, std::size_t condition) {
  using namespace speech;
  const CtcTier tier;  // its first levels are the caps above
  const ScoreGap estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  NeedOfProof need;
  for (std::size_t u = 0; u < set.utterances.size(); ++u) {
    const CtcRequest request{set.emissions(condition, u), 1};
    auto session = controller.start(request);
    while (!session.done() && session.next_level() < need.caps.size() && session.advance()) {
    }
    const auto outcome = session.take();
    need.live += outcome.raw->live_mean;
    need.bytes.push_back(static_cast<double>(outcome.peak.total().count));
    for (std::size_t i = outcome.level; outcome.raw->gap == 0.0 && i < need.caps.size(); ++i) need.proven[i] += 1.0;
  }
  return need;
}

/// Reports speech.certified_at_<cap>.<condition>; the first condition is the clean one and also the figure without one.
inline void measure_digits(Report& report, const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "set.json")) {
    std::cerr << "not run: digit strings, there is no " << folder / "set.json"
              << "; bench/README.md says what makes it\n";
    return;
  }
  const speech::EmissionSet set = speech::read_emission_set(folder);
  const auto utterances = static_cast<double>(set.utterances.size());
  std::vector<double> bytes;
  for (std::size_t condition = 0; condition < set.conditions.size(); ++condition) {
    std::string name = set.conditions[condition].name;
    std::replace(name.begin(), name.end(), ' ', '_');
    const NeedOfProof need = prove_utterances(set, condition);
    for (std::size_t i = 0; i < need.caps.size(); ++i) {
      const std::string metric = "speech.certified_at_" + std::to_string(need.caps[i]);
      report.set(metric + "." + name, need.proven[i] / utterances);
      if (condition == 0) report.set(metric, need.proven[i] / utterances);
    }
    report.set("speech.digits_live_mean." + name, need.live / utterances);
    bytes.insert(bytes.end(), need.bytes.begin(), need.bytes.end());
  }
  report.set("speech.digits", utterances);
  report.set("speech.p99_mb", quantile(bytes, 0.99) / 1e6);
}

}  // namespace mpp::bench
