#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <limits>
#include <memory_resource>
#include <random>
#include <string>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

#include "domains/speech/stream_fuzz.hpp"
#include "support/message_of.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

TEST(CtcStream, GapsAreNeverBelowTheTruthAndChunksChangeNothing) {
  const StreamTally t = fuzz_streams(15000, 1);
  EXPECT_EQ(t.violations(), 0U) << "gap " << t.gap_violations << ", mass " << t.mass_violations << ", chain "
                                << t.chain_violations << ", whole " << t.whole_violations << ", score "
                                << t.score_violations << ", segment " << t.segment_violations << ", frame "
                                << t.frame_violations << ", chunk " << t.chunk_differences;
  std::cout << "certified " << t.certified << " of " << t.cases << ", " << t.forced << " forced, " << t.closed
            << " closed\n";
  EXPECT_GT(t.certified, t.cases / 4);
  EXPECT_GT(t.forced, t.cases / 10);
  EXPECT_GT(t.closed, t.cases / 10);
}

// A broken twin: what the search is told to drop is not charged.
struct DropsForNothing : StreamAccounting {
  static double told(double) { return 0.0; }
};
TEST(CtcStream, TheTestAboveCatchesForcedCommitmentsThatAreNotCharged) {
  constexpr bool closings = false;
  const StreamTally t = fuzz_streams<DropsForNothing>(5000, 2, closings);
  EXPECT_EQ(t.closed, 0U);
  EXPECT_GT(t.gap_violations, 0U);
}
TEST(CtcStream, TheTestAboveCatchesClosingsThatAreNotCharged) {
  const StreamTally closings = fuzz_streams<DropsForNothing>(5000, 2);
  std::cout << closings.gap_violations << " violations, " << closings.segment_violations << " in segments\n";
  EXPECT_GT(closings.gap_violations, 0U);
  EXPECT_GT(closings.segment_violations, 0U);
}

TEST(CtcStream, TheTestAboveCatchesACommitmentThatForgets) {
  const StreamTally t = fuzz_streams<ForgetsBranches>(5000, 1);
  EXPECT_GT(t.gap_violations, 0U);
  EXPECT_GT(t.segment_violations, 0U);
}

// Broken twins of the product over segments: no path ends a segment with a label; no segment begins with a repetition of
// the label before it; one prefix brings all mass of a segment.
struct NoOtherPaths : StreamAccounting {
  struct Account : StreamAccount {
    void close(ClosedSegment s, double first_label) {
      s.other_chain = -std::numeric_limits<double>::infinity();
      StreamAccount::close(s, first_label);
    }
  };
};
struct NoRepetitions : StreamAccounting {
  struct Account : StreamAccount {
    static constexpr double never = -std::numeric_limits<double>::infinity();
    void close(const ClosedSegment& s, double) { StreamAccount::close(s, never); }
    Certificate others(const Certificate& open, double chain, double) const {
      return StreamAccount::others(open, chain, never);
    }
  };
};
struct NoChains : StreamAccounting {
  struct Account : StreamAccount {
    void close(ClosedSegment s, double first_label) {
      s.blank_chain = s.kept.upper;
      StreamAccount::close(s, first_label);
    }
  };
};
TEST(CtcStream, TheTestAboveCatchesProductsThatLeavePathsOut) {
  const std::size_t other = fuzz_streams<NoOtherPaths>(4000, 1).whole_violations;
  const std::size_t repetition = fuzz_streams<NoRepetitions>(4000, 1).whole_violations;
  const std::size_t chain = fuzz_streams<NoChains>(4000, 1).whole_violations;
  std::cout << other << ", " << repetition << " and " << chain << " violations\n";
  EXPECT_GT(other, 0U);
  EXPECT_GT(repetition, 0U);
  EXPECT_GT(chain, 0U);
}

constexpr float none = -std::numeric_limits<float>::infinity();

// Frames in which one token has almost all probability.
EmissionMatrix spoken(const std::vector<std::size_t>& path, std::size_t tokens) {
  std::vector<float> p(path.size() * tokens, 1e-6F);
  for (std::size_t t = 0; t < path.size(); ++t) p[t * tokens + path[t]] = 1.0F - 1e-6F * static_cast<float>(tokens - 1);
  return from_probabilities(p, tokens);
}

