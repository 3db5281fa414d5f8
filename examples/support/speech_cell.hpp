#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "support/speech_run.hpp"
#include "support/statistics.hpp"

namespace mpp::examples {

/// What a row of a table says about all utterances of a condition under one target.
struct Cell {
  std::vector<double> bytes, seconds, live;
  std::vector<double> released;  ///< [levels] certified utterances
  std::size_t open = 0;          ///< answered with a gap above epsilon
  std::size_t word_errors = 0;
  double gap = 0.0, behind = 0.0;  ///< largest

  /// @param levels  of the decoder, the exact one included
  static Cell of(const DecodedSeries& series, std::size_t levels) {
    Cell cell;
    cell.released.resize(levels);
    for (const Decoded& one : series.utterances) {
      cell.bytes.push_back(one.bytes);
      cell.seconds.push_back(one.seconds);
      cell.live.push_back(one.live);
      cell.word_errors += one.word_errors;
      cell.gap = std::max(cell.gap, one.gap);
      cell.behind = std::max(cell.behind, one.behind);
      if (one.verdict == Verdict::certified)
        cell.released[one.level] += 1.0;
      else
        ++cell.open;
    }
    return cell;
  }
  double per_second() const { return static_cast<double>(seconds.size()) / total(seconds); }
};

inline double wide_per_second(const Condition& condition) {
  return static_cast<double>(condition.wide_seconds.size()) / total(condition.wide_seconds);
}

/// Word error rate in percent.
inline double percent(std::size_t errors, std::size_t words) {
  return 100.0 * static_cast<double>(errors) / static_cast<double>(words);
}

}  // namespace mpp::examples
