#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <mpp/speech/vocabulary.hpp>

#include "line_reader.hpp"

namespace mpp::speech {

/// The n-grams of one order as they stand in the file, in natural logarithms.
struct ArpaSection {
  std::size_t n{};
  std::vector<std::uint32_t> words;  ///< [size, n]; left empty for n = 1, where gram i is word i
  std::vector<float> log_prob;       ///< [size]
  std::vector<float> backoff;        ///< [size]; 0 where the file gives none
  std::vector<std::uint64_t> line;   ///< [size]; left empty for n = 1

  std::size_t size() const noexcept { return log_prob.size(); }
  std::span<const std::uint32_t> gram(std::size_t i) const noexcept { return std::span(words).subspan(i * n, n); }
};

struct ArpaFile {
  Vocabulary vocabulary;
  std::vector<ArpaSection> sections;  ///< [order]
};

/// Reads a file up to \end\ and checks everything but repeated n-grams of two words and more.
/// @throws FormatError, see NgramModel::read_arpa
ArpaFile parse_arpa(LineReader& lines);

}  // namespace mpp::speech
