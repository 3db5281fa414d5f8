// Edits a valid audit state and reads it. Whatever the edits: a FormatError, or an auditor that gives the same bytes back
// and goes on. Input: one byte (bit 0: the bytes are the state itself; bit 1: shorten it), then edits of 3 bytes: offset
// (2), value (1).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "fuzz/audit_state_property.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::byte> valid = mpp::test::sample_audit_state();
  if (size == 0) return 0;
  if ((data[0] & 1) != 0) {
    if (!mpp::test::refused_or_canonical({reinterpret_cast<const std::byte*>(data + 1), size - 1})) std::abort();
    return 0;
  }
  std::vector<std::byte> state = valid;
  for (std::size_t i = 1; i + 3 <= size; i += 3)
    state[(data[i] + 256U * data[i + 1]) % state.size()] = static_cast<std::byte>(data[i + 2]);
  if ((data[0] & 2) != 0 && size >= 3) state.resize((data[1] + 256U * data[2]) % (state.size() + 1));
  if (!mpp::test::refused_or_canonical(state)) std::abort();
  return 0;
}
