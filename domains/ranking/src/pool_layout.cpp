#include "src/pool_layout.hpp"

#include <algorithm>
#include <span>

#include <mpp/core/storage/crc32c.hpp>

namespace mpp::ranking::layout {
namespace {

constexpr std::array<std::byte, alignment> zeros{};

std::uint32_t checksum(const Head& head) {
  return crc32c(std::as_bytes(std::span(&head, 1)).first(offsetof(Head, checksum)));
}

}  // namespace

Head make_head(const PoolColumns& columns) {
  Head head{.magic = magic,
            .version = version,
            .dims = columns.dims,
            .coded_dims = columns.coded_dims,
            .unit_exponent = columns.unit_exponent,
            .file_bytes = sizeof(Head),
            .next_id = columns.next_id,
            .tail_rows = columns.tail_rows,
            .largest_centered = columns.largest_centered,
            .largest_row = columns.largest_row,
            .largest_bias = columns.largest_bias,
            .table = {},
            .metric = columns.metric,
            .reserved = {},
            .checksum = 0};
  visit_columns(columns, [&]<class T>(Section section, const Column<T>& column) {
    const std::uint64_t pad = padding(column.bytes());
    const std::uint32_t sum = crc32c(std::span(zeros).first(pad), crc32c(std::as_bytes(column.view())));
    head.table[section.id] = {head.file_bytes, column.bytes(), sum, section.id, sizeof(T)};
    head.file_bytes += column.bytes() + pad;
  });
  head.checksum = checksum(head);
  return head;
}

PoolColumns scalars(const Head& head) {
  PoolColumns columns;
  columns.metric = head.metric;
  columns.dims = head.dims;
  columns.coded_dims = head.coded_dims;
  columns.unit_exponent = head.unit_exponent;
  columns.next_id = head.next_id;
  columns.tail_rows = head.tail_rows;
  columns.largest_centered = head.largest_centered;
  columns.largest_row = head.largest_row;
  columns.largest_bias = head.largest_bias;
  return columns;
}

void check_head(const Head& head, std::uint64_t file_bytes) {
  expects<FormatError>(head.magic == magic, "magic is not that of a pool, expected the 8 bytes \"MPP-POOL\"");
  expects<FormatError>(head.version == version, "version is ", head.version, ", expected ", version);
  expects<FormatError>(head.checksum == checksum(head), "checksum of the head is ", head.checksum, ", expected ",
                       checksum(head), ": the file is damaged");
  expects<FormatError>(head.file_bytes == file_bytes, "file_bytes is ", head.file_bytes, ", but the file has ",
                       file_bytes, " bytes");
  expects<FormatError>(std::ranges::all_of(head.reserved, [](std::uint8_t b) { return b == 0; }),
                       "reserved bytes of the head are set, expected zeros");

  // There is one place for every section, so holes, overlaps and offsets outside the file need no check of their own.
  const PoolColumns types;
  std::uint64_t offset = sizeof(Head);
  visit_columns(types, [&]<class T>(Section section, const Column<T>&) {
    const Entry& entry = head.table[section.id];
    const std::uint64_t room = file_bytes - offset;  // offset <= file_bytes: it grows by at most the room
    expects<FormatError>(entry.id == section.id, section.name, ": section id is ", entry.id, ", expected ", section.id);
    expects<FormatError>(entry.element_bytes == sizeof(T), section.name, ": element_bytes is ", entry.element_bytes,
                         ", expected ", sizeof(T));
    expects<FormatError>(entry.offset == offset, section.name, ": offset is ", entry.offset, ", expected ", offset);
    expects<FormatError>(entry.bytes <= room && padding(entry.bytes) <= room - entry.bytes, section.name, ": bytes is ",
                         entry.bytes, ", but the file ends ", room, " bytes after its offset");
    expects<FormatError>(entry.bytes % sizeof(T) == 0, section.name, ": bytes is ", entry.bytes,
                         ", expected a multiple of ", sizeof(T));
    offset += entry.bytes + padding(entry.bytes);
  });
  expects<FormatError>(offset == file_bytes, "the file has ", file_bytes, " bytes, expected ", offset,
                       ", the end of its last section");
}

}  // namespace mpp::ranking::layout