TEST(CtcStream, HandsOutEachLabelOnceWithItsFrame) {
  const EmissionMatrix m = spoken({1, 1, 0, 2, 2, 0, 0, 2, 0, 3, 0, 0}, 4);
  CtcStream stream(std::pmr::new_delete_resource(), 4, 0, {.commit_interval = 4});
  StreamOutput output;
  stream.feed({std::span(m.log_probs).first(8 * 4), 8, 4, 0}, output);
  std::vector<StreamLabel> heard = output.labels;
  for (const StreamLabel& label : stream.partial()) heard.push_back(label);
  EXPECT_EQ(heard, (std::vector<StreamLabel>{{0, 1}, {3, 2}, {7, 2}}));
  stream.feed({std::span(m.log_probs).subspan(8 * 4), 4, 4, 0}, output);
  const StreamResult result = stream.finish(output);
  EXPECT_EQ(output.labels, (std::vector<StreamLabel>{{0, 1}, {3, 2}, {7, 2}, {9, 3}}));
  EXPECT_TRUE(stream.partial().empty());
  EXPECT_EQ(result.labels, 4U);
  EXPECT_EQ(result.frames, 12U);
  EXPECT_EQ(result.gap, 0.0);
  EXPECT_EQ(output.segments, (std::vector<StreamSegment>{{0, 12, 4, 0.0, 1.0}}));
}

TEST(CtcStream, ClosesSegmentsAtBlanksAndTheGapsAreThoseOfTheSegments) {
  const EmissionMatrix m = spoken({1, 0, 0, 2, 0, 0, 1, 1}, 3);
  const StreamRun run = run_stream(m.view(0), {.shortest_segment = 3}, [] { return 5; });
  ASSERT_EQ(run.output.segments.size(), 3U);
  const std::vector<std::uint64_t> ends{3, 6, 8};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(run.output.segments[i].end_frame, ends[i]);
    EXPECT_EQ(run.output.segments[i].labels, 1U);
    EXPECT_EQ(run.output.segments[i].gap, 0.0);
  }
  EXPECT_NEAR(run.output.segments[0].blank, 1.0 - 2e-6, 1e-7);
  EXPECT_EQ(run.result.gap, 0.0);
}

TEST(CtcStream, AStreamOfNothingIsTheEmptyLabelling) {
  CtcStream stream(std::pmr::new_delete_resource(), 3, 0);
  StreamOutput output;
  stream.feed({{}, 0, 3, 0}, output);
  EXPECT_TRUE(stream.partial().empty());
  const StreamResult result = stream.finish(output);
  EXPECT_TRUE(output.labels.empty() && output.segments.empty());
  EXPECT_EQ(result.gap, 0.0);
  EXPECT_EQ(result.frames, 0U);
  EXPECT_NEAR(result.log_prob_lower, 0.0, 1e-6);
}

TEST(CtcStream, OneTokenOneHypothesisAndImpossibleTokens) {
  const std::vector<float> silent(5, 0.0F);
  EXPECT_TRUE(run_stream({silent, 5, 1, 0}, {}, [] { return 1; }).output.labels.empty());
  // Only a repetition with a blank between is possible; the blank of the first frame is not.
  const EmissionMatrix only{{0, none, 0, none, none, 0, 0, none, 0, none}, 5, 2};
  const StreamRun run =
      run_stream(only.view(1), {.live_cap = 1, .node_capacity = 3, .longest_uncommitted = 1}, [] { return 2; });
  EXPECT_EQ(run.output.labels, (std::vector<StreamLabel>{{0, 0}, {3, 0}}));
  EXPECT_EQ(run.result.gap, 0.0);
  EXPECT_GE(run.result.log_prob_upper, run.result.log_prob_lower);
}

// 20,000 tokens, all but equal: fewer are listed than the cap holds, and something stays live.
TEST(CtcStream, ManyTokensWithoutAnyPeak) {
  const std::vector<float> flat(4 * 20000, static_cast<float>(-std::log(20000.0)));
  const StreamRun run = run_stream({flat, 4, 20000, 7}, {.live_cap = 3}, [] { return 1; });
  EXPECT_GT(run.result.gap, 1.0);
  EXPECT_TRUE(std::isfinite(run.result.gap));
}

