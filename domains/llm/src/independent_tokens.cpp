#include "mpp/llm/independent_tokens.hpp"

#include "mpp/core/error.hpp"

namespace mpp::llm {

IndependentTokens IndependentTokens::teacher_forced(std::span<const Token> given) {
  expects<ValueError>(!given.empty(), "IndependentTokens::teacher_forced: there are no tokens, expected at least one");
  return IndependentTokens(given.size());
}

IndependentTokens IndependentTokens::verified(std::span<const Token> released, std::span<const Token> exact) {
  expects<ValueError>(!released.empty(), "IndependentTokens::verified: there are no tokens, expected at least one");
  expects<ValueError>(released.size() == exact.size(), "IndependentTokens::verified: ", released.size(),
                      " tokens were released and ", exact.size(), " are of the exact level, expected as many");
  for (std::size_t i = 0; i < released.size(); ++i)
    expects<ValueError>(released[i] == exact[i], "IndependentTokens::verified: token ", i, " was released as ",
                        released[i], ", that of the exact level is ", exact[i]);
  return IndependentTokens(released.size());
}

}  // namespace mpp::llm
