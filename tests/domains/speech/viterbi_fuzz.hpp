#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory_resource>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <mpp/speech/viterbi_tier.hpp>

#include "domains/speech/random_arpa.hpp"
#include "reference/viterbi_reference.hpp"

namespace mpp::test {

/// What a fuzz of the decoder in max semantics has seen, level by level.
struct ViterbiTally {
  std::size_t cases = 0, answers = 0, certified = 0, infeasible = 0;
  std::size_t gap_violations = 0;    ///< a labelling scores more than the answer and its gap
  std::size_t score_violations = 0;  ///< the answer scores less than it says
  std::size_t wide = 0;              ///< an interval wider than the rounding of its sums
  std::size_t worse = 0;             ///< an answer below that of the level before
  std::size_t unproven = 0;          ///< a gap at the exact level
  std::size_t repeated = 0;          ///< two transcripts of an n-best list with the same words, or out of order
  std::size_t tie_violations = 0;    ///< of equal labellings not the smallest, where sums are exact
  std::size_t violations() const {
    return gap_violations + score_violations + wide + worse + unproven + repeated + tie_violations;
  }
};

/// Which cases a fuzz runs.
enum class Scene { mixed, large_numbers, ties };

/// A small random decoding problem that owns what it refers to.
class ViterbiCase {
 public:
  ViterbiCase(std::mt19937_64& random, Scene scene, std::span<const speech::NgramModel> models) {
    using namespace speech;
    const auto pick = [&](std::size_t low, std::size_t high) { return low + random() % (high - low + 1); };
    const auto uniform = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(random);
    };
    const std::size_t tokens = pick(2, 4), frames = pick(1, 5);
    blank_ = random() % tokens;
    const auto letter = [&] {
      const std::size_t k = random() % (tokens - 1);
      return static_cast<Token>(k < blank_ ? k : k + 1);
    };

    std::vector<std::string> words;
    Spellings spellings;
    for (std::size_t i = 0, count = pick(1, 4); i < count; ++i) {
      std::vector<Token> spelling;
      if (i > 0 && random() % 4 == 0) {  // a homophone, or the beginning of another word
        const auto other = spellings[random() % i];
        spelling.assign(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(pick(1, other.size())));
      }
      while (spelling.empty() || (spelling.size() < 3 && random() % 2 == 0)) spelling.push_back(letter());
      words.push_back(
          std::string("w").append(std::to_string(random() % 6)));  // w4, w5 are unknown to the models; some repeat
      spellings.add(spelling);
    }
    lexicon_.emplace(Lexicon::build(words, spellings));

    const bool exact_sums = scene == Scene::ties;
    const auto weight = [&](double range) {
      return exact_sums ? static_cast<double>(random() % 3) - 1.0 : uniform(-range, range);
    };
    WordWeights weights;
    const NgramModel* model = nullptr;
    if (!exact_sums && random() % 3 != 0) model = &models[random() % models.size()];
    weights.lm_weight = std::array{0.0, 0.3, 1.0, 2.5}[random() % 4];
    if (random() % 2 == 0) weights.word_bonus = weight(3.0);
    if (random() % 3 == 0) weights.unknown_score = weight(4.0);
    if (random() % 2 == 0) weights.silence = letter();
    if (random() % 2 == 0) weights.silence_score = weight(2.0);
    std::vector<Hotword> hotwords;
    if (random() % 3 == 0) hotwords.push_back({words[random() % words.size()], weight(3.0)});
    graph_.emplace(*lexicon_, model, weights, hotwords);
    folded_.emplace(*graph_, std::array<std::size_t, 3>{1, 4, 1024}[random() % 3]);

    const double sharpness = std::array{0.0, 0.5, 2.0, 6.0}[random() % 4], shift = random() % 3 == 0 ? 3.0 : 0.0;
    const bool some_impossible = random() % 2 == 0;
    matrix_ = {std::vector<float>(frames * tokens), frames, tokens};
    for (float& x : matrix_.log_probs) {
      x = static_cast<float>(exact_sums ? -static_cast<double>(random() % 3)
                                        : shift + sharpness * std::normal_distribution<double>()(random));
      if (scene == Scene::large_numbers && random() % 2 == 0) x *= std::array{1e9F, 1e16F, 1e17F, 1e30F}[random() % 4];
      if (some_impossible && random() % 8 == 0) x = -std::numeric_limits<float>::infinity();
    }
  }

  speech::Emissions emissions() const { return matrix_.view(blank_); }
  const speech::WordGraph& graph() const { return *graph_; }
  const speech::FoldedGraph& folded() const { return *folded_; }
  /// Sum of the sizes of all terms: what a reference in long double may be wrong by is 2^-60 of it.
  long double magnitude() const {
    long double sum = 0.0L;
    for (const float x : matrix_.log_probs)
      if (std::isfinite(x)) sum += std::abs(static_cast<long double>(x));
    return sum + 1e4L;  // words, </s>, silence: -99 ln 10 times 2.5 at most each, and one a frame
  }

 private:
  std::size_t blank_ = 0;
  std::optional<speech::Lexicon> lexicon_;
  std::optional<speech::WordGraph> graph_;
  std::optional<speech::FoldedGraph> folded_;
  speech::EmissionMatrix matrix_;
};