TEST(CtcStream, RefusesBadChunksByFrameAndStaysAsItWas) {
  std::mt19937_64 random(3);
  const EmissionMatrix m = random_emissions(random, 40, 5, 4.0, 0.0);
  const auto expected = run_stream(m.view(2), {}, [] { return 40; });
  CtcStream stream(std::pmr::new_delete_resource(), 5, 2);
  StreamRun run;
  const std::span all(m.log_probs);
  stream.feed({all.first(30 * 5), 30, 5, 2}, run.output);
  const auto feed = [&](const std::vector<float>& rows, std::size_t frames, std::size_t tokens, std::size_t blank) {
    return [&, frames, tokens, blank] { stream.feed({rows, frames, tokens, blank}, run.output); };
  };
  std::vector<float> rows(all.begin() + 30 * 5, all.end());
  EXPECT_NE(message_of<ShapeError>(feed(rows, 10, 4, 2)).find("chunk has 4 tokens, expected 5"), std::string::npos);
  EXPECT_NE(message_of<ValueError>(feed(rows, 10, 5, 1)).find("blank of the chunk is 1, expected 2"),
            std::string::npos);
  EXPECT_THROW(feed(rows, 9, 5, 2)(), ShapeError);
  EXPECT_THROW(feed(rows, 0, 5, 2)(), ShapeError);
  EXPECT_THROW(feed({}, 10, 5, 2)(), ShapeError);
  EXPECT_THROW(feed(rows, std::size_t{1} << 63, 5, 2)(), ShapeError);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), 3e38F, 0.5F}) {
    std::vector<float> broken = rows;
    broken[4 * 5 + 3] = bad;
    EXPECT_NE(message_of<ValueError>(feed(broken, 10, 5, 2)).find("frame 34"), std::string::npos) << bad;
  }
  EXPECT_EQ(stream.frames(), 30U);
  feed(rows, 10, 5, 2)();
  run.result = stream.finish(run.output);
  EXPECT_EQ(run, expected);
  EXPECT_NE(message_of<ValueError>(feed(rows, 10, 5, 2)).find("feed() after finish()"), std::string::npos);
  EXPECT_THROW((void)stream.finish(run.output), ValueError);
}

TEST(CtcStream, RefusesAbsurdOptions) {
  const auto make = [](const CtcStreamOptions& o, std::size_t tokens = 4, std::size_t blank = 0) {
    return [=] { (void)CtcStream(std::pmr::new_delete_resource(), tokens, blank, o); };
  };
  EXPECT_THROW(make({}, 0)(), ShapeError);
  EXPECT_THROW(make({}, std::size_t{1} << 40)(), ShapeError);
  EXPECT_THROW(make({}, 4, 4)(), ValueError);
  EXPECT_THROW(make({.live_cap = 0})(), ValueError);
  EXPECT_THROW(make({.live_cap = SIZE_MAX})(), ValueError);
  EXPECT_THROW(make({.node_capacity = 65})(), ValueError);
  EXPECT_THROW(make({.node_capacity = SIZE_MAX})(), ShapeError);
  EXPECT_THROW(make({.longest_uncommitted = 0})(), ValueError);
  EXPECT_THROW(make({.longest_uncommitted = SIZE_MAX})(), ValueError);
  for (const double bad : {-1e-9, 0.26, std::nan("")}) {
    EXPECT_THROW(make({.relative_threshold = bad})(), ValueError);
  }
  for (const double bad : {0.0, 1.01, std::nan("")}) EXPECT_THROW(make({.closing_blank = bad})(), ValueError);
  EXPECT_THROW(make({.commit_interval = 0})(), ValueError);
  EXPECT_THROW(make({.shortest_segment = 0})(), ValueError);
}

TEST(CtcStream, TakesItsClaimAtOnceAndNothingAfterwards) {
  std::mt19937_64 random(9);
  for (const auto& [tokens, cap, longest] :
       {std::array<std::size_t, 3>{1, 1, 1}, {30, 16, 64}, {200, 3, 5}, {5, 300, 20}}) {
    CtcStreamOptions options;
    options.live_cap = cap;
    options.longest_uncommitted = longest;
    options.node_capacity = longest + 2 + 4 * cap;
    const Bytes claim = CtcStream::bytes(tokens, options);
    Ledger ledger(Footprint::host(claim));
    Reservation reservation(ledger.root());
    ASSERT_FALSE(reservation.try_grow(Footprint::host(claim)).has_value());
    ReservationResource resource(reservation, MemorySpace::host);
    CtcStream stream(&resource, tokens, 0, options);
    const Footprint taken = reservation.used();
    StreamOutput output;
    for (int i = 0; i < 20; ++i) {
      const EmissionMatrix m = random_emissions(random, 30, tokens, static_cast<double>(i % 5), 0.1);
      stream.feed(m.view(0), output);
      EXPECT_EQ(reservation.used(), taken);
    }
    const StreamResult result = stream.finish(output);
    EXPECT_EQ(result.labels, output.labels.size());
    EXPECT_EQ(result.segments, output.segments.size());
    std::uint64_t next = 0;
    for (const StreamLabel& label : output.labels) {
      EXPECT_GE(label.frame, next);
      next = label.frame + 1;
    }
    EXPECT_LE(next, result.frames);
  }
}

}  // namespace
}  // namespace mpp::speech
