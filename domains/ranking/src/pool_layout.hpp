#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <mpp/ranking/pool_columns.hpp>

namespace mpp::ranking::layout {

// The bytes of a pool file; docs/pool_format.md describes them for readers in other languages.

inline constexpr std::array<char, 8> magic{'M', 'P', 'P', '-', 'P', 'O', 'O', 'L'};
inline constexpr std::uint32_t version = 2;
inline constexpr std::uint64_t alignment = 64;  ///< of sections: a mapped column starts a cache line
inline constexpr std::size_t sections = 18;

struct Entry {
  std::uint64_t offset;    ///< from the start of the file
  std::uint64_t bytes;     ///< without padding
  std::uint32_t checksum;  ///< CRC-32C of the section and the zeros that pad it
  std::uint16_t id;        ///< 0, 1, 2, ... in the order of visit_columns()
  std::uint16_t element_bytes;
};

struct Head {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t dims;
  std::uint32_t coded_dims;
  std::int32_t unit_exponent;
  std::uint64_t file_bytes;
  std::uint64_t next_id;
  std::uint64_t tail_rows;
  double largest_centered;
  double largest_row;
  double largest_bias;
  std::array<Entry, sections> table;
  Metric metric;
  std::array<std::uint8_t, 3> reserved;  ///< zero
  std::uint32_t checksum;                ///< CRC-32C of everything before it
};

static_assert(std::endian::native == std::endian::little, "numbers are stored as they lie in memory");
static_assert(sizeof(Entry) == 24 && sizeof(Head) == 512 && sizeof(Head) % alignment == 0);
static_assert(std::is_trivially_copyable_v<Head>);
static_assert(std::has_unique_object_representations_v<Entry>, "no byte of the table is padding");
static_assert(sizeof(kernels::Half) == 2 && std::is_trivially_copyable_v<kernels::Half>);
static_assert(sizeof(kernels::PlaneFactors) == 6 && std::is_trivially_copyable_v<kernels::PlaneFactors>);

/// Zeros after `bytes` bytes up to the next multiple of `alignment`.
constexpr std::uint64_t padding(std::uint64_t bytes) noexcept { return (alignment - bytes % alignment) % alignment; }

/// Which columns a request reads in full: their checksums are verified even when the file is only mapped.
enum class Read : std::uint8_t { always, by_row };

struct Section {
  std::uint16_t id;
  std::string_view name;
  Read read;
};

/// Calls visit(Section, column) for the columns of a file in their order: those read in full first.
template <class Columns, class Visit>
void visit_columns(Columns& columns, Visit visit) {
  std::uint16_t id = 0;
  const auto next = [&](std::string_view name, Read read, auto& column) { visit(Section{id++, name, read}, column); };
  next("rotation", Read::always, columns.rotation);
  next("centers", Read::always, columns.centers);
  next("block_cell", Read::always, columns.block_cell);
  next("signs[0]", Read::always, columns.block_plane[0].signs);
  next("scale[0]", Read::always, columns.block_plane[0].scale);
  next("residual[0]", Read::always, columns.block_plane[0].residual);
  next("bias", Read::always, columns.bias);
  next("live", Read::always, columns.live);
  next("ids", Read::always, columns.ids);  // check_columns() looks at every one
  next("signs[1]", Read::by_row, columns.block_plane[1].signs);
  next("scale[1]", Read::by_row, columns.block_plane[1].scale);
  next("residual[1]", Read::by_row, columns.block_plane[1].residual);
  next("norm[1]", Read::by_row, columns.block_plane[1].norm);
  next("codes[2]", Read::by_row, columns.row_plane[0].codes);
  next("codes[3]", Read::by_row, columns.row_plane[1].codes);
  next("factors[2]", Read::by_row, columns.row_plane[0].factors);
  next("factors[3]", Read::by_row, columns.row_plane[1].factors);
  next("rows", Read::by_row, columns.rows);
}

/// The head of the file that holds `columns`.
[[nodiscard]] Head make_head(const PoolColumns& columns);

/// The scalars of a head; the columns are empty.
[[nodiscard]] PoolColumns scalars(const Head& head);

/// Refuses a head that is not the head of a pool file of `file_bytes` bytes. After it, every section lies in the file,
/// is aligned, overlaps nothing and has whole elements; whether sizes fit each other is for check_columns().
/// @throws FormatError naming the field, what came and what was expected
void check_head(const Head& head, std::uint64_t file_bytes);

}  // namespace mpp::ranking::layout
