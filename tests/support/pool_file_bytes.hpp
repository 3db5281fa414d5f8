#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mpp::test {

// A second reading of docs/pool_format.md, written without the library's code: tests and fuzzers change single fields
// with it and put the checksums right again, as somebody with intent would.

using FileBytes = std::vector<std::uint8_t>;

/// CRC-32C bit by bit.
inline std::uint32_t plain_crc32c(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;
  }
  return ~crc;
}

template <class T>
T get(const FileBytes& file, std::size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

template <class T>
void put(FileBytes& file, std::size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof(T));
}

/// Offsets of the fields of the head.
namespace head {
inline constexpr std::size_t magic = 0, version = 8, dims = 12, coded_dims = 16, unit_exponent = 20, file_bytes = 24,
                             next_id = 32, tail_rows = 40, largest_centered = 48, largest_row = 56, largest_bias = 64,
                             table = 72, metric = 504, reserved = 505, checksum = 508, size = 512;
inline constexpr std::size_t sections = 18;
}  // namespace head

/// Numbers of the sections.
enum SectionNumber : std::size_t {
  rotation,
  centers,
  block_cell,
  signs_0,
  scale_0,
  residual_0,
  bias,
  live,
  ids,
  signs_1,
  scale_1,
  residual_1,
  norm_1,
  codes_2,
  codes_3,
  factors_2,
  factors_3,
  rows
};

/// Where the fields of a section's table entry are.
struct EntryAt {
  std::size_t offset, bytes, checksum, id, element_bytes;
  explicit EntryAt(std::size_t section)
      : offset(head::table + 24 * section), bytes(offset + 8), checksum(offset + 16), id(offset + 20),
        element_bytes(offset + 22) {}
};

inline std::size_t first_byte(const FileBytes& file, std::size_t section) {
  return get<std::uint64_t>(file, EntryAt(section).offset);
}
inline std::size_t padded_bytes(const FileBytes& file, std::size_t section) {
  return (get<std::uint64_t>(file, EntryAt(section).bytes) + 63) / 64 * 64;
}

inline std::uint32_t section_checksum(const FileBytes& file, std::size_t section) {
  return plain_crc32c(std::span(file).subspan(first_byte(file, section), padded_bytes(file, section)));
}
inline std::uint32_t head_checksum(const FileBytes& file) {
  return plain_crc32c(std::span(file).first(head::checksum));
}

/// Makes every checksum that lies in the file right.
inline void repair_checksums(FileBytes& file) {
  if (file.size() < head::size) return;
  for (std::size_t s = 0; s < head::sections; ++s) {
    const std::size_t first = first_byte(file, s);
    const std::size_t bytes = get<std::uint64_t>(file, EntryAt(s).bytes);
    if (first <= file.size() && bytes <= file.size() && padded_bytes(file, s) <= file.size() - first)
      put(file, EntryAt(s).checksum, section_checksum(file, s));
  }
  put(file, head::checksum, head_checksum(file));
}

}  // namespace mpp::test
