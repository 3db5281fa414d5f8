#pragma once
// An hour of emissions through one stream: does its memory stay what it was?
#include <cmath>
#include <memory_resource>
#include <random>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>
#include <mpp/speech/ctc_stream.hpp>

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

/// Feeds an hour, at 50 frames a second, of the sentence over and over, and reads the memory every five minutes.
/// Run it before anything large is loaded: a large process would hide growth.
/// @return whether resident memory stayed within 1 % of what it was after five minutes
inline bool measure_stream(Report& report, const speech::EmissionMatrix& sentence) {
  using namespace speech;
  constexpr std::uint64_t minute = 60 * 50;
  const std::size_t blank = sentence.tokens - 1;
  Ledger ledger(Footprint::unlimited());
  Reservation reservation(ledger.root());
  const Bytes claim = CtcStream::bytes(sentence.tokens);
  expects<std::runtime_error>(!reservation.try_grow(Footprint::host(claim)), "bench_speech: no memory for a stream");
  ReservationResource memory(reservation, MemorySpace::host);
  CtcStream stream(&memory, sentence.tokens, blank);
  StreamOutput output;
  std::mt19937_64 random(1);
  double first = 0.0, change = 0.0, labels = 0.0, seconds = 0.0, proven = 0.0, segments = 0.0;
  const auto take = [&] {  // the output is the caller's, who uses it and forgets it
    labels += static_cast<double>(output.labels.size());
    segments += static_cast<double>(output.segments.size());
    for (const StreamSegment& s : output.segments) proven += s.gap == 0.0 ? 1.0 : 0.0;
    output.labels.clear();
    output.segments.clear();
  };
  for (std::uint64_t next = 5 * minute; stream.frames() < 60 * minute;) {
    const EmissionMatrix chunk = with_noise(sentence, 2.0, random);
    const ThreadStopwatch watch;
    stream.feed(chunk.view(blank), output);
    seconds += watch.seconds();
    take();
    if (stream.frames() < next) continue;
    const double now = resident_bytes();
    expects<std::runtime_error>(now > 0.0, "bench_speech: this system does not tell the resident memory of a process");
    first = first == 0.0 ? now : first;
    change = std::max(change, std::abs(now / first - 1.0));
    next += 5 * minute;
  }
  (void)stream.finish(output);
  take();
  report.set("speech.stream_minutes", static_cast<double>(stream.frames()) / static_cast<double>(minute));
  report.set("speech.stream_memory_change", change);
  report.set("speech.stream_kb", static_cast<double>(claim.count) / 1e3);
  report.set("speech.stream_labels", labels);
  report.set("speech.stream_segments", segments);
  report.set("speech.stream_segments_proven", segments > 0.0 ? proven / segments : 0.0);
  report.set("speech.stream_s", seconds);
  return change <= 0.01;
}

}  // namespace mpp::bench
