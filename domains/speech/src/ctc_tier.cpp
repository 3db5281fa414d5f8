#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_exact.hpp>
#include <mpp/speech/ctc_tier.hpp>

namespace mpp::speech {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t most_nodes = 1024;  // for each hypothesis: no claim overflows

void check_request(const CtcRequest& request) {
  const Emissions& e = request.emissions;
  expects<ValueError>(request.n_best >= 1, "CtcRequest: n_best is 0, expected at least 1");
  expects<ShapeError>(e.frames >= 1 && e.tokens >= 1 && e.log_probs.size() / e.tokens == e.frames,
                      "CtcRequest: ", e.log_probs.size(), " values for ", e.frames, " frames x ", e.tokens, " tokens");
}

std::span<const std::uint32_t> read_labels(const CtcSearch& search, std::uint32_t node, Buffer<std::uint32_t>& labels) {
  labels.clear();
  for (; search.trie().parent(node) != no_index; node = search.trie().parent(node))
    labels.push_back(search.trie().label(node));
  std::ranges::reverse(labels);
  return {labels.data(), labels.size()};
}

// The live node of a labelling, or no_index.
std::uint32_t find_live(CtcSearch& search, std::span<const std::uint32_t> labels) {
  std::uint32_t node = 0;
  for (const std::uint32_t label : labels) {
    std::uint32_t child = search.trie().first_child(node);
    while (child != no_index && search.trie().label(child) != label) child = search.trie().next_sibling(child);
    if (child == no_index) return no_index;
    node = child;
  }
  return search.trie().slot(node) == no_index ? no_index : node;
}

// Labels that get hypotheses of their own. What is left out counts as dropped.
double token_threshold(Level level) { return level == 0 ? 1e-3 : level == 1 ? 1e-4 : 0.0; }

}  // namespace

CtcState::CtcState(std::pmr::memory_resource* resource)
    : memory(resource), after(resource), scratch(resource), labels(resource), incumbents(resource), log_upper(infinity),
      gap(infinity) {}

CtcTier::CtcTier(CtcOptions options) : options_(std::move(options)) {
  const auto& caps = options_.live_caps;
  expects<ValueError>(!caps.empty() && caps.front() >= 1 && std::ranges::is_sorted(caps, std::ranges::less_equal()),
                      "CtcTier: live_caps has ", caps.size(),
                      " values, expected at least one, each positive and larger than the one before");
  expects<ValueError>(caps.back() <= most_live, "CtcTier: the last of live_caps is ", caps.back(),
                      ", expected at most ", most_live);
  expects<ValueError>(options_.nodes_per_hypothesis <= most_nodes, "CtcTier: nodes_per_hypothesis is ",
                      options_.nodes_per_hypothesis, ", expected at most ", most_nodes);
}

// As many as anybody may want, but not more than the widest search can find.
std::size_t CtcTier::incumbent_count(const Request& request) const {
  return std::min(request.n_best, options_.live_caps.back());
}

SearchLimits CtcTier::limits(const Request& request, Level level) const {
  const std::size_t cap = options_.live_caps[level];
  return {.live_cap = cap, .node_capacity = request.emissions.frames + 2 + options_.nodes_per_hypothesis * cap};
}

// What a level takes while it runs and gives back before the next one.
Bytes CtcTier::level_bytes(const Request& request, Level level) const {
  const Emissions& e = request.emissions;
  if (level == exact_level()) return ExactSearch::bytes(e.frames, e.tokens);
  const Bytes search = CtcSearch::bytes(e.tokens, limits(request, level)) + FrameTokens::bytes(e.tokens);
  if (level == 0) return search;
  const Bytes bounded = std::max(search, suffix_bound_bytes(e.tokens, options_.suffix));
  return has_shortcut(request, level) ? std::max(bounded, ExactSearch::bytes(e.frames, e.tokens)) : bounded;
}

// Whether the exact search takes about as little memory as the capped one, so that it may be tried before. It looks for
// one labelling only: an n-best list is what a capped search has met.
bool CtcTier::has_shortcut(const Request& request, Level level) const {
  const Emissions& e = request.emissions;
  if (level == 0 || level == exact_level() || request.n_best > 1) return false;
  return ExactSearch::bytes(e.frames, e.tokens).count <= 2 * CtcSearch::bytes(e.tokens, limits(request, level)).count;
}

Bytes CtcTier::claim(const Request& request, Level level) const {
  const std::size_t frames = request.emissions.frames;
  Bytes most;
  for (Level l = 0; l <= level; ++l) most = std::max(most, level_bytes(request, l));
  return most + bytes_of<Scaled>(frames + 1) + bytes_of<double>(score_scratch(frames)) +
         bytes_of<std::uint32_t>(frames) + Incumbents::bytes(incumbent_count(request), frames);
}

