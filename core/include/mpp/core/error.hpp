#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace mpp {

/// A size or layout that does not fit the call. Python: ValueError.
struct ShapeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A value outside its domain: NaN, a negative epsilon, a zero budget. Python: ValueError.
struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A file or stream that is truncated, damaged or not ours. Python: ValueError.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// An operation that this build or this machine cannot run. Python: mpp.BackendUnavailable.
struct BackendUnavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// All parts, streamed one after the other: `text("k is ", k, ", expected at least 1")`.
template <class... Parts>
[[nodiscard]] std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error with the sentence made of `parts` unless `holds`.
/// The sentence names the operation, the argument, what came and what was expected.
template <class Error, class... Parts>
void expects(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    throw Error(text(parts...));
}

}  // namespace mpp
