#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <utility>
#include <vector>

#include <mpp/core/control/tier.hpp>
#include <mpp/speech/plain_look_ahead.hpp>
#include <mpp/speech/score_gap.hpp>
#include <mpp/speech/viterbi_ladder.hpp>
#include <mpp/speech/viterbi_request.hpp>

namespace mpp::speech {

/// What a request has so far. All memory comes from the reservation.
template <class LookAhead, class Policy>
struct BasicViterbiState {
  explicit BasicViterbiState(std::pmr::memory_resource* resource) : memory(resource), ladder(resource) {}

  std::pmr::memory_resource* memory;
  std::optional<LookAhead> look_ahead;
  BasicViterbiLadder<LookAhead, Policy> ladder;
  Bytes held;  ///< claim of the highest level so far
};

/// Ladder: live caps 2, 16, 128, 1024, 8192, then a search that drops only what cannot beat the incumbent.
///
/// A level goes on from the first frame at which the level below has dropped what might have mattered, and keeps the
/// best labellings of all levels, so it never gets worse. docs/speech_viterbi.md
///
/// LookAhead is the bound of what is still to come: class LookAhead or one with the same constructor, sizes,
/// remaining() and inside(). The constructor calls check_emissions(), for nothing else does.
template <class LookAhead, class Policy = ViterbiAccounting>
class BasicViterbiTier {
 public:
  using Request = ViterbiRequest;
  using State = BasicViterbiState<LookAhead, Policy>;
  using Result = ViterbiResult;

  /// @throws ValueError naming the option outside its domain
  explicit BasicViterbiTier(ViterbiOptions options = {}) : options_(std::move(options)) { check(options_); }

  std::size_t levels() const { return exact_level() + 1; }
  Level exact_level() const { return options_.live_caps.size(); }
  /// @throws ShapeError, ValueError for emissions without frames or tokens, no graph and n_best = 0
  Footprint footprint(const Request& request, Level level) const {
    check_sizes(request);
    return Footprint::host(claim(request, level));
  }
  Footprint increment(const Request& request, const State& state, Level level) const {
    check_sizes(request);
    return Footprint::host(claim(request, level) - state.held);
  }
  /// @throws ShapeError, ValueError as check(request) and check_emissions(); SearchTooLong at the exact level
  void materialise(const Request& request, State& state, Level level) const {
    const Emissions& e = request.emissions;
    state.held = std::max(state.held, claim(request, level));
    if (!state.look_ahead) {
      check(request);
      state.ladder.reserve(incumbent_count(request), e.frames);
      state.look_ahead.emplace(*request.graph, e, state.memory, options_.look_ahead);
    }
    state.ladder.climb(e, request.graph->words(), *state.look_ahead, limits(request, level));
  }
  Result execute(const Request& request, State& state, Level) const {
    Ladder& ladder = state.ladder;
    Result result;
    for (std::size_t i = 0; i < ladder.incumbents().size(); ++i)
      result.best.push_back(
          transcribe(request.graph->words(), ladder.incumbents().labels(i), ladder.incumbents().log_probability(i)));
    if (!result.best.empty()) time_words(ladder.align(request.emissions, request.graph->words()), result);
    if (result.best.empty()) result.best.push_back({{}, {}, ladder.first().lower, ladder.first().upper});
    result.gap = ladder.gap();
    result.live_mean = ladder.live_mean();
    result.live_max = ladder.live_max();
    result.frames_resumed = ladder.resumed();
    return result;
  }

 private:
  using Ladder = BasicViterbiLadder<LookAhead, Policy>;
  using Search = typename Ladder::Search;

  // As many as anybody may want, but not more than a search can find.
  std::size_t incumbent_count(const Request& request) const { return std::min(request.n_best, options_.exact_cap); }

  ViterbiLimits limits(const Request& request, Level level) const {
    const bool exact = level == exact_level();
    const std::size_t cap = exact ? options_.exact_cap : options_.live_caps[level];
    const std::size_t words = std::max<std::size_t>(options_.words_per_hypothesis, exact ? 1 : 0);
    return {.live_cap = cap,
            .history_capacity = request.emissions.frames + 2 + words * cap,
            .beam_threshold = exact ? std::numeric_limits<double>::infinity() : options_.beam_threshold,
            .exact = exact};
  }

  // What a level takes while it runs, with what the level below has left it.
  Bytes level_bytes(const Request& request, Level level) const {
    const Bytes search = Search::bytes(request.emissions.tokens, limits(request, level));
    if (level > 0) return search + Search::released_bytes(limits(request, level - 1));
    return std::max(search, LookAhead::building_bytes(*request.graph, request.emissions.frames));
  }

  Bytes claim(const Request& request, Level level) const {
    const std::size_t frames = request.emissions.frames;
    Bytes most;
    for (Level l = 0; l <= level; ++l) most = std::max(most, level_bytes(request, l));
    return most + LookAhead::bytes(*request.graph, frames) + Ladder::bytes(incumbent_count(request), frames);
  }

  ViterbiOptions options_;
};

using ViterbiTier = BasicViterbiTier<LookAhead>;
/// The plain beam search that others have, for comparison: no look-ahead, so no pruning and no gap below the exact level.
using PlainViterbiTier = BasicViterbiTier<PlainLookAhead>;

static_assert(Tier<ViterbiTier> && EstimatorFor<ScoreGap, ViterbiTier>);

}  // namespace mpp::speech