Footprint CtcTier::footprint(const Request& request, Level level) const {
  check_request(request);
  return Footprint::host(claim(request, level));
}

Footprint CtcTier::increment(const Request& request, const State& state, Level level) const {
  check_request(request);
  return Footprint::host(claim(request, level) - state.held);
}

void CtcTier::prepare(const Request& request, State& state) const {
  const Emissions& e = request.emissions;
  check_normalised(e);
  state.after.resize(e.frames + 1);
  state.scratch.resize(score_scratch(e.frames));
  state.labels.reserve(e.frames);
  state.incumbents.reserve(incumbent_count(request), e.frames);
  state.total = mass_bounds(e, state.after);
  state.prepared = true;
}

void CtcTier::materialise(const Request& request, State& state, Level level) const {
  state.held = std::max(state.held, claim(request, level));
  if (!state.prepared) prepare(request, state);
  if (level >= 1 && !state.bounded) {
    suffix_bounds(request.emissions, options_.suffix, state.after, state.memory);
    state.bounded = true;
  }
  if (level == exact_level()) {
    if (state.incumbents.empty()) search(request, state, 0);
    expects<SearchTooLong>(search_exactly(request, state, options_.max_expansions),
                           "CtcTier: ", options_.max_expansions,
                           " prefixes expanded, max_expansions allows no more; the answer's ",
                           "probability is about exp(", state.incumbents.log_probability(0).lower, ")");
    return;
  }
  // An expansion takes less time than one hypothesis of the capped search does over all frames. So as many of them as the
  // cap are a cheap try, and where it ends it proves what the cap may not.
  const bool tried = has_shortcut(request, level) && !state.incumbents.empty() &&
                     search_exactly(request, state, options_.live_caps[level]);
  if (!tried) search(request, state, level);
}

void CtcTier::search(const Request& request, State& state, Level level) const {
  const Emissions& e = request.emissions;
  CtcSearch search(state.memory, e.tokens, limits(request, level));
  FrameTokens frame(state.memory, e.tokens);
  const std::int64_t unit = state.after[0].exponent;
  double floor = 0.0;  // what contributes less may be dropped at every frame without mattering much in the sum
  if (!state.incumbents.empty() && state.bounded)
    floor = std::exp(state.incumbents.log_probability(0).lower - static_cast<double>(unit) * std::log(2.0)) /
            (64.0 * static_cast<double>(e.frames));
  search.start(no_index, unit, floor);
  for (std::size_t t = 0; t < e.frames; ++t) {
    frame.prepare(e.row(t), e.blank, token_threshold(level));
    search.step(frame, state.after[t + 1]);
  }
  state.live_mean = search.live_mean();
  state.live_max = search.live_max();

  const std::size_t found = std::min(search.live().size(), incumbent_count(request));
  for (const Hypothesis& h : search.live().first(found)) {
    const std::span labels = read_labels(search, h.node, state.labels);
    state.incumbents.offer(labels, ctc_log_probability(e, labels, state.scratch));
  }
  if (state.incumbents.empty()) state.incumbents.offer({}, ctc_log_probability(e, {}, state.scratch));

  const LogInterval p = state.incumbents.log_probability(0);
  const std::uint32_t answer = find_live(search, state.incumbents.labels(0));
  const double others = certify(search, state.total, state.after[0], answer, p.lower).best();
  state.gap = gap_above(std::min(others, state.log_upper), p.lower);
  state.log_upper = std::min(state.log_upper, std::max(others, p.upper));
}

// False when `limit` expansions were too few; the incumbents may have improved.
bool CtcTier::search_exactly(const Request& request, State& state, std::uint64_t limit) const {
  const Emissions& e = request.emissions;
  ExactSearch exact(state.memory, e.frames, e.tokens);
  const bool finished = exact.run(e, state.after, state.incumbents, state.scratch, limit);
  state.expansions = exact.expanded();
  if (finished) state.gap = 0.0;
  return finished;
}

CtcResult CtcTier::execute(const Request& request, State& state, Level) const {
  Result result;
  for (std::size_t i = 0; i < state.incumbents.size(); ++i) {
    const std::span labels = state.incumbents.labels(i);
    const LogInterval p = state.incumbents.log_probability(i);
    result.best.push_back({{labels.begin(), labels.end()}, p.lower, p.upper});
  }
  result.frames.resize(result.best.front().tokens.size());
  ctc_label_frames(request.emissions, result.best.front().tokens, state.scratch, result.frames);
  result.gap = state.gap;
  result.live_mean = state.live_mean;
  result.live_max = state.live_max;
  result.expansions = state.expansions;
  result.predicted_expansions =
      predicted_expansions(request.emissions.frames, state.total, result.best.front().log_prob_lower);
  return result;
}

}  // namespace mpp::speech
