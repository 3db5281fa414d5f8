#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <istream>
#include <span>
#include <string>
#include <vector>

#include <mpp/speech/emissions.hpp>

namespace mpp::speech {

/// Emissions of the same utterances under several conditions, such as levels of noise.
///
/// A folder has `set.json` and, for each condition, a file as read_emissions_csv() reads it that has the utterances one
/// after the other:
///
///   {"tokens": ["_", "|", "a", ...], "blank": 0, "separator": 1, "frame_ms": 30,
///    "conditions": [{"name": "10 dB", "file": "10_dB.csv"}, ...], "utterances": [{"text": "lock the door", "frames": 61}, ...]}
///
/// Rows may be rounded: the reader normalises them with log_softmax(). Other members are ignored.
struct EmissionSet {
  struct Utterance {
    std::string text;        ///< what was said, words separated by one space
    std::size_t frames = 0;  ///< >= 1
    std::size_t first = 0;   ///< frame of the condition at which it begins
  };
  struct Condition {
    std::string name, file;    ///< file: a name in the folder of the set
    EmissionMatrix emissions;  ///< [sum of frames, tokens], normalised
  };

  std::vector<std::string> tokens;  ///< the text of each column, as spell() takes it
  std::size_t blank = 0, separator = 0;
  std::size_t frame_ms = 0;  ///< time between two frames, >= 1
  std::vector<Utterance> utterances;
  std::vector<Condition> conditions;

  /// One utterance under one condition: a view that lives as long as the set. @param condition, utterance  below their sizes
  [[nodiscard]] Emissions emissions(std::size_t condition, std::size_t utterance) const;

  /// The text of a labelling: token after token, each separator a space, none at the end.
  [[nodiscard]] std::string text(std::span<const std::uint32_t> labels) const;
};

/// @throws FormatError naming the member or the file: not readable, not such an object, blank or separator that is no token,
///         a file that is not a plain name, no utterance, one without frames, a condition with other frames or tokens
[[nodiscard]] EmissionSet read_emission_set(const std::filesystem::path& folder);

/// The same without the emissions: what set.json says, for a stream.
[[nodiscard]] EmissionSet read_emission_set_index(std::istream& in);

}  // namespace mpp::speech
