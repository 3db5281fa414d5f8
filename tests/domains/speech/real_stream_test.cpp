// Streams of emissions of real models. Needs MPP_DATA_DIR; skipped without.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>

#include <mpp/core/control/controller.hpp>
#include <mpp/speech/score_gap.hpp>

#include "domains/speech/stream_fuzz.hpp"
#include "support/shared_data.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

class RealStream : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(shared_data("speech/libri_logits.json")))
      GTEST_SKIP() << "no emissions in " << shared_data("speech");
  }
  static EmissionMatrix libri() { return log_softmax(read_emissions_json(shared_data("speech/libri_logits.json"))); }
  static EmissionMatrix line() { return log_softmax(read_emissions_csv(shared_data("speech/iam_line.csv"))); }
  static EmissionMatrix word() { return log_softmax(read_emissions_csv(shared_data("speech/iam_word.csv"))); }
  static StreamRun whole(const EmissionMatrix& m, const CtcStreamOptions& options = {}) {
    return run_stream(m.view(m.tokens - 1), options, [&] { return m.frames; });
  }
  static std::string text(std::span<const StreamLabel> labels) {
    std::string letters;
    for (const StreamLabel& label : labels) letters += " abcdefghijklmnopqrstuvwxyz'"[label.token];
    return letters;
  }
  static void print(std::string_view name, const StreamRun& run) {
    const auto proven = std::ranges::count_if(run.output.segments, [](const StreamSegment& s) { return s.gap == 0.0; });
    std::cout << name << ": gap " << run.result.gap << ", ln P " << run.result.log_prob_lower << ", " << proven
              << " of " << run.result.segments << " segments proven, " << run.result.forced << " forced\n";
  }
};

TEST_F(RealStream, ChunksChangeNothing) {
  std::mt19937_64 random(4);
  for (const EmissionMatrix& m : {libri(), line(), word()})
    for (const CtcStreamOptions& options :
         {CtcStreamOptions{}, CtcStreamOptions{.live_cap = 2, .longest_uncommitted = 3, .shortest_segment = 20},
          CtcStreamOptions{.live_cap = 100, .node_capacity = 200}}) {
      const StreamRun expected = whole(m, options);
      for (const std::size_t longest : {1U, 2U, 10U, 200U})
        EXPECT_EQ(run_stream(m.view(m.tokens - 1), options, [&] { return 1 + random() % longest; }), expected);
    }
}

TEST_F(RealStream, SentenceIsProvenOptimalAndItsLabelsAreWhereTheBestPathHasThem) {
  const EmissionMatrix m = libri();
  const StreamRun run = whole(m);
  print("libri", run);
  EXPECT_EQ(
      text(run.output.labels),
      "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve");
  EXPECT_EQ(run.result.gap, 0.0);
  EXPECT_GT(run.output.segments.size(), 1U);
  for (const StreamSegment& s : run.output.segments) EXPECT_EQ(s.gap, 0.0);

  const CtcTier tier;
  const ScoreGap estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  const CtcRequest request{m.view(m.tokens - 1), 1};
  const auto outcome = controller.serve(request);
  const CtcResult& best = outcome.value();
  EXPECT_LE(run.result.log_prob_lower, best.best.front().log_prob_upper);
  EXPECT_GE(run.result.log_prob_upper, best.best.front().log_prob_lower);
  std::size_t equal = 0;
  for (std::size_t i = 0; i < best.frames.size(); ++i) {
    const auto there = static_cast<std::int64_t>(run.output.labels[i].frame);
    EXPECT_LE(std::abs(there - static_cast<std::int64_t>(best.frames[i])), 2) << i;
    equal += there == best.frames[i] ? 1 : 0;
  }
  std::cout << equal << " of " << best.frames.size() << " labels at the frame of the best path\n";
  EXPECT_GE(equal * 10, best.frames.size() * 9);
}

TEST_F(RealStream, LineHasAnHonestGap) {
  const EmissionMatrix m = line();
  const CtcRequest request{m.view(m.tokens - 1), 1};
  const CtcTier tier({.live_caps = {2, 16}});
  const ScoreGap estimator;
  Ledger ledger(Footprint::unlimited());
  const Controller controller(tier, estimator, ledger.root());
  const double optimum = controller.serve(request).value().best.front().log_prob_lower;
  for (const std::size_t cap : {2U, 16U, 256U}) {
    const StreamRun run = whole(m, {.live_cap = cap, .node_capacity = 16 * cap + 66});
    print("line", run);
    EXPECT_GT(run.result.gap, 0.0);
    EXPECT_GE(run.result.gap, optimum - run.result.log_prob_upper);
  }
}

