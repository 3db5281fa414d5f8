// Any bytes, and edits of a valid record: a FormatError, or a record that survives being written and read. Input: one byte
// (bit 0: the bytes are the record itself), then edits of 2 bytes: offset, value.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "fuzz/calibration_record_property.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string valid = mpp::test::sample_record().json();
  if (size == 0) return 0;
  std::string record = valid;
  if ((data[0] & 1) != 0) {
    record.assign(reinterpret_cast<const char*>(data + 1), size - 1);
  } else {
    for (std::size_t i = 1; i + 2 <= size; i += 2)
      record[data[i] * record.size() / 256] = static_cast<char>(data[i + 1]);
  }
  if (!mpp::test::refused_or_record(record)) std::abort();
  return 0;
}
