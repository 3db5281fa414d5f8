#pragma once
#include <mpp/speech/language_model.hpp>

#include "arpa.hpp"
#include "line_reader.hpp"

namespace mpp::speech {

/// From the n-grams of a file to the automaton.
struct NgramModelBuilder {
  static NgramModel read(LineReader& lines, const ArpaOptions& options);
};

/// Sorts the n-grams of every order and adds the missing prefixes, so that every context is listed: "a b" for a listed
/// "a b c". Such a gram gets log_prob NaN, "as the backoff formula says", and backoff 0.
/// @throws FormatError naming the second line of an n-gram that is there twice, or when there are too many
void sort_and_close(std::vector<ArpaSection>& sections, const LineReader& lines);

/// The automaton of closed sections; section 1 holds one gram per word.
NgramTables build_tables(const std::vector<ArpaSection>& sections);

}  // namespace mpp::speech
