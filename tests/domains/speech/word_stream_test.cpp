// What a stream of words hands out, what it refuses, and the memory that it takes.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <memory_resource>
#include <random>
#include <string>
#include <vector>

#include <mpp/core/memory/reservation.hpp>
#include <mpp/core/memory/resource.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "domains/speech/word_scenes.hpp"
#include "domains/speech/word_stream_fuzz.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// "ab", "a" and "ba", without a model; token 0 is the blank, 1 is a, 2 is b, 3 is spelled by nothing.
struct Letters {
  Lexicon lexicon;
  WordGraph graph;
  FoldedGraph folded;

  explicit Letters(const WordWeights& weights = {.word_bonus = -1.0})
      : lexicon(Lexicon::build(words())), graph(lexicon, nullptr, weights), folded(graph) {}
  static WordList words() {
    WordList list;
    for (const auto& [word, spelling] :
         std::vector<std::pair<const char*, std::vector<Token>>>{{"ab", {1, 2}}, {"a", {1}}, {"ba", {2, 1}}}) {
      list.words.emplace_back(word);
      list.spellings.add(spelling);
    }
    return list;
  }
};

// Frames in which one token has almost all probability.
EmissionMatrix spoken(const std::vector<std::size_t>& path, std::size_t tokens = 4) {
  std::vector<float> p(path.size() * tokens, 1e-6F);
  for (std::size_t t = 0; t < path.size(); ++t) p[t * tokens + path[t]] = 1.0F - 1e-6F * static_cast<float>(tokens - 1);
  return from_probabilities(p, tokens);
}

ViterbiStreamOptions small(const FoldedGraph& folded) {
  ViterbiStreamOptions options{.graph = &folded, .live_cap = 8};
  options.shortest_block = 2;
  options.longest_block = 4;
  return options;
}

TEST(WordStream, HandsOutEachWordOnceWithItsFrame) {
  const Letters letters;
  //                                a  a  -  b  -  -  -  b  b  a  -  -  a  a
  const EmissionMatrix m = spoken({1, 1, 0, 2, 0, 0, 0, 2, 2, 1, 0, 0, 1, 1});
  const auto expected = [&](std::size_t count) {
    std::vector<StreamWord> words;
    for (const auto& [frame, word] :
         std::vector<std::pair<std::uint64_t, const char*>>{{3, "ab"}, {9, "ba"}, {12, "a"}})
      if (words.size() < count) {
        const Lexicon::Word number = *letters.lexicon.find(word);
        std::optional<Lexicon::Node> node = Lexicon::root;
        for (const char c : std::string(word)) node = letters.lexicon.child(*node, c == 'a' ? 1 : 2);
        words.push_back({frame, number, *node});
      }
    return words;
  };
  ViterbiStream stream(std::pmr::new_delete_resource(), 4, 0, small(letters.folded));
  WordStreamOutput output;
  stream.feed({std::span(m.log_probs).first(12 * 4), 12, 4, 0}, output);
  std::vector<StreamWord> heard = output.words;
  for (const StreamWord& word : stream.partial()) heard.push_back(word);
  EXPECT_EQ(heard, expected(2));
  stream.feed({std::span(m.log_probs).subspan(12 * 4), 2, 4, 0}, output);
  const WordStreamResult result = stream.finish(output);
  EXPECT_EQ(output.words, expected(3));
  EXPECT_TRUE(stream.partial().empty());
  EXPECT_EQ(result.words, 3U);
  EXPECT_EQ(result.frames, 14U);
  EXPECT_EQ(result.closed_gap, 0.0);
  EXPECT_NEAR(result.score_lower, -3.0, 1e-3);
  ASSERT_GT(output.segments.size(), 1U);
  std::uint64_t words = 0, end = 0;
  for (const WordSegment& s : output.segments) {
    EXPECT_EQ(s.first_frame, end);
    EXPECT_EQ(s.gap, 0.0);
    EXPECT_EQ(s.closed, s.end_frame != 14);
    words += s.words;
    end = s.end_frame;
  }
  EXPECT_EQ(words, 3U);
  EXPECT_EQ(end, 14U);
}

TEST(WordStream, NamesUnknownWordsByTheirSpelling) {
  const Letters letters({.unknown_score = -2.0});
  const EmissionMatrix m = spoken({2, 0, 0});  // b: a way to "ba", but no word
  const WordStreamRun run = run_words(m.view(0), small(letters.folded), [] { return 1; });
  ASSERT_EQ(run.output.words.size(), 1U);
  EXPECT_EQ(run.output.words[0].word, WordTranscript::unknown);
  EXPECT_EQ(letters.lexicon.token(run.output.words[0].node), 2U);
  EXPECT_EQ(run.output.words[0].frame, 0U);
}

