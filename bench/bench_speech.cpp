// Certified speech decoding: is every bound one, what is proven with how few hypotheses, bytes and milliseconds, and how
// large is the gap where nothing is proven. Peers stand beside it in bench/peers/speech.py.
#include <cstdlib>
#include <iostream>

#include "bench_json.hpp"
#include "speech_digits.hpp"
#include "speech_inputs.hpp"
#include "speech_server.hpp"
#include "speech_soundness.hpp"
#include "speech_stream.hpp"
#include "speech_sum.hpp"
#include "speech_viterbi.hpp"

namespace {

using namespace mpp;

void run_all(bench::Report& report, const std::string& digits) {
  bool sound = true;
  if (const auto inputs = bench::SpeechInputs::read()) {
    sound = bench::measure_stream(report, inputs->libri) && sound;  // first, while the process is small
    sound = bench::measure_word_stream(report, inputs->libri) && sound;
    sound = bench::measure_sum(report, *inputs) && sound;
    sound = bench::measure_languages(report, *inputs) && sound;
  } else {
    std::cerr << "not run: real emissions, there is no " << bench::speech_folder() << "; set MPP_DATA_DIR\n";
  }
  bench::measure_digits(report, digits);
  bench::Soundness soundness;
  bench::fuzz_sum(soundness, report.quick() ? 25'000 : 450'000);
  bench::fuzz_max(soundness, report.quick() ? 24'000 : 480'000);
  bench::fuzz_streams(soundness, report.quick() ? 5'000 : 100'000);
  bench::fuzz_word_streams(soundness, report.quick() ? 5'000 : 100'000);
  bench::report_soundness(report, soundness);
  sound = sound && soundness.violations == 0 && soundness.broken_caught;
  expects<std::runtime_error>(sound, "bench_speech: a bound or a certificate is wrong; see the metrics");
}

}  // namespace

int main(int argc, char** argv) try {
  bench::keep_freed_memory();
  bench::Report report("speech", "Certified decoding: soundness, live hypotheses, memory and time");
  std::string serve_folder;
  std::string digits = "out/speech_digits";
  report.app().add_option("--serve", serve_folder, "Answer lines on stdin about the emissions in this folder");
  report.app().add_option("--digits", digits,
                          "Folder of the emissions of digit strings, as examples/models makes them");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  if (!serve_folder.empty()) return bench::SpeechServer(serve_folder).serve();
  int status = 0;
  try {
    run_all(report, digits);
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  return std::max(status, report.finish());
} catch (const std::exception& error) {
  std::cerr << "bench_speech: " << error.what() << '\n';
  return 1;
}
