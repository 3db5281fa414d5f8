// Any bytes as a language model, or edits of a small valid one: a FormatError, or a model that scores like the textbook.
// Input: one byte; if it is even, the file follows. If it is odd, edits of 3 bytes follow: place, operation, character.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fuzz/arpa_property.hpp"

namespace {

void edit(std::string& file, const std::uint8_t* change) {
  const std::size_t at = (change[0] + 256U * (change[1] & 1U)) % (file.size() + 1);
  const auto c = static_cast<char>(change[2]);
  switch (change[1] >> 1 & 3U) {
    case 0:
      file.insert(at, 1, c);
      break;
    case 1:
      file.erase(at, change[2]);
      break;
    case 2:
      file.replace(at, at < file.size() ? 1 : 0, 1, c);
      break;
    default:
      file.insert(at, file.substr(change[2] % (file.size() + 1), change[1] >> 3));
      break;  // repeats a piece, perhaps a line
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string file(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) != 0) {
    file = mpp::test::small_arpa;
    for (std::size_t i = 1; i + 3 <= size; i += 3) edit(file, data + i);
  }
  if (!mpp::test::refused_or_agrees(file)) std::abort();
  return 0;
}
