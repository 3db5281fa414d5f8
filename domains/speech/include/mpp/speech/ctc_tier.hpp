#pragma once
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include <mpp/core/control/tier.hpp>
#include <mpp/core/memory/uninitialized.hpp>
#include <mpp/speech/ctc_search.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/incumbents.hpp>
#include <mpp/speech/suffix_bound.hpp>

namespace mpp::speech {

/// The most probable labelling of an utterance: P(y) is the total probability of all CTC paths that collapse to y.
struct CtcRequest {
  Emissions emissions;     ///< normalised; a view that outlives the session
  std::size_t n_best = 1;  ///< >= 1; the promise is about the first
};

/// A labelling, and an interval that ln P lies in (the rounding of a double; nothing is pruned in it).
struct Transcript {
  std::vector<std::uint32_t> tokens;
  double log_prob_lower{}, log_prob_upper{};
  friend bool operator==(const Transcript&, const Transcript&) = default;
};

struct CtcResult {
  std::vector<Transcript> best;       ///< at most n_best, best first; at least one
  std::vector<std::uint32_t> frames;  ///< for each token of the first: where its most probable path emits it
  double gap{};                       ///< nats: no labelling has more than exp(gap) times the first one's probability
  double live_mean{};                 ///< live hypotheses per frame of the last capped search
  std::size_t live_max{};             ///< most of them at a frame
  std::uint64_t expansions{};         ///< prefixes that the exact search expanded
  /// Most prefixes that the exact level may have to expand from here: frames * total / P(first). A true upper bound when
  /// the first is the optimum; with suffix bounds usually far less.
  double predicted_expansions{};
};

/// What a request has so far. All memory comes from the reservation.
struct CtcState {
  explicit CtcState(std::pmr::memory_resource* memory);

  std::pmr::memory_resource* memory;
  Buffer<Scaled> after;          ///< [frames + 1] suffix bounds
  Buffer<double> scratch;        ///< score_scratch(frames)
  Buffer<std::uint32_t> labels;  ///< [frames], of one hypothesis
  Incumbents incumbents;         ///< never get worse from level to level
  Bytes held;                    ///< claim of the highest level so far
  bool prepared = false;         ///< level 0 needs no suffix bounds
  bool bounded = false;          ///< `after` holds suffix bounds, not only masses
  double total = 0.0;            ///< mass of all paths, rounded up
  double log_upper;              ///< no labelling has a larger ln P
  double gap;                    ///< of the first incumbent, nats, rounded up
  double live_mean = 0.0;
  std::size_t live_max = 0;
  std::uint64_t expansions = 0;
};

struct CtcOptions {
  SuffixOptions suffix{};
  std::size_t nodes_per_hypothesis = 16;      ///< of the prefix trie, beside frames + 2
  std::uint64_t max_expansions = 10'000'000;  ///< of the exact level, which then throws SearchTooLong
  /// Ladder below the exact level, increasing. {2, 16} reaches a proof with the least memory where one is within reach.
  std::vector<std::size_t> live_caps{2, 16, 128, 1024, 8192};
};

/// Ladder: live caps 2, 16, 128, 1024, 8192, then the exact search, which has no cap and prunes only what cannot win.
///
/// Level 0 is certified by conservation of mass alone; from level 1 on there are suffix bounds, and what cannot matter
/// beside the incumbent is not kept. Each level starts at the first frame: the caps grow by eight, so all levels before
/// cost a seventh of the last one, less than what checkpoints would cost in memory at every level. Where one labelling is
/// wanted and the exact search needs little memory, a level first lets it expand as many prefixes as the cap: often it
/// proves the answer at once.
class CtcTier {
 public:
  using Request = CtcRequest;
  using State = CtcState;
  using Result = CtcResult;

  /// @throws ValueError if options.live_caps is empty, begins with 0 or does not increase
  explicit CtcTier(CtcOptions options = {});

  std::size_t levels() const { return exact_level() + 1; }
  Level exact_level() const { return options_.live_caps.size(); }
  /// @throws ShapeError, ValueError for emissions without frames or tokens and for n_best = 0
  Footprint footprint(const Request& request, Level level) const;
  Footprint increment(const Request& request, const State& state, Level level) const;
  /// @throws ShapeError, ValueError as check_normalised(); SearchTooLong at the exact level
  void materialise(const Request& request, State& state, Level level) const;
  Result execute(const Request& request, State& state, Level level) const;

 private:
  std::size_t incumbent_count(const Request& request) const;
  SearchLimits limits(const Request& request, Level level) const;
  Bytes claim(const Request& request, Level level) const;
  Bytes level_bytes(const Request& request, Level level) const;
  void prepare(const Request& request, State& state) const;
  void search(const Request& request, State& state, Level level) const;
  bool has_shortcut(const Request& request, Level level) const;
  bool search_exactly(const Request& request, State& state, std::uint64_t limit) const;

  CtcOptions options_;
};

}  // namespace mpp::speech
