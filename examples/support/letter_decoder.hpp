#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <mpp/speech/emission_set.hpp>
#include <mpp/speech/score_gap.hpp>

namespace mpp::examples {

/// Names of a ladder of live caps with the exact level above it.
inline std::vector<std::string> level_names(const std::vector<std::size_t>& live_caps) {
  std::vector<std::string> names;
  for (const std::size_t cap : live_caps) names.push_back(std::to_string(cap));
  names.emplace_back("exact");
  return names;
}

/// The most probable sequence of letters, over all CTC paths: no lexicon, no language model.
class LetterDecoder {
 public:
  using Tier = speech::CtcTier;
  using Estimator = speech::ScoreGap;
  using Request = speech::CtcRequest;
  using Result = speech::CtcResult;

  /// @param set  borrowed
  LetterDecoder(const speech::EmissionSet& set, const std::vector<std::size_t>& live_caps, std::uint64_t max_expansions)
      : tier({.max_expansions = max_expansions, .live_caps = live_caps}),
        wide({.max_expansions = max_expansions, .live_caps = {live_caps.back()}}), set_(&set), caps_(live_caps) {}

  Tier tier;
  Tier wide;  ///< its first level is the widest beam at once
  Estimator estimator{};

  std::string name() const { return "Letters"; }
  std::string about() const {
    return "The most probable sequence of letters, each with the probability of all its paths. No word list and no "
           "language model: what cannot be told by ear stays close.";
  }
  std::vector<std::string> levels() const { return level_names(caps_); }
  Request request(const speech::Emissions& emissions) const { return {emissions, 1}; }
  std::string text_of(const Result& result) const { return set_->text(result.best.front().tokens); }
  /// An interval for the score of the answer, nats.
  double at_least(const Result& result) const { return result.best.front().log_prob_lower; }
  double at_most(const Result& result) const { return result.best.front().log_prob_upper; }

 private:
  const speech::EmissionSet* set_;
  std::vector<std::size_t> caps_;
};

}  // namespace mpp::examples
