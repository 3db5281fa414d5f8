#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/speech/directed.hpp>
#include <mpp/speech/emissions.hpp>
#include <mpp/speech/look_ahead.hpp>
#include <mpp/speech/word_graph.hpp>

namespace mpp::reference {

/// A labelling as the search numbers words: an ending of the lexicon, or endings() + node for an unknown one.
using WordLabels = std::vector<std::uint32_t>;

inline std::vector<speech::Token> spelling_of(const speech::Lexicon& lexicon, std::uint32_t label) {
  speech::Lexicon::Node node = 0;
  std::vector<speech::Token> tokens;
  const auto found = [&](auto& self, speech::Lexicon::Node at) -> bool {  // down from the root: no parent() needed
    const auto [first, count] = lexicon.endings(at);
    if (at != 0 && (label == lexicon.endings() + at || (label >= first && label < first + count))) return true;
    const auto children = lexicon.children(at);
    for (node = children.first; node < children.first + children.count; ++node) {
      const speech::Lexicon::Node child = node;
      tokens.push_back(lexicon.token(child));
      if (self(self, child)) return true;
      tokens.pop_back();
      node = child;
    }
    return false;
  };
  found(found, 0);
  return tokens;
}

/// Every label that a labelling may use.
inline WordLabels labels_of(const speech::WordGraph& graph) {
  const speech::Lexicon& lexicon = graph.lexicon();
  WordLabels labels;
  for (std::uint32_t i = 0; i < lexicon.endings(); ++i) labels.push_back(i);
  if (graph.allows_unknown())
    for (speech::Lexicon::Node node = 1; node < lexicon.nodes(); ++node)
      if (lexicon.words_at(node).empty()) labels.push_back(static_cast<std::uint32_t>(lexicon.endings()) + node);
  return labels;
}

struct WordLabelling {
  WordLabels labels;
  long double score;
};

/// Calls visit(labels, ends, state) for every labelling that has a path, from a context on and after a blank or nothing;
/// ends[k]: score of its best path that ends with token k (tokens: a blank, or nothing), in long double, </s> left out.
/// A column says the same for each number of frames.
template <class Visit>
void visit_word_labellings(const speech::Emissions& e, const speech::WordGraph& graph, speech::WordGraph::State begin,
                           const Visit& visit_ends) {
  using Column = std::vector<long double>;  // [frames + 1, tokens + 1]
  const long double impossible = -std::numeric_limits<long double>::infinity();
  const std::size_t width = e.tokens + 1, frames = e.frames;
  const auto emission = [&](std::size_t t, std::size_t k) {
    return static_cast<long double>(graph.emission(e.row(t), static_cast<speech::Token>(k)));
  };
  // What stays where it is: blanks, repetitions, and silence where that is allowed.
  const auto stay = [&](Column& c, bool silence) {
    for (std::size_t t = 0; t < frames; ++t)
      for (std::size_t last = 0; last < width; ++last) {
        const long double from = c[t * width + last];
        if (from == impossible) continue;
        for (std::size_t k = 0; k < e.tokens; ++k) {
          const std::size_t to = k == e.blank ? e.tokens : k;
          const bool free = silence && graph.is_silence(static_cast<speech::Token>(k));
          if (k != e.blank && k != last && !free) continue;
          long double& best = c[(t + 1) * width + to];
          best = std::max(best, from + emission(t, k));
        }
      }
  };
  struct Word {
    std::uint32_t label;
    std::vector<speech::Token> tokens;
  };
  std::vector<Word> words;
  for (const std::uint32_t label : labels_of(graph)) words.push_back({label, spelling_of(graph.lexicon(), label)});

  WordLabels labels;
  const auto visit = [&](auto& self, const Column& column, speech::WordGraph::State state) -> void {
    const std::span ends(column.end() - static_cast<std::ptrdiff_t>(width), column.end());
    if (std::ranges::any_of(ends, [&](long double x) { return x > impossible; })) visit_ends(labels, ends, state);
    for (const Word& word : words) {
      const bool known = word.label < graph.lexicon().endings();
      const auto step = known ? graph.word(state, graph.lexicon().ending_word(word.label)) : graph.unknown(state);
      if (step.score == -std::numeric_limits<double>::infinity()) continue;
      Column c = column;
      for (std::size_t i = 0; i < word.tokens.size(); ++i) {
        Column next(c.size(), impossible);
        const std::size_t k = word.tokens[i];
        for (std::size_t t = 0; t < frames; ++t)
          for (std::size_t last = 0; last < width; ++last)
            if (last != k)
              next[(t + 1) * width + k] = std::max(next[(t + 1) * width + k], c[t * width + last] + emission(t, k));
        stay(next, i + 1 == word.tokens.size());
        c = std::move(next);
      }
      for (long double& x : c) x += static_cast<long double>(step.score);
      if (std::all_of(c.begin(), c.end(), [&](long double x) { return x == impossible; })) continue;
      labels.push_back(word.label);
      self(self, c, step.next);
      labels.pop_back();
    }
  };
  Column start((frames + 1) * width, impossible);
  start[e.tokens] = 0.0L;
  stay(start, true);
  visit(visit, start, begin);
}

/// The best path of every labelling that has one.
inline std::vector<WordLabelling> all_word_labellings(const speech::Emissions& e, const speech::WordGraph& graph,
                                                      std::optional<speech::WordGraph::State> begin = std::nullopt) {
  std::vector<WordLabelling> all;
  visit_word_labellings(e, graph, begin.value_or(graph.begin()), [&](const WordLabels& labels, auto ends, auto state) {
    const double end = graph.end(state);
    if (end > -std::numeric_limits<double>::infinity())
      all.push_back({labels, *std::ranges::max_element(ends) + static_cast<long double>(end)});
  });
  return all;
}

/// The same for paths that end in the blank and in a context, without the end of the sentence.
inline std::vector<WordLabelling> word_labellings_between(const speech::Emissions& e, const speech::WordGraph& graph,
                                                          speech::WordGraph::State begin,
                                                          speech::WordGraph::State end) {
  std::vector<WordLabelling> all;
  visit_word_labellings(e, graph, begin, [&](const WordLabels& labels, auto ends, auto state) {
    if (state == end && ends.back() > -std::numeric_limits<long double>::infinity())
      all.push_back({labels, ends.back()});
  });
  return all;
}

}  // namespace mpp::reference
