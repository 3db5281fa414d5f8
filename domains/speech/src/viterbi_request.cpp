#include <mpp/speech/viterbi_request.hpp>

#include <algorithm>

#include <mpp/core/error.hpp>
#include <mpp/speech/viterbi_search.hpp>

namespace mpp::speech {
namespace {

constexpr std::size_t most_words = 1024;  // for each hypothesis: no claim overflows

}  // namespace

void check(const ViterbiOptions& options) {
  const auto& caps = options.live_caps;
  expects<ValueError>(!caps.empty() && caps.front() >= 1 && std::ranges::is_sorted(caps, std::ranges::less_equal()),
                      "ViterbiTier: live_caps has ", caps.size(),
                      " values, expected at least one, each positive and larger than the one before");
  expects<ValueError>(options.exact_cap > caps.back() && options.exact_cap <= most_paths, "ViterbiTier: exact_cap is ",
                      options.exact_cap, ", expected above the last of live_caps, ", caps.back(), ", and at most ",
                      most_paths);
  expects<ValueError>(options.words_per_hypothesis <= most_words, "ViterbiTier: words_per_hypothesis is ",
                      options.words_per_hypothesis, ", expected in [0, ", most_words, "]");
  expects<ValueError>(options.exact_cap * options.words_per_hypothesis < std::size_t{1} << 30,
                      "ViterbiTier: exact_cap is ", options.exact_cap, " and words_per_hypothesis ",
                      options.words_per_hypothesis, ", expected a product below 2^30");
  expects<ValueError>(options.look_ahead.follow.value_or(0.0) >= 0.0, "ViterbiTier: look_ahead.follow is ",
                      options.look_ahead.follow.value_or(0.0), ", expected a number of nats, 0 or more");
  expects<ValueError>(options.beam_threshold > 0.0, "ViterbiTier: beam_threshold is ", options.beam_threshold,
                      ", expected a positive number");
}

void check_sizes(const ViterbiRequest& request) {
  const Emissions& e = request.emissions;
  expects<ValueError>(request.graph != nullptr, "ViterbiRequest: graph is null, expected a FoldedGraph");
  expects<ValueError>(request.n_best >= 1, "ViterbiRequest: n_best is 0, expected at least 1");
  expects<ShapeError>(e.frames >= 1 && e.tokens >= 1 && e.log_probs.size() / e.tokens == e.frames,
                      "ViterbiRequest: ", e.log_probs.size(), " values for ", e.frames, " frames x ", e.tokens,
                      " tokens");
}

void check_graph(std::string_view operation, const WordGraph& graph, std::size_t tokens, std::size_t blank) {
  const Lexicon& lexicon = graph.lexicon();
  const auto silence = graph.weights().silence;
  expects<ValueError>(lexicon.tokens() <= tokens, operation, ": the lexicon spells with token ", lexicon.tokens() - 1,
                      ", expected below tokens = ", tokens);
  expects<ValueError>(!graph.spells(static_cast<Token>(blank)), operation, ": the lexicon spells with token ", blank,
                      ", which is the blank");
  expects<ValueError>(!silence || (*silence < tokens && *silence != blank), operation, ": silence is token ",
                      silence.value_or(0), ", expected one below tokens = ", tokens, " other than the blank ", blank);
  expects<ShapeError>(lexicon.nodes() + tokens < std::size_t{1} << 31, operation, ": ", lexicon.nodes(),
                      " nodes of the lexicon and ", tokens, " tokens, expected fewer than 2^31 together");
}

void check(const ViterbiRequest& request) {
  check_sizes(request);
  check_graph("ViterbiRequest", request.graph->words(), request.emissions.tokens, request.emissions.blank);
}

WordTranscript transcribe(const WordGraph& graph, std::span<const std::uint32_t> labels, LogInterval score) {
  const Lexicon& lexicon = graph.lexicon();
  WordTranscript transcript{{}, {}, score.lower, score.upper};
  for (const std::uint32_t label : labels) {
    const bool known = label < lexicon.endings();
    transcript.words.push_back(known ? lexicon.ending_word(label) : WordTranscript::unknown);
    const auto end = known ? lexicon.ending_node(label) : static_cast<Lexicon::Node>(label - lexicon.endings());
    const auto first = static_cast<std::ptrdiff_t>(transcript.tokens.size());
    for (Lexicon::Node node = end; node != Lexicon::root; node = lexicon.parent(node))
      transcript.tokens.push_back(lexicon.token(node));
    std::reverse(transcript.tokens.begin() + first, transcript.tokens.end());
  }
  return transcript;
}

void time_words(const WordAlignment& path, ViterbiResult& result) {
  result.frames.assign(path.frames().begin(), path.frames().end());
  for (std::size_t i = 0, first = 0; i < result.frames.size(); ++i)
    if (path.ends(i)) {
      result.spans.push_back({result.frames[first], result.frames[i]});
      first = i + 1;
    }
}

}  // namespace mpp::speech
