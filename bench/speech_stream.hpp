#pragma once
// An hour of emissions through one stream, of letters and of words: does its memory stay what it was?
#include <algorithm>
#include <cmath>
#include <memory_resource>
#include <random>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>
#include <mpp/speech/ctc_stream.hpp>
#include <mpp/speech/viterbi_stream.hpp>

#include "bench_json.hpp"
#include "resident_memory.hpp"
#include "speech_inputs.hpp"

namespace mpp::bench {

/// The sentence with noise on its logits, so that no two repetitions are equal.
inline speech::EmissionMatrix with_noise(const speech::EmissionMatrix& m, double deviation, std::mt19937_64& random) {
  std::normal_distribution<float> normal(0.0F, static_cast<float>(deviation));
  speech::EmissionMatrix noisy = m;
  for (float& x : noisy.log_probs) x += normal(random);
  return speech::log_softmax(noisy);
}

/// Memory of a stream, all of it taken from a ledger, and what it does in the long run.
struct StreamMemory {
  Bytes claim;
  double minutes = 0.0, seconds = 0.0;
  double change = 0.0;  ///< of resident memory, largest, relative to what it was after a twelfth of the time
};

/// Feeds minutes of 50 frames a second, the sentence over and over, and reads the memory twelve times.
/// @param take  called after each sentence with the output, which is the caller's, who uses it and forgets it
template <class Stream, class Take>
StreamMemory feed_stream(std::uint64_t minutes, const speech::EmissionMatrix& sentence,
                         const typename Stream::Options& options, const Take& take) {
  using namespace speech;
  constexpr std::uint64_t minute = 60 * 50;
  const std::size_t blank = sentence.tokens - 1;
  StreamMemory found{.claim = Stream::bytes(sentence.tokens, options)};
  Ledger ledger(Footprint::unlimited());
  Reservation reservation(ledger.root());
  expects<std::runtime_error>(!reservation.try_grow(Footprint::host(found.claim)),
                              "bench_speech: no memory for a stream");
  ReservationResource memory(reservation, MemorySpace::host);
  Stream stream(&memory, sentence.tokens, blank, options);
  typename Stream::Output output;
  std::mt19937_64 random(1);
  double first = 0.0;
  for (std::uint64_t next = minutes * minute / 12; stream.frames() < minutes * minute;) {
    const EmissionMatrix chunk = with_noise(sentence, 2.0, random);
    const ThreadStopwatch watch;
    stream.feed(chunk.view(blank), output);
    found.seconds += watch.seconds();
    take(output);
    if (stream.frames() < next) continue;
    const double now = resident_bytes();
    expects<std::runtime_error>(now > 0.0, "bench_speech: this system does not tell the resident memory of a process");
    first = first == 0.0 ? now : first;
    found.change = std::max(found.change, std::abs(now / first - 1.0));
    next += minutes * minute / 12;
  }
  found.minutes = static_cast<double>(stream.frames()) / static_cast<double>(minute);
  (void)stream.finish(output);
  take(output);
  return found;
}

template <class Segments>
double count_proven(const Segments& segments) {
  return static_cast<double>(std::ranges::count_if(segments, [](const auto& s) { return s.gap == 0.0; }));
}

/// Letters, in sum semantics. Run it before anything large is loaded: a large process would hide growth.
/// @return whether resident memory stayed within 1 % of what it was after a twelfth of the time
inline bool measure_stream(Report& report, const speech::EmissionMatrix& sentence) {
  double labels = 0.0, proven = 0.0, segments = 0.0;
  const auto found = feed_stream<speech::CtcStream>(60, sentence, {}, [&](speech::StreamOutput& output) {
    labels += static_cast<double>(output.labels.size());
    segments += static_cast<double>(output.segments.size());
    proven += count_proven(output.segments);
    output.labels.clear();
    output.segments.clear();
  });
  report.set("speech.stream_minutes", found.minutes);
  report.set("speech.stream_memory_change", found.change);
  report.set("speech.stream_kb", static_cast<double>(found.claim.count) / 1e3);
  report.set("speech.stream_labels", labels);
  report.set("speech.stream_segments", segments);
  report.set("speech.stream_segments_proven", segments > 0.0 ? proven / segments : 0.0);
  report.set("speech.stream_s", found.seconds);
  return found.change <= 0.01;
}

/// Words with a model, in max semantics. @return as measure_stream()
inline bool measure_word_stream(Report& report, const speech::EmissionMatrix& sentence) {
  using namespace speech;
  const SpeechLanguage language = SpeechLanguage::read();
  const WordGraph graph(language.lexicon, &language.model, {.lm_weight = 1.0, .silence = libri_separator});
  const FoldedGraph folded(graph);
  double words = 0.0, proven = 0.0, segments = 0.0;
  const auto found = feed_stream<ViterbiStream>(report.quick() ? 12 : 60, sentence, {.graph = &folded, .live_cap = 64},
                                                [&](WordStreamOutput& output) {
                                                  words += static_cast<double>(output.words.size());
                                                  segments += static_cast<double>(output.segments.size());
                                                  proven += count_proven(output.segments);
                                                  output.words.clear();
                                                  output.segments.clear();
                                                });
  report.set("speech.word_stream_minutes", found.minutes);
  report.set("speech.word_stream_memory_change", found.change);
  report.set("speech.word_stream_kb", static_cast<double>(found.claim.count) / 1e3);
  report.set("speech.word_stream_words", words);
  report.set("speech.word_stream_segments", segments);
  report.set("speech.word_stream_segments_proven", segments > 0.0 ? proven / segments : 0.0);
  report.set("speech.word_stream_s", found.seconds);
  return found.change <= 0.01;
}

}  // namespace mpp::bench
