// Any bytes as the index of an emission set: a FormatError, or utterances that follow each other without a gap, tokens that
// are there and files beside the index.
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include <mpp/core/error.hpp>
#include <mpp/speech/emission_set.hpp>

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(data, data + size));
  try {
    const mpp::speech::EmissionSet set = mpp::speech::read_emission_set_index(in);
    require(set.blank < set.tokens.size() && set.separator < set.tokens.size());
    require(!set.utterances.empty() && !set.conditions.empty());
    std::size_t frames = 0;
    for (const auto& one : set.utterances) {
      require(one.first == frames && one.frames >= 1);
      frames += one.frames;
    }
    require(frames < std::size_t{1} << 31);
    for (const auto& one : set.conditions) require(one.file.find('/') == std::string::npos && one.file != "..");
  } catch (const mpp::FormatError&) {  // not such an index
  }
  return 0;
}
