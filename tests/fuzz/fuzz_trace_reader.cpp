// Any bytes: a FormatError, or records that survive being written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/trace_reader_property.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (!mpp::test::refused_or_survives({reinterpret_cast<const char*>(data), size})) std::abort();
  return 0;
}