/// Models for many cases: reading one takes longer than decoding with it.
inline std::vector<speech::NgramModel> fuzz_models(std::size_t count) {
  std::vector<speech::NgramModel> models;
  const auto shapes = arpa_shapes();
  for (std::size_t i = 0; i < count; ++i) models.push_back(model_of(RandomArpa(shapes[i % shapes.size()], i).text()));
  return models;
}

/// A broken twin of the look-ahead: the largest emission of each frame, and nothing for the words that may come, which is
/// a bound only where words cost something.
struct LargestEmissions {
  static constexpr bool admissible = true;
  LargestEmissions(const speech::FoldedGraph& folded, const speech::Emissions& e, std::pmr::memory_resource*,
                   const speech::LookAheadOptions& = {})
      : rest_(e.frames + 1, static_cast<double>(folded.words().end_upper())) {
    for (std::size_t t = e.frames; t-- > 0;)
      rest_[t] = rest_[t + 1] + static_cast<double>(*std::ranges::max_element(e.row(t)));
  }
  static Bytes bytes(const speech::FoldedGraph&, std::size_t) { return {}; }
  static Bytes building_bytes(const speech::FoldedGraph&, std::size_t) { return {}; }
  double remaining(std::size_t t, speech::WordGraph::Position) const { return rest_[t]; }
  std::vector<double> rest_;
};

/// Decodes small random problems level by level and compares each answer with all labellings.
template <class LookAhead, class Policy>
ViterbiTally fuzz_viterbi(std::size_t cases, std::uint64_t seed, Scene scene = Scene::mixed) {
  using namespace speech;
  using Transcribed = std::pair<std::vector<Lexicon::Word>, std::vector<std::uint32_t>>;
  static const std::vector<NgramModel> models = fuzz_models(48);
  ViterbiTally tally;
  std::mt19937_64 random(seed);
  for (; tally.cases < cases; ++tally.cases) {
    const ViterbiCase problem(random, scene, models);
    const Emissions e = problem.emissions();
    const auto truth = reference::all_word_labellings(e, problem.graph());
    const long double slack = problem.magnitude() * 0x1p-58L, infinity = std::numeric_limits<long double>::infinity();
    std::map<Transcribed, long double> scores;
    long double best = -infinity;
    const reference::WordLabels* smallest = nullptr;
    for (const auto& [labels, score] : truth) {
      const WordTranscript t = transcribe(problem.graph(), labels, {});
      const auto [at, fresh] = scores.try_emplace({t.words, t.tokens}, score);
      if (!fresh) at->second = std::max(at->second, score);
      const bool smaller = smallest == nullptr || std::lexicographical_compare(labels.rbegin(), labels.rend(),
                                                                               smallest->rbegin(), smallest->rend());
      if (score > best || (score == best && smaller)) smallest = &labels;
      best = std::max(best, score);
    }
    tally.infeasible += truth.empty() ? 1 : 0;

    ViterbiOptions options{
        .live_caps = {1 + random() % 2}, .exact_cap = 4096, .words_per_hypothesis = 1 + random() % 2};
    while (options.live_caps.size() < 3) options.live_caps.push_back(options.live_caps.back() + 1 + random() % 3);
    if (random() % 4 == 0) options.beam_threshold = 1.0 + static_cast<double>(random() % 4);
    const BasicViterbiTier<LookAhead, Policy> tier(options);
    const ViterbiRequest request{e, &problem.folded(), 1 + random() % 3};
    typename BasicViterbiTier<LookAhead, Policy>::State state(std::pmr::new_delete_resource());
    double before = -std::numeric_limits<double>::infinity();
    // Levels below the exact one need not keep all of the best labellings, only one.
    for (Level level = scene == Scene::ties ? tier.exact_level() : random() % 2; level < tier.levels(); ++level) {
      tier.materialise(request, state, level);
      const ViterbiResult result = tier.execute(request, state, level);
      ++tally.answers;
      tally.certified += result.gap == 0.0 ? 1 : 0;
      const WordTranscript& answer = result.best.front();
      const auto lower = static_cast<long double>(answer.score_lower);
      const auto upper = static_cast<long double>(answer.score_upper);
      const auto gap = static_cast<long double>(result.gap);
      const long double most = gap == infinity ? gap : gap == 0.0L ? upper : lower + gap;
      tally.gap_violations += best > std::max(upper, most) + slack ? 1 : 0;
      tally.wide += upper - lower > problem.magnitude() * 0x1p-48L ? 1 : 0;
      tally.worse += answer.score_upper < before ? 1 : 0;
      tally.unproven += level == tier.exact_level() && result.gap != 0.0 ? 1 : 0;
      before = answer.score_upper;
      for (std::size_t i = 0; i < result.best.size(); ++i) {
        const WordTranscript& t = result.best[i];
        const auto known = scores.find({t.words, t.tokens});
        const long double score = known == scores.end() ? -infinity : known->second;
        tally.score_violations += static_cast<long double>(t.score_lower) > score + slack ? 1 : 0;
        for (std::size_t j = 0; j < i; ++j)
          tally.repeated += (result.best[j].words == t.words && result.best[j].tokens == t.tokens) ||
                                    result.best[j].score_upper < t.score_upper
                                ? 1
                                : 0;
      }
      if (scene == Scene::ties && smallest != nullptr) {
        const WordTranscript first = transcribe(problem.graph(), *smallest, {});
        tally.tie_violations += first.words != answer.words || first.tokens != answer.tokens ? 1 : 0;
      }
    }
  }
  return tally;
}

}  // namespace mpp::test