// The sentence again and again. Nothing looks ahead, and yet minutes are proven optimal as one labelling.
TEST_F(RealStream, FiveMinutesAreProvenOptimalAndAnHourHasASmallGap) {
  const EmissionMatrix m = libri();
  for (const auto& [minutes, most] : {std::pair{2U, 0.0}, {5U, 0.0}, {15U, 1.0}, {60U, 4.0}}) {
    StreamRun run;
    CtcStream stream(std::pmr::new_delete_resource(), m.tokens, m.tokens - 1);
    while (stream.frames() < minutes * 3000) stream.feed(m.view(m.tokens - 1), run.output);
    run.result = stream.finish(run.output);
    print(std::to_string(minutes) + " minutes", run);
    const Certificate& c = run.result.others;
    std::cout << "mass " << c.mass << ", chains " << c.chains << ", whole " << c.whole << '\n';
    for (const StreamSegment& s : run.output.segments) EXPECT_EQ(s.gap, 0.0);
    EXPECT_LE(run.result.gap, most);
  }
}

std::size_t resident_bytes() {
  std::size_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Counts what is live, and the requests.
class CountingResource : public std::pmr::memory_resource {
 public:
  std::size_t live = 0, requests = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    live += bytes;
    ++requests;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
    live -= bytes;
    std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

// The sentence again and again: as it is, with noise, and drowned in it.
TEST_F(RealStream, AnHourTakesTheMemoryOfTheFirstMinute) {
  constexpr std::uint64_t per_minute = 50 * 60, hour = 60 * per_minute;
  const EmissionMatrix m = libri();
  // All chunks are made beforehand: a sanitizer keeps what is given back, which is not the stream's.
  std::vector<EmissionMatrix> chunks;
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (std::uint64_t frames = 0; frames < hour; frames += m.frames) {
    EmissionMatrix noisy = m;
    const float noise = std::array{0.0F, 0.5F, 2.0F, 6.0F}[random() % 4];
    std::ranges::transform(m.log_probs, noisy.log_probs.begin(), [&](float x) { return x + noise * normal(random); });
    chunks.push_back(log_softmax(noisy));
  }
  CountingResource memory;
  CtcStream stream(&memory, m.tokens, m.tokens - 1);
  const std::size_t taken = memory.live, requests = memory.requests;
  EXPECT_LE(taken, CtcStream::bytes(m.tokens).count);
  StreamOutput output;
  (void)resident_bytes();  // itself touches pages of the libraries
  std::size_t first_minute = 0, proven = 0, labels = 0, most_partial = 0;
  double largest_gap = 0.0;
  std::chrono::duration<double> fed{};
  for (const EmissionMatrix& chunk : chunks) {
    const auto start = std::chrono::steady_clock::now();
    stream.feed({chunk.log_probs, chunk.frames, chunk.tokens, chunk.tokens - 1}, output);
    fed += std::chrono::steady_clock::now() - start;
    most_partial = std::max(most_partial, stream.partial().size());
    labels += output.labels.size();
    for (const StreamSegment& s : output.segments) {
      proven += s.gap == 0.0 ? 1 : 0;
      largest_gap = std::max(largest_gap, s.gap);
    }
    output.labels.clear();
    output.segments.clear();
    if (first_minute == 0 && stream.frames() > per_minute) first_minute = resident_bytes();
  }
  const std::size_t last_minute = resident_bytes();
  EXPECT_EQ(memory.live, taken);
  EXPECT_EQ(memory.requests, requests);
  EXPECT_NEAR(static_cast<double>(last_minute), static_cast<double>(first_minute),
              0.01 * static_cast<double>(first_minute));
  EXPECT_LE(most_partial, CtcStreamOptions{}.longest_uncommitted);
  const StreamResult result = stream.finish(output);
  labels += output.labels.size();
  EXPECT_EQ(result.labels, labels);
  EXPECT_TRUE(std::isfinite(result.gap));
  std::cout << result.frames << " frames in " << fed.count() << " s; state " << taken << " B, resident " << first_minute
            << " B after a minute, " << last_minute << " B after " << result.frames / per_minute << "; " << labels
            << " labels, " << proven << " of " << result.segments << " segments proven, largest gap " << largest_gap
            << ", " << result.forced << " forced, most uncommitted " << most_partial << "; ln P "
            << result.log_prob_lower << " to " << result.log_prob_upper << ", gap " << result.gap << '\n';
}

}  // namespace
}  // namespace mpp::speech
