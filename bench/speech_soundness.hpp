#pragma once
// The certificates against full enumeration of small random inputs, and a wrong bound that the same comparison catches.
#include "bench_json.hpp"
#include "domains/speech/certificate_fuzz.hpp"
#include "domains/speech/stream_fuzz.hpp"
#include "domains/speech/viterbi_fuzz.hpp"
#include "domains/speech/word_stream_fuzz.hpp"

namespace mpp::bench {

/// Cases and failures of all fuzzed semantics together.
struct Soundness {
  std::size_t cases = 0, violations = 0, certified = 0;
  bool broken_caught = true;  ///< every inadmissible bound that was swapped in made the comparison fail
};

inline void fuzz_sum(Soundness& total, std::size_t cases) {
  const test::FuzzTally found = test::fuzz_certificates<speech::Accounting>(cases, 2);
  total.cases += found.cases;
  total.violations += found.violations();
  total.certified += found.certified;
  // The tempting bound: the sum over frames of the largest log-probability.
  const test::FuzzTally broken = test::fuzz_certificates<speech::Accounting>(5000, 2, {.max_products = true});
  total.broken_caught = total.broken_caught && broken.chain_violations > 0;
}

/// With lexicons, models and all weights; a third of the cases with coarse numbers, a third with ties.
inline void fuzz_max(Soundness& total, std::size_t cases) {
  using speech::LookAhead, speech::ViterbiAccounting;
  for (const test::Scene scene : {test::Scene::mixed, test::Scene::large_numbers, test::Scene::ties}) {
    const test::ViterbiTally found = test::fuzz_viterbi<LookAhead, ViterbiAccounting>(cases / 3, 5, scene);
    total.cases += found.cases;
    total.violations += found.violations();
    total.certified += found.certified * found.cases / found.answers;  // there are several answers to a case
  }
  const test::ViterbiTally broken = test::fuzz_viterbi<test::LargestEmissions, ViterbiAccounting>(2000, 5);
  total.broken_caught = total.broken_caught && broken.gap_violations > 0;
}

inline void fuzz_streams(Soundness& total, std::size_t cases) {
  const test::StreamTally found = test::fuzz_streams(cases, 2);
  total.cases += found.cases;
  total.violations += found.violations();
  total.certified += found.certified;
  const test::StreamTally broken = test::fuzz_streams<test::ForgetsBranches>(5000, 1);
  total.broken_caught = total.broken_caught && broken.gap_violations > 0;
}

inline void fuzz_word_streams(Soundness& total, std::size_t cases) {
  for (const test::Scene scene : {test::Scene::mixed, test::Scene::large_numbers}) {
    const test::WordStreamTally found = test::fuzz_word_streams(cases / 2, 6, scene);
    total.cases += found.cases;
    total.violations += found.violations();
    total.certified += found.certified;
  }
  const test::WordStreamTally broken = test::fuzz_word_streams<test::ForgetfulDecoder>(2000, 6);
  total.broken_caught = total.broken_caught && broken.gap_violations > 0;
}

inline void report_soundness(Report& report, const Soundness& found) {
  report.set("speech.fuzz_cases", static_cast<double>(found.cases));
  report.set("speech.violations", static_cast<double>(found.violations));
  report.set("speech.fuzz_certified", static_cast<double>(found.certified) / static_cast<double>(found.cases));
  report.set("speech.broken_caught", found.broken_caught ? 1.0 : 0.0);
}

}  // namespace mpp::bench
