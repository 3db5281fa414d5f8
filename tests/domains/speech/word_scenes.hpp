#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <mpp/speech/emissions.hpp>
#include <mpp/speech/lexicon.hpp>
#include <mpp/speech/word_graph.hpp>

#include "domains/speech/random_arpa.hpp"

namespace mpp::test {

struct WordShape {
  std::size_t tokens = 4;   ///< blank included
  std::size_t words = 6;    ///< some of them the model does not list
  std::size_t longest = 4;  ///< tokens of a spelling
  bool separator = false;   ///< every spelling ends with the token 1
  bool model = true, unknown = true, silence = true;
  double scale = 3.0;        ///< of emissions, nats
  double impossible = 0.05;  ///< share of emissions that are -infinity
  std::size_t frames = 5;
};

/// A small random lexicon, model, weights and emissions; token 0 is the blank.
class WordScene {
 public:
  WordScene(const WordShape& shape, std::uint64_t seed) : random_(seed) {
    std::vector<std::string> words;
    speech::Spellings spellings;
    for (std::size_t w = 0; w < shape.words; ++w) {
      words.push_back(mpp::text("w", w));
      std::vector<speech::Token> spelling;
      for (std::size_t n = 1 + random_() % shape.longest; n > 0; --n)
        spelling.push_back(static_cast<speech::Token>(1 + random_() % (shape.tokens - 1)));
      if (shape.separator) spelling.push_back(1);
      spellings.add(spelling);
    }
    lexicon_ = std::make_unique<speech::Lexicon>(speech::Lexicon::build(words, spellings));
    ArpaShape arpa{.order = 1 + random_() % 3, .words = shape.words > 2 ? shape.words - 2 : 1};
    model_ = std::make_unique<speech::NgramModel>(model_of(RandomArpa(arpa, seed).text()));
    weights_.lm_weight = shape.model ? 0.2 + 2.0 * uniform() : 0.0;
    weights_.word_bonus = 4.0 * uniform() - 2.0;
    if (shape.unknown) weights_.unknown_score = -3.0 * uniform();
    if (shape.silence) weights_.silence = static_cast<speech::Token>(1 + random_() % (shape.tokens - 1));
    weights_.silence_score = shape.silence ? uniform() - 0.5 : 0.0;
    std::vector<speech::Hotword> hotwords;
    if (shape.words > 0) hotwords.push_back({words[random_() % words.size()], 3.0 * uniform()});
    graph_ = std::make_unique<speech::WordGraph>(*lexicon_, model_.get(), weights_, hotwords);
    emissions_ = {.log_probs = {}, .frames = shape.frames, .tokens = shape.tokens};
    for (std::size_t i = 0; i < shape.frames * shape.tokens; ++i)
      emissions_.log_probs.push_back(uniform() < shape.impossible
                                         ? -std::numeric_limits<float>::infinity()
                                         : static_cast<float>(shape.scale * (2.0 * uniform() - 1.0)));
  }

  const speech::WordGraph& graph() const { return *graph_; }
  speech::EmissionMatrix& matrix() { return emissions_; }
  speech::Emissions emissions() const { return emissions_.view(0); }
  /// The same with other weights.
  speech::WordGraph other_graph(const speech::WordWeights& weights) const {
    return speech::WordGraph(*lexicon_, model_.get(), weights);
  }

 private:
  double uniform() { return std::uniform_real_distribution<>()(random_); }

  std::mt19937_64 random_;
  std::unique_ptr<speech::Lexicon> lexicon_;
  std::unique_ptr<speech::NgramModel> model_;
  speech::WordWeights weights_;
  std::unique_ptr<speech::WordGraph> graph_;
  speech::EmissionMatrix emissions_;
};

}  // namespace mpp::test
