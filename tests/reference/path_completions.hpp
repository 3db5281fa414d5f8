#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::reference {

/// What a path through a word graph can still add, exactly for every context, by dynamic programming in double over
/// frames x positions x contexts. Written from the definition in word_graph.hpp.
class PathCompletions {
 public:
  using Position = speech::WordGraph::Position;

  /// @param open_end  more frames follow: a path ends anywhere, with what its context and the word that it is in may bring
  PathCompletions(const speech::WordGraph& graph, const speech::Emissions& emissions, bool open_end = false)
      : graph_(graph), lexicon_(graph.lexicon()), emissions_(emissions), open_end_(open_end), nodes_(lexicon_.nodes()),
        contexts_(graph.model() != nullptr ? graph.model()->states() : 1), places_(2 * nodes_ + emissions.tokens),
        values_((emissions.frames + 1) * places_ * contexts_, none) {
    for (std::size_t t = emissions.frames + 1; t-- > 0;)
      for (std::uint32_t state = 0; state < contexts_; ++state) fill(t, state);
  }

  /// Best completion before frame t of a path in a position (as in WordGraph), perhaps after a blank, in a context.
  double value(std::size_t t, Position position, bool blank, std::uint32_t state) const {
    return values_[(t * places_ + place(position, blank)) * contexts_ + state];
  }
  /// The largest over all contexts, each less its potential.
  double best(std::size_t t, Position position) const {
    double best = none;
    for (std::uint32_t state = 0; state < contexts_; ++state) {
      const double most = std::max(value(t, position, false, state), value(t, position, position < nodes_, state));
      best = std::max(best, most - static_cast<double>(graph_.potential(speech::WordGraph::State{state})));
    }
    return best;
  }
  std::size_t positions() const { return nodes_ + emissions_.tokens; }

 private:
  static constexpr double none = -std::numeric_limits<double>::infinity();

  std::size_t place(Position position, bool blank) const {
    return blank ? nodes_ + emissions_.tokens + position : position;
  }
  double emission(std::size_t t, std::size_t token) const {
    return graph_.emission(emissions_.row(t), static_cast<speech::Token>(token));
  }
  double next(std::size_t t, std::size_t position, bool blank, std::uint32_t state) const {
    return value(t + 1, static_cast<Position>(position), blank, state);
  }

  double enter(std::size_t t, speech::Lexicon::Node node, std::uint32_t state) const {
    const speech::Token token = lexicon_.token(node);
    double best = next(t, node, false, state);
    const auto end = [&](const speech::WordGraph::Step& step) {
      if (step.score > none) best = std::max(best, step.score + next(t, nodes_ + token, false, index(step.next)));
    };
    for (const auto word : lexicon_.words_at(node)) end(graph_.word(speech::WordGraph::State{state}, word));
    if (lexicon_.words_at(node).empty() && graph_.allows_unknown())
      end(graph_.unknown(speech::WordGraph::State{state}));
    return emission(t, token) + best;
  }
  static std::uint32_t index(speech::WordGraph::State state) { return static_cast<std::uint32_t>(state); }

  // Best of the children of a node, without the token `barred`.
  double leave(std::size_t t, speech::Lexicon::Node node, std::size_t barred, std::uint32_t state) const {
    double best = none;
    const auto [first, count] = lexicon_.children(node);
    for (auto child = first; child < first + count; ++child)
      if (lexicon_.token(child) != barred) best = std::max(best, enter(t, child, state));
    return best;
  }

