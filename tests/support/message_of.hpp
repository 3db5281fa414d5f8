#pragma once
#include <string>

namespace mpp::test {

/// The message of the error that `action` throws, or "no error".
template <class Error, class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace mpp::test
