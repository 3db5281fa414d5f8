#include "ngram_builder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <mpp/core/error.hpp>

namespace mpp::speech {
namespace {

constexpr std::uint32_t none = NgramTables::none;

// parents[n][i]: which (n - 1)-gram gram i of order n continues. Both orders are sorted and closed: one merge.
std::vector<std::uint32_t> parents_of(const ArpaSection& section, const ArpaSection& shorter) {
  std::vector<std::uint32_t> parents(section.size());
  for (std::size_t i = 0, at = 0; i < section.size(); ++i) {
    const auto prefix = section.gram(i).first(section.n - 1);
    if (shorter.n == 1) {
      at = prefix[0];
    } else {
      while (!std::ranges::equal(shorter.gram(at), prefix)) ++at;
    }
    parents[i] = static_cast<std::uint32_t>(at);
  }
  return parents;
}

class TableBuilder {
 public:
  explicit TableBuilder(const std::vector<ArpaSection>& sections) : sections_(sections) {}

  NgramTables build() {
    number_states();
    for (std::size_t n = 2; n <= sections_.size(); ++n) count_arcs(n);
    for (std::size_t s = 0; s < tables_.states(); ++s) tables_.first_arc[s + 1] += tables_.first_arc[s];
    reserve_arcs();
    for (std::size_t n = 2; n <= sections_.size(); ++n) add_arcs(n);
    return std::move(tables_);
  }

 private:
  // A context is a state if it has a backoff or continues; the highest order does neither.
  void number_states() {
    parents_.resize(sections_.size() + 1);
    state_.resize(sections_.size() + 1);
    for (std::size_t n = 2; n <= sections_.size(); ++n) parents_[n] = parents_of(sections_[n - 1], sections_[n - 2]);
    tables_.unigram = sections_[0].log_prob;
    tables_.backoff.push_back(0.0F);
    std::vector<std::uint32_t> with_state;
    for (std::size_t n = 1; n < sections_.size(); ++n) {
      const ArpaSection& section = sections_[n - 1];
      std::vector<bool> matters(section.size());
      for (std::size_t i = 0; i < section.size(); ++i) matters[i] = section.backoff[i] != 0.0F;
      for (const std::uint32_t parent : parents_[n + 1]) matters[parent] = true;
      state_[n].assign(section.size(), none);
      for (std::size_t i = 0; i < section.size(); ++i) {
        if (!matters[i]) continue;
        state_[n][i] = static_cast<std::uint32_t>(tables_.backoff.size());
        tables_.backoff.push_back(section.backoff[i]);
        if (n == 1) with_state.push_back(static_cast<std::uint32_t>(i));
      }
    }
    tables_.unigram_states = BitRank(tables_.words(), with_state);
    tables_.backoff.shrink_to_fit();
    tables_.shorter.assign(tables_.states(), 0);
    tables_.first_arc.assign(tables_.states() + 1, 0);
  }

  void count_arcs(std::size_t n) {
    for (const std::uint32_t parent : parents_[n]) ++tables_.first_arc[state_[n - 1][parent] + 1];
  }

  void reserve_arcs() {
    tables_.arc_word.reserve(tables_.first_arc.back());
    tables_.arc_log_prob.reserve(tables_.first_arc.back());
    tables_.arc_next.reserve(tables_.first_arc.back());
  }

  // Grams of order n come sorted by parent, and parents are numbered in that order: the arcs are appended in place.
  // Everything of a shorter context is there already, so what this order needs from backing off can be looked up.
  void add_arcs(std::size_t n) {
    const ArpaSection& section = sections_[n - 1];
    for (std::size_t i = 0; i < section.size(); ++i) {
      const std::uint32_t parent = state_[n - 1][parents_[n][i]], word = section.gram(i).back();
      const auto [log_prob, suffix] = back_off(tables_.shorter[parent], word);
      std::uint32_t next = suffix;
      if (n < sections_.size() && state_[n][i] != none) {
        next = state_[n][i];
        tables_.shorter[next] = suffix;
      }
      const bool listed = !std::isnan(section.log_prob[i]);
      const double implied = double{tables_.backoff[parent]} + log_prob;
      tables_.arc_word.push_back(word);
      tables_.arc_log_prob.push_back(listed ? section.log_prob[i] : static_cast<float>(implied));
      tables_.arc_next.push_back(next);
    }
  }

  std::pair<double, std::uint32_t> back_off(std::uint32_t state, std::uint32_t word) const {
    double sum = 0.0;
    for (; state != 0; state = tables_.shorter[state]) {
      const std::uint32_t arc = tables_.arc(state, word);
      if (arc != none) return {sum + tables_.arc_log_prob[arc], tables_.arc_next[arc]};
      sum += tables_.backoff[state];
    }
    return {sum + tables_.unigram[word], tables_.unigram_next(word)};
  }

  const std::vector<ArpaSection>& sections_;
  NgramTables tables_;
  std::vector<std::vector<std::uint32_t>> parents_, state_;  // by order, then gram
};

}  // namespace

NgramTables build_tables(const std::vector<ArpaSection>& sections) { return TableBuilder(sections).build(); }

NgramModel NgramModelBuilder::read(LineReader& lines, const ArpaOptions& options) {
  const double unknown = options.missing_unknown_log_prob;
  expects<ValueError>(unknown <= 0.0, "read_arpa: missing_unknown_log_prob is ", unknown, ", expected at most 0");
  ArpaFile file = parse_arpa(lines);
  NgramModel model;
  for (const ArpaSection& section : file.sections) model.counts_.push_back(section.size());

  Vocabulary& words = file.vocabulary;
  if (!words.find("<unk>") && !words.find("<UNK>")) {
    words.add("<unk>");
    file.sections[0].log_prob.push_back(unknown < -1e30 ? -std::numeric_limits<float>::infinity()
                                                        : static_cast<float>(unknown));
    file.sections[0].backoff.push_back(0.0F);
  }
  model.begin_word_ = WordId{*words.find("<s>")};
  model.end_word_ = WordId{*words.find("</s>")};
  model.unknown_word_ = WordId{words.find("<unk>") ? *words.find("<unk>") : *words.find("<UNK>")};
  words.shrink_to_fit();

  sort_and_close(file.sections, lines);
  model.tables_ = build_tables(file.sections);
  model.tables_.unigram.shrink_to_fit();
  model.vocabulary_ = std::move(words);
  model.begin_ = model.score(model.empty(), model.begin_word_).next;
  return model;
}

}  // namespace mpp::speech