  void fill(std::size_t t, std::uint32_t state) {
    const std::size_t nothing = emissions_.tokens;  // no token
    const auto set = [&](std::size_t position, bool blank, double value) {
      values_[(t * places_ + place(static_cast<Position>(position), blank)) * contexts_ + state] = value;
    };
    if (t == emissions_.frames) {
      const auto context = static_cast<double>(graph_.potential(speech::WordGraph::State{state}));
      const double end = open_end_ ? context : graph_.end(speech::WordGraph::State{state});
      for (std::size_t n = 1; open_end_ && n < nodes_; ++n)
        for (const bool blank : {false, true})
          if (lexicon_.children(static_cast<speech::Lexicon::Node>(n)).count > 0)  // else no path is in it
            set(n, blank, context + static_cast<double>(graph_.smear()[n]));
      set(0, false, end);
      set(0, true, end);
      for (std::size_t k = 0; k < emissions_.tokens; ++k) set(nodes_ + k, false, end);
      return;
    }
    const double pause = static_cast<double>(emissions_.row(t)[emissions_.blank]);
    const auto silence = graph_.weights().silence;
    const auto at_root = [&](std::size_t last) {
      double best = std::max(pause + next(t, 0, false, state), leave(t, 0, last, state));
      if (last != nothing) best = std::max(best, emission(t, last) + next(t, nodes_ + last, false, state));
      if (silence && *silence != last)
        best = std::max(best, emission(t, *silence) + next(t, nodes_ + *silence, false, state));
      return best;
    };
    set(0, false, at_root(nothing));
    set(0, true, at_root(nothing));
    for (std::size_t k = 0; k < emissions_.tokens; ++k)
      if (k != emissions_.blank) set(nodes_ + k, false, at_root(k));
    for (std::size_t n = 1; n < nodes_; ++n) {
      const auto node = static_cast<speech::Lexicon::Node>(n);
      const double paused = pause + next(t, n, true, state);
      set(n, true, std::max(paused, leave(t, node, nothing, state)));
      set(n, false,
          std::max({paused, emission(t, lexicon_.token(node)) + next(t, n, false, state),
                    leave(t, node, lexicon_.token(node), state)}));
    }
  }

  const speech::WordGraph& graph_;
  const speech::Lexicon& lexicon_;
  const speech::Emissions& emissions_;
  bool open_end_;
  std::size_t nodes_, contexts_, places_;
  std::vector<double> values_;
};

/// The best score over all tokens ** frames paths, by collapsing each and trying all ways to cut it into words.
inline double best_of_all_paths(const speech::WordGraph& graph, const speech::Emissions& emissions) {
  const auto& lexicon = graph.lexicon();
  using Tokens = std::vector<speech::Token>;
  double best = -std::numeric_limits<double>::infinity();
  const auto cut = [&](auto&& self, const Tokens& tokens, std::size_t at, speech::WordGraph::State state,
                       double score) -> void {
    if (at == tokens.size()) best = std::max(best, score + graph.end(state));
    if (at < tokens.size() && graph.is_silence(tokens[at])) self(self, tokens, at + 1, state, score);
    auto node = speech::Lexicon::root;
    for (std::size_t i = at; i < tokens.size(); ++i) {
      const auto child = lexicon.child(node, tokens[i]);
      if (!child) return;
      node = *child;
      for (const auto word : lexicon.words_at(node)) {
        const auto step = graph.word(state, word);
        self(self, tokens, i + 1, step.next, score + step.score);
      }
      if (lexicon.words_at(node).empty() && graph.allows_unknown()) {
        const auto step = graph.unknown(state);
        self(self, tokens, i + 1, step.next, score + step.score);
      }
    }
  };
  Tokens path(emissions.frames, 0);
  for (;;) {
    double score = 0.0;
    Tokens collapsed;
    for (std::size_t t = 0; t < path.size(); ++t) {
      score += path[t] == emissions.blank ? static_cast<double>(emissions.row(t)[path[t]])
                                          : graph.emission(emissions.row(t), path[t]);
      if (path[t] != emissions.blank && (t == 0 || path[t] != path[t - 1])) collapsed.push_back(path[t]);
    }
    cut(cut, collapsed, 0, graph.begin(), score);
    std::size_t t = 0;
    while (t < path.size() && ++path[t] == emissions.tokens) path[t++] = 0;
    if (t == path.size()) return best;
  }
}

}  // namespace mpp::reference
