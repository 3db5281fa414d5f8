#include <mpp/speech/lexicon.hpp>

#include <algorithm>
#include <compare>
#include <limits>
#include <utility>

#include <mpp/core/error.hpp>

#include <mpp/speech/rounding.hpp>
#include "line_reader.hpp"

namespace mpp::speech {
namespace {

struct Entry {
  std::span<const Token> spelling;
  Lexicon::Word word;
};

auto compare(const Entry& a, const Entry& b) {
  const auto order = std::lexicographical_compare_three_way(a.spelling.begin(), a.spelling.end(), b.spelling.begin(),
                                                            b.spelling.end());
  return order != 0 ? order : a.word <=> b.word;
}

// The entries whose spelling begins with the path to a node: neighbours, because the entries are sorted.
struct Range {
  std::uint32_t first, last;
};

}  // namespace

Lexicon Lexicon::build(std::span<const std::string> words, const Spellings& spellings) {
  expects<ShapeError>(words.size() == spellings.size(), "Lexicon::build: ", spellings.size(), " spellings, expected ",
                      words.size(), ", one a word");
  Lexicon lexicon;
  std::vector<Entry> entries;
  entries.reserve(words.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    expects<ValueError>(!words[i].empty(), "Lexicon::build: words[", i, "] is empty");
    expects<ValueError>(!spellings[i].empty(), "Lexicon::build: the word ", printable(words[i]), " (words[", i,
                        "]) has an empty spelling");
    entries.push_back({spellings[i], lexicon.text_.add(words[i])});
    total += spellings[i].size();
    lexicon.tokens_ = std::max(lexicon.tokens_, std::size_t{std::ranges::max(spellings[i])} + 1);
  }
  expects<ValueError>(total < std::numeric_limits<Node>::max() - 1, "Lexicon::build: the spellings hold ", total,
                      " tokens, expected fewer than 2^32 - 2");
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return compare(a, b) < 0; });
  const auto same = [](const Entry& a, const Entry& b) { return compare(a, b) == 0; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());

  std::vector<Range> below{{0, static_cast<std::uint32_t>(entries.size())}};
  std::vector<Node> ends;
  lexicon.token_.push_back(0);
  std::size_t level_end = 1;
  for (std::size_t node = 0, depth = 0; node < below.size(); ++node) {
    if (node == level_end) {
      level_end = below.size();
      ++depth;
    }
    lexicon.first_child_.push_back(static_cast<Node>(below.size()));
    auto [at, last] = below[node];
    if (at < last && entries[at].spelling.size() == depth) {
      ends.push_back(static_cast<Node>(node));
      lexicon.first_word_.push_back(static_cast<std::uint32_t>(lexicon.word_.size()));
    }
    for (; at < last && entries[at].spelling.size() == depth; ++at) lexicon.word_.push_back(entries[at].word);
    while (at < last) {
      const Token token = entries[at].spelling[depth];
      const std::uint32_t first = at;
      while (at < last && entries[at].spelling[depth] == token) ++at;
      below.push_back({first, at});
      lexicon.token_.push_back(token);
    }
  }
  lexicon.first_child_.push_back(static_cast<Node>(below.size()));
  lexicon.first_word_.push_back(static_cast<std::uint32_t>(lexicon.word_.size()));
  lexicon.ends_ = BitRank(below.size(), ends);

  lexicon.first_child_.shrink_to_fit();
  lexicon.token_.shrink_to_fit();
  lexicon.first_word_.shrink_to_fit();
  lexicon.word_.shrink_to_fit();
  lexicon.text_.shrink_to_fit();
  return lexicon;
}

std::optional<Lexicon::Node> Lexicon::child(Node node, Token token) const noexcept {
  const auto begin = token_.begin() + first_child_[node], end = token_.begin() + first_child_[node + 1];
  const auto at = std::lower_bound(begin, end, token);
  return at != end && *at == token ? std::optional(static_cast<Node>(at - token_.begin())) : std::nullopt;
}

Lexicon::Node Lexicon::parent(Node node) const noexcept {
  const auto after =
      std::upper_bound(first_child_.begin(), first_child_.end() - 1, node);  // the last that begins at or before
  return static_cast<Node>(after - first_child_.begin() - 1);
}

Lexicon::Node Lexicon::ending_node(std::uint32_t ending) const noexcept {
  const auto after = std::upper_bound(first_word_.begin(), first_word_.end(), ending);
  return ends_.select(static_cast<std::uint32_t>(after - first_word_.begin() - 1));
}

Footprint Lexicon::resident() const noexcept {
  return Footprint::host(
      Bytes{sizeof(*this)} + text_.resident() + ends_.resident() +
      bytes_of<std::uint32_t>(first_child_.capacity() + token_.capacity() + first_word_.capacity() + word_.capacity()));
}

std::vector<float> smear(const Lexicon& lexicon, std::span<const double> word_weight) {
  expects<ShapeError>(word_weight.size() == lexicon.words(), "smear: word_weight has ", word_weight.size(),
                      " values, expected ", lexicon.words(), ", one a word");
  for (std::size_t i = 0; i < word_weight.size(); ++i)
    expects<ValueError>(word_weight[i] <= std::numeric_limits<float>::max(), "smear: word_weight[", i, "] is ",
                        word_weight[i], ", expected a number up to the largest float, or -infinity");
  std::vector<float> largest(lexicon.nodes(), -std::numeric_limits<float>::infinity());
  for (std::size_t i = lexicon.nodes(); i-- > 0;) {  // children come after their parent
    const auto node = static_cast<Lexicon::Node>(i);
    for (const Lexicon::Word word : lexicon.words_at(node))
      largest[i] = std::max(largest[i], float_above(word_weight[word]));
    const auto [first, count] = lexicon.children(node);
    for (Lexicon::Node child = first; child < first + count; ++child) largest[i] = std::max(largest[i], largest[child]);
  }
  return largest;
}

}  // namespace mpp::speech
