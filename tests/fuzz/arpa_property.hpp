#pragma once
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/word_bounds.hpp>

#include "reference/arpa_reference.hpp"

namespace mpp::test {

/// A small valid model to start editing from.
inline constexpr std::string_view small_arpa =
    "\\data\\\nngram 1=5\nngram 2=4\nngram 3=2\n\n"
    "\\1-grams:\n-1.5\t<unk>\n-99\t<s>\t-0.25\n-1\t</s>\n-0.5\ta\t0.125\n-0.75\tb\t-0.5\n\n"
    "\\2-grams:\n-0.25\t<s> a\t-0.5\n-0.5\ta b\t0\n-1\tb a\n-0.125\tb </s>\n\n"
    "\\3-grams:\n-0.1\t<s> a b\n-0.2\tb b </s>\n\n\\end\\\n";

/// What holds for any input: a FormatError, or a model that scores a walk over its own words as the textbook does and
/// whose word bounds hold for every context that the walk has seen.
/// @return false if it does not hold; any other exception passes through
inline bool refused_or_agrees(std::string_view input) {
  const std::string text(input);
  std::istringstream in(text);
  try {
    const speech::NgramModel model = speech::NgramModel::read_arpa(in);
    const ArpaReference reference(text);
    const ArpaReference::Words words = reference.words();
    std::vector<speech::NgramModel::State> seen{model.empty()};
    ArpaReference::Words history;
    for (std::size_t step = 0, pick = input.size(); step < 64; ++step) {
      const speech::NgramModel::State state = seen.back();
      const std::string& word =
          words[(pick = pick * 6364136223846793005U + 1442695040888963407U) % 65521 % words.size()];
      const auto [log_prob, next] = model.score(state, model.id(word));
      if (!agrees(log_prob, reference.score(history, word), reference.order())) return false;
      history.push_back(word);
      seen.push_back(next);
    }
    const speech::WordBounds all(model), some(model, seen);
    for (const std::string& word : words)
      for (const speech::NgramModel::State state : seen) {
        const double score = model.score(state, model.id(word)).log_prob;
        if (score > some.upper(model.id(word)) || some.upper(model.id(word)) > all.upper(model.id(word))) return false;
      }
    return true;
  } catch (const FormatError&) {
    return true;
  }
}

}  // namespace mpp::test