TEST(WordStream, AStreamOfNothingHasNoWords) {
  const Letters letters;
  ViterbiStream stream(std::pmr::new_delete_resource(), 4, 0, small(letters.folded));
  WordStreamOutput output;
  stream.feed({{}, 0, 4, 0}, output);
  EXPECT_TRUE(stream.partial().empty());
  const WordStreamResult result = stream.finish(output);
  EXPECT_EQ(result, (WordStreamResult{0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0}));
  EXPECT_TRUE(output.words.empty() && output.segments.empty());
}

TEST(WordStream, SaysWhenNoWordsHaveAPath) {
  const Letters letters;
  EmissionMatrix m = spoken({1, 0, 0, 3, 0, 0, 2, 1});
  for (std::size_t k = 0; k < 3; ++k) m.log_probs[3 * 4 + k] = -std::numeric_limits<float>::infinity();  // 3 or nothing
  const WordStreamRun run = run_words(m.view(0), small(letters.folded), [] { return 3; });
  EXPECT_EQ(run.result.score_upper, -infinity);
  EXPECT_EQ(run.result.score_lower, -infinity);
  EXPECT_EQ(run.result.frames, 8U);
  EXPECT_EQ(run.result.gap, 0.0);  // no other words have one either: what was dropped has no path through that frame
}

TEST(WordStream, SaysWhenTheSearchHasLostAllPaths) {
  const Letters letters;
  ViterbiStreamOptions narrow = small(letters.folded);
  narrow.live_cap = narrow.shortest_block = narrow.longest_block = 1;
  EmissionMatrix m =
      spoken({2, 1, 0, 2, 0});  // "ba" is heard; "b" begins another, and the blank in its place is dropped
  m.log_probs[4 * 4 + 1] = -std::numeric_limits<float>::infinity();
  const WordStreamRun run = run_words(m.view(0), narrow, [] { return 5; });
  EXPECT_EQ(run.result.score_upper, -infinity);
  EXPECT_EQ(run.result.gap, infinity);
  EXPECT_EQ(run.output.words.size(), 1U);  // heard before
}

template <class Error, class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(WordStream, RefusesBadChunksByFrameAndStaysAsItWas) {
  const WordScene scene({.tokens = 5, .frames = 40}, 3);
  const FoldedGraph folded(scene.graph());
  const ViterbiStreamOptions options = small(folded);
  const Emissions all = scene.emissions();
  const WordStreamRun expected = run_words(all, options, [] { return 40; });
  ViterbiStream stream(std::pmr::new_delete_resource(), 5, 0, options);
  WordStreamRun run;
  stream.feed({all.log_probs.first(30 * 5), 30, 5, 0}, run.output);
  const auto feed = [&](const std::vector<float>& rows, std::size_t frames, std::size_t tokens, std::size_t blank) {
    return [&, frames, tokens, blank] { stream.feed({rows, frames, tokens, blank}, run.output); };
  };
  const std::vector<float> rows(all.log_probs.begin() + 30 * 5, all.log_probs.end());
  EXPECT_NE(message_of<ShapeError>(feed(rows, 10, 4, 0)).find("chunk has 4 tokens, expected 5"), std::string::npos);
  EXPECT_NE(message_of<ValueError>(feed(rows, 10, 5, 1)).find("blank of the chunk is 1, expected 0"),
            std::string::npos);
  EXPECT_THROW(feed(rows, 9, 5, 0)(), ShapeError);
  EXPECT_THROW(feed(rows, 0, 5, 0)(), ShapeError);
  EXPECT_THROW(feed({}, 10, 5, 0)(), ShapeError);
  EXPECT_THROW(feed(rows, std::size_t{1} << 63, 5, 0)(), ShapeError);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> broken = rows;
    broken[4 * 5 + 3] = bad;
    EXPECT_NE(message_of<ValueError>(feed(broken, 10, 5, 0)).find("frame 34"), std::string::npos) << bad;
  }
  EXPECT_EQ(stream.frames(), 30U);
  feed(rows, 10, 5, 0)();
  run.result = stream.finish(run.output);
  EXPECT_EQ(run, expected);
  EXPECT_NE(message_of<ValueError>(feed(rows, 10, 5, 0)).find("feed() after finish()"), std::string::npos);
  EXPECT_THROW((void)stream.finish(run.output), ValueError);
}

