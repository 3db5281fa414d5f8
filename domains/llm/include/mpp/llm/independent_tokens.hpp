#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace mpp::llm {

/// Tokens of a run that do not depend on the dither of its cache: the licence of a randomized certificate.
///
/// Given the tokens, queries and exact keys of a layer are functions of what the layers below have read, and so are independent of
/// the dither of this layer. Tokens that were sampled from reads of dithered pages carry that dither into the next query:
/// of such a run nothing can be promised, and there is no way to make this type for it.
class IndependentTokens {
 public:
  using Token = std::uint32_t;

  /// Tokens that were fixed before the seed of the dither was drawn: an audit, a prompt.
  /// @throws ValueError if there are none
  [[nodiscard]] static IndependentTokens teacher_forced(std::span<const Token> given);

  /// Tokens that a verifier has compared with those of the exact level, which reads no dithered page.
  /// @throws ValueError if there are none, and naming the first position where `released` is not `exact`
  [[nodiscard]] static IndependentTokens verified(std::span<const Token> released, std::span<const Token> exact);

  /// Reads of positions below this may be certified.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  explicit IndependentTokens(std::size_t count) noexcept : count_(count) {}
  std::size_t count_;
};

}  // namespace mpp::llm
