#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/speech/emission_set.hpp>
#include <mpp/speech/folded_graph.hpp>
#include <mpp/speech/language_model.hpp>
#include <mpp/speech/lexicon.hpp>
#include <mpp/speech/score_gap.hpp>
#include <mpp/speech/viterbi_tier.hpp>
#include <mpp/speech/word_graph.hpp>

#include "support/letter_decoder.hpp"

namespace mpp::examples {

/// The best sequence of listed words on its best path; with a language model, if the folder has one.
class WordDecoder {
 public:
  using Tier = speech::ViterbiTier;
  using Estimator = speech::ScoreGap;
  using Request = speech::ViterbiRequest;
  using Result = speech::ViterbiResult;

  /// A folder without a word list has no such decoder.
  static bool can_decode(const std::filesystem::path& folder) { return std::filesystem::exists(folder / "words.lst"); }

  /// @param folder     with words.lst, perhaps with lm.arpa
  /// @param live_caps  the exact level has room for sixteen times the last of them
  /// @throws FormatError as the readers
  WordDecoder(const speech::EmissionSet& set, const std::filesystem::path& folder,
              const std::vector<std::size_t>& live_caps, double lm_weight, double word_bonus)
      : lexicon_(speech::Lexicon::build(
            speech::read_word_list(folder / "words.lst", set.tokens, static_cast<speech::Token>(set.separator)))),
        model_(read_model(folder / "lm.arpa")),
        graph_(lexicon_, model_ ? &*model_ : nullptr, weights(set, lm_weight, word_bonus)), folded_(graph_),
        caps_(live_caps), tier({.live_caps = live_caps, .exact_cap = 16 * live_caps.back()}),
        wide({.live_caps = {live_caps.back()}, .exact_cap = 16 * live_caps.back()}) {}
  WordDecoder(const WordDecoder&) = delete;  // the graph refers to the lexicon and the model beside it

 private:
  static std::optional<speech::NgramModel> read_model(const std::filesystem::path& file) {
    return std::filesystem::exists(file) ? std::optional(speech::NgramModel::read_arpa(file)) : std::nullopt;
  }

  // Between words the net may go on saying the separator.
  static speech::WordWeights weights(const speech::EmissionSet& set, double lm_weight, double word_bonus) {
    speech::WordWeights weights;
    weights.lm_weight = lm_weight;
    weights.word_bonus = word_bonus;
    weights.silence = static_cast<speech::Token>(set.separator);
    return weights;
  }

  speech::Lexicon lexicon_;
  std::optional<speech::NgramModel> model_;
  speech::WordGraph graph_;
  speech::FoldedGraph folded_;
  std::vector<std::size_t> caps_;

 public:
  Tier tier;
  Tier wide;  ///< its first level is the widest beam at once
  Estimator estimator{};

  std::string name() const { return model_ ? "Words, with a language model" : "Words"; }
  std::string about() const {
    return text("The best sequence of ", lexicon_.words(), " listed words",
                model_ ? text(", scored by its best path and a model of ", model_->order(), " words")
                       : ", scored by its best path",
                ". What cannot be told by ear is told by what people say.");
  }
  std::vector<std::string> levels() const { return level_names(caps_); }
  Request request(const speech::Emissions& emissions) const { return {emissions, &folded_, 1}; }
  std::string text_of(const Result& result) const {
    std::string out;
    for (const speech::Lexicon::Word word : result.best.front().words)
      out += (out.empty() ? "" : " ") + std::string(lexicon_.text(word));
    return out;
  }
  /// An interval for the score of the answer, nats.
  double at_least(const Result& result) const { return result.best.front().score_lower; }
  double at_most(const Result& result) const { return result.best.front().score_upper; }
};

}  // namespace mpp::examples