TEST(WordStream, RefusesAbsurdOptions) {
  const Letters letters, silent({.silence = Token{3}});
  const auto message = [](const ViterbiStreamOptions& o, std::size_t tokens = 4, std::size_t blank = 0) {
    return message_of<std::exception>([&] { (void)ViterbiStream(std::pmr::new_delete_resource(), tokens, blank, o); });
  };
  const auto with = [&](auto&& change) {
    ViterbiStreamOptions options = small(letters.folded);
    change(options);
    return message(options);
  };
  const auto says = [](const std::string& what, const char* part) {
    EXPECT_NE(what.find(part), std::string::npos) << what;
  };
  says(message({}), "graph is null");
  says(message_of<ValueError>([] { (void)ViterbiStream::bytes(4); }), "graph is null");
  says(message(small(letters.folded), 0), "0 tokens");
  says(message(small(letters.folded), std::size_t{1} << 40), "tokens, expected");
  says(message(small(letters.folded), 4, 4), "blank is 4");
  says(message(small(letters.folded), 4, 1), "spells with token 1, which is the blank");
  says(message(small(letters.folded), 2), "spells with token 2, expected below tokens = 2");
  says(message(small(silent.folded), 3), "silence is token 3");
  says(message(small(silent.folded), 4, 3), "silence is token 3");
  says(with([](auto& o) { o.live_cap = 0; }), "live_cap is 0");
  says(with([](auto& o) { o.live_cap = SIZE_MAX; }), "live_cap is");
  for (const double bad : {0.0, -1.0, std::nan("")})
    says(with([&](auto& o) { o.beam_threshold = bad; }), "beam_threshold is");
  for (const double bad : {-1.0, std::nan("")}) {
    says(with([&](auto& o) { o.sure_blank = bad; }), "sure_blank is");
    says(with([&](auto& o) { o.closing_lead = bad; }), "closing_lead is");
  }
  says(with([](auto& o) { o.shortest_block = 0; }), "shortest_block is 0");
  says(with([](auto& o) { o.shortest_block = 5; }), "shortest_block is 5, longest_block 4");
  says(with([](auto& o) { o.longest_block = SIZE_MAX; }), "longest_block");
  says(with([](auto& o) { o.longest_uncommitted = 0; }), "longest_uncommitted is 0");
  says(with([](auto& o) { o.longest_uncommitted = SIZE_MAX; }), "longest_uncommitted is");
  says(with([](auto& o) { o.history_capacity = 37; }), "history_capacity is 37, expected at least");
  says(with([](auto& o) { o.history_capacity = SIZE_MAX; }), "history_capacity is");
}

TEST(WordStream, TakesItsClaimAtOnceAndNothingAfterwards) {
  std::mt19937_64 random(9);
  for (const auto& [tokens, cap, longest] : {std::array<std::size_t, 3>{2, 1, 1}, {30, 16, 64}, {5, 300, 20}}) {
    const WordScene scene({.tokens = tokens}, tokens);
    const FoldedGraph folded(scene.graph());
    ViterbiStreamOptions options{.graph = &folded, .live_cap = cap};
    options.longest_block = options.shortest_block = 1 + random() % 60;
    options.longest_uncommitted = longest;
    options.history_capacity = longest + options.longest_block + 2;
    const Bytes claim = ViterbiStream::bytes(tokens, options);
    Ledger ledger(Footprint::host(claim));
    Reservation reservation(ledger.root());
    ASSERT_FALSE(reservation.try_grow(Footprint::host(claim)).has_value());
    ReservationResource resource(reservation, MemorySpace::host);
    ViterbiStream stream(&resource, tokens, 0, options);
    const Footprint taken = reservation.used();
    EXPECT_EQ(taken, Footprint::host(claim));
    WordStreamOutput output;
    std::uint64_t partial = 0;
    for (int i = 0; i < 40; ++i) {
      const EmissionMatrix m = random_emissions(random, 50, tokens, static_cast<double>(i % 5), 0.0);
      stream.feed(m.view(0), output);
      EXPECT_EQ(reservation.used(), taken);
      partial = std::max<std::uint64_t>(partial, stream.partial().size());
    }
    EXPECT_LE(partial, longest);
    const WordStreamResult result = stream.finish(output);
    EXPECT_EQ(result.words, output.words.size());
    EXPECT_EQ(result.segments, output.segments.size());
    std::uint64_t next = 0;
    for (const StreamWord& word : output.words) {
      EXPECT_GE(word.frame, next);
      next = word.frame + 1;
    }
    EXPECT_LE(next, result.frames);
  }
}

// A day's worth of scores would round to 2^-30 nats or so if they were not rebased; a block's do not.
TEST(WordStream, ScoresStayFineOverMillionsOfNats) {
  const Letters letters;
  EmissionMatrix m = spoken({1, 1, 0, 2, 0, 0, 0, 2, 2, 1, 0, 0, 1, 1, 0, 0});
  for (float& x : m.log_probs) x -= 1000.0F;  // unnormalised
  ViterbiStream stream(std::pmr::new_delete_resource(), 4, 0, small(letters.folded));
  WordStreamOutput output;
  for (int i = 0; i < 5000; ++i) stream.feed(m.view(0), output);
  const WordStreamResult result = stream.finish(output);
  EXPECT_EQ(result.words, 15'000U);
  EXPECT_EQ(result.closed_gap, 0.0);
  EXPECT_NEAR(result.score_upper, -80e6, 2e5);
  // 5 sums of at most 4,000 nats a frame, and one of the whole score for each of 20,000 blocks.
  EXPECT_LE(result.score_upper - result.score_lower, 80'000 * 5 * 4'000 * 0x1p-51 + 20'000 * 2 * 80e6 * 0x1p-52);
}

}  // namespace
}  // namespace mpp::speech
