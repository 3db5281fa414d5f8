#include <cstring>

#include <mpp/core/storage/crc32c.hpp>
#include <mpp/core/storage/file_io.hpp>
#include <mpp/ranking/pool.hpp>

#include "src/pool_layout.hpp"

namespace mpp::ranking {
namespace {

using layout::Entry;
using layout::Head;
using layout::Read;
using layout::Section;

constexpr std::array<std::byte, layout::alignment> zeros{};

// Runs `read` and puts the operation and the file in front of what it finds wrong with the format.
template <class Reading>
Pool reading(const char* operation, const std::filesystem::path& file, Reading read) {
  try {
    return read(InputFile(operation, file));
  } catch (const FormatError& error) {
    throw FormatError(text(operation, ": ", file, ": ", error.what()));
  }
}

Head read_head(const InputFile& input) {
  expects<FormatError>(input.size() >= sizeof(Head), "the file has ", input.size(), " bytes, expected at least ",
                       sizeof(Head), " of a pool");
  Head head;
  input.read(0, std::as_writable_bytes(std::span(&head, 1)));
  layout::check_head(head, input.size());
  return head;
}

void check_sum(Section section, const Entry& entry, std::uint32_t sum) {
  expects<FormatError>(sum == entry.checksum, section.name, ": checksum is ", sum, ", expected ", entry.checksum,
                       ": the file is damaged");
}

}  // namespace

void Pool::save(const std::filesystem::path& file) const {
  const Head head = layout::make_head(columns_);
  NewFile out("Pool::save", file);
  out.write(std::as_bytes(std::span(&head, 1)));
  layout::visit_columns(columns_, [&](Section, const auto& column) {
    out.write(std::as_bytes(column.view()));
    out.write(std::span(zeros).first(layout::padding(column.bytes())));
  });
  out.commit();
}

Pool Pool::load(const std::filesystem::path& file) {
  return reading("Pool::load", file, [](const InputFile& input) {
    const Head head = read_head(input);
    PoolColumns columns = layout::scalars(head);
    layout::visit_columns(columns, [&]<class T>(Section section, Column<T>& column) {
      const Entry& entry = head.table[section.id];
      column = Column<T>(entry.bytes / sizeof(T));  // at most the size of the file: check_head() has compared them
      const auto bytes = std::as_writable_bytes(std::span(column.values()));
      input.read(entry.offset, bytes);
      std::array<std::byte, layout::alignment> rest;
      const auto pad = std::span(rest).first(layout::padding(entry.bytes));
      input.read(entry.offset + entry.bytes, pad);
      check_sum(section, entry, crc32c(pad, crc32c(bytes)));
    });
    return Pool(std::move(columns));
  });
}

Pool Pool::map(const std::filesystem::path& file) {
  return reading("Pool::map", file, [](const InputFile& input) {
    const Head head = read_head(input);
    PoolColumns columns = layout::scalars(head);
    const std::shared_ptr<const std::byte> start = input.map();
    layout::visit_columns(columns, [&]<class T>(Section section, Column<T>& column) {
      const Entry& entry = head.table[section.id];
      const std::byte* const first = start.get() + entry.offset;
      if (section.read == Read::always)
        check_sum(section, entry, crc32c(std::span(first, entry.bytes + layout::padding(entry.bytes))));
      column = Column<T>(std::span(reinterpret_cast<const T*>(first), entry.bytes / sizeof(T)), start);
    });
    return Pool(std::move(columns));
  });
}

}  // namespace mpp::ranking
