#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/speech/bit_rank.hpp>
#include <mpp/speech/spelling.hpp>
#include <mpp/speech/vocabulary.hpp>

namespace mpp::speech {

/// The words that a decoder may output, as an immutable trie over their spellings.
///
/// Nodes are numbered breadth first, so the root is 0, a child comes after its parent, the children of a node are
/// neighbours, and they are sorted by token: 8 bytes a node. Words are numbered in the order of their first appearance;
/// these numbers are not the WordId of a language model. Any number of threads may read one lexicon.
class Lexicon {
 public:
  using Node = std::uint32_t;
  using Word = std::uint32_t;
  static constexpr Node root = 0;

  /// The nodes first, first + 1, ..., first + count - 1.
  struct Children {
    Node first;
    std::uint32_t count;
  };

  /// @param words      shape [n], not empty each; a repeated word is one word with several spellings
  /// @param spellings  shape [n], not empty each; several words may share one, and an exact repetition counts once
  /// @throws ShapeError if the sizes differ; ValueError naming the word that is empty or has an empty spelling, or when
  ///         the spellings hold 2^32 - 2 tokens or more
  [[nodiscard]] static Lexicon build(std::span<const std::string> words, const Spellings& spellings);
  [[nodiscard]] static Lexicon build(const WordList& list) { return build(list.words, list.spellings); }

  std::size_t nodes() const noexcept { return token_.size(); }
  std::size_t words() const noexcept { return text_.size(); }
  /// One more than the largest token of a spelling; 0 when there is none.
  std::size_t tokens() const noexcept { return tokens_; }

  Children children(Node node) const noexcept {
    return {first_child_[node], first_child_[node + 1] - first_child_[node]};
  }
  /// The token on the edge into a node; of no meaning for the root.
  Token token(Node node) const noexcept { return token_[node]; }
  std::optional<Node> child(Node node, Token token) const noexcept;

  Node parent(Node node) const noexcept;  ///< O(log nodes); of a node other than the root

  /// A word at a node where a spelling of it ends. Endings are numbered by node and at a node by word, so shorter
  /// spellings come first: one number says word and spelling.
  struct Endings {
    std::uint32_t first, count;
  };
  Endings endings(Node node) const noexcept {
    if (!ends_.contains(node)) return {0, 0};
    const std::uint32_t end = ends_.rank(node);
    return {first_word_[end], first_word_[end + 1] - first_word_[end]};
  }
  std::size_t endings() const noexcept { return word_.size(); }
  Word ending_word(std::uint32_t ending) const noexcept { return word_[ending]; }
  Node ending_node(std::uint32_t ending) const noexcept;  ///< O(log nodes)

  /// The words whose spelling ends at a node, ascending.
  std::span<const Word> words_at(Node node) const noexcept {
    const auto [first, count] = endings(node);
    return std::span(word_).subspan(first, count);
  }

  std::string_view text(Word word) const noexcept { return text_[word]; }
  std::optional<Word> find(std::string_view word) const noexcept { return text_.find(word); }

  /// Host memory of the whole lexicon.
  Footprint resident() const noexcept;

 private:
  std::vector<Node> first_child_;          // [nodes + 1]
  std::vector<Token> token_;               // [nodes]
  BitRank ends_;                           // nodes where words end
  std::vector<std::uint32_t> first_word_;  // [such nodes + 1] into word_
  std::vector<Word> word_;
  Vocabulary text_;
  std::size_t tokens_ = 0;
};

/// For every node the largest weight among the words at or below it, rounded up to float: an upper bound of what a
/// hypothesis in that node can still collect. -infinity at the root of an empty lexicon.
/// @param word_weight  shape [words]; -infinity allowed
/// @return             shape [nodes]
/// @throws ShapeError; ValueError naming a weight that is NaN or larger than the largest float
[[nodiscard]] std::vector<float> smear(const Lexicon& lexicon, std::span<const double> word_weight);

}  // namespace mpp::speech
