#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/ranking/pool_columns.hpp>

namespace mpp::ranking {

/// Called during long work with the rows done and the rows in all.
using Progress = std::function<void(std::size_t done, std::size_t total)>;

struct PoolOptions {
  Metric metric = Metric::inner_product;
  std::size_t cells = 1;  ///< centres that rows are coded around; 1 is the mean of the pool, more need FAISS
  /// Of the rotation and of the cells' training. Randomized bounds assume that queries do not depend on it: choose a
  /// secret one where clients may.
  std::uint64_t seed = 1;
  float clip = 0.7F;  ///< range of the codes as a share of a row's largest coordinate, in (0, 1]
  Progress progress = {};
};

/// Items to rank: fp32 rows with nested sign codes over them (see kernels/sign_code.hpp).
///
/// Any choice of cells, rotation, seed and clip gives sound bounds: what the codes lose is measured per row and rounded
/// up. They only decide how many rows a request has to look at twice. Const member functions are thread-safe; add()
/// and remove() must not run beside anything else. Ids count up from 0 in the order rows came; a removed id is not reused.
class Pool {
 public:
  /// @param rows  [n, dims], finite; for cosine no row may have length zero
  /// @throws ShapeError, ValueError (naming the row), BackendUnavailable if options.cells > 1 without FAISS
  [[nodiscard]] static Pool build(std::span<const float> rows, std::size_t dims, const PoolOptions& options = {});

  /// Reads a saved pool into memory. @throws FormatError for a file that is truncated, damaged or not a pool;
  /// std::filesystem::filesystem_error, with the path, for what the system refuses
  [[nodiscard]] static Pool load(const std::filesystem::path& file);
  /// Maps a saved pool read-only: the backing columns stay on disk until rows are looked at. Same errors as load.
  [[nodiscard]] static Pool map(const std::filesystem::path& file);
  /// Writes the pool to a new file beside `file` and renames it, so that a crash leaves the old one.
  void save(const std::filesystem::path& file) const;

  /// Appends rows. Ids of the new rows are the next numbers. @return id of the first one
  std::uint64_t add(std::span<const float> rows);
  /// Takes a row out of every later request. @throws ValueError if no live row has this id
  void remove(std::uint64_t id);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }  ///< live rows
  [[nodiscard]] std::size_t dims() const noexcept { return columns_.dims; }
  [[nodiscard]] Metric metric() const noexcept { return columns_.metric; }
  [[nodiscard]] const PoolColumns& columns() const noexcept { return columns_; }

  /// Bytes that every request shares: plane 0, its factors, rotation, centres, live bits.
  [[nodiscard]] Footprint resident() const noexcept;
  /// Bytes that requests bring in row by row: planes 1 to 3, their factors, fp32 rows, ids. `disk` when mapped.
  [[nodiscard]] Footprint backing() const noexcept;

  /// Takes over columns that were read from somewhere. @throws FormatError if they do not fit together
  explicit Pool(PoolColumns columns);

 private:
  PoolColumns columns_;
  std::size_t size_ = 0;
};

}  // namespace mpp::ranking
