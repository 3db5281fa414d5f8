#pragma once
// Rows and queries of bench_screen by number, the same on every machine. Coordinates are integers times a power of two,
// so that a row is exactly its centre plus the part that is coded, and all scores lie around 1 without a unit of their
// own. Blocks of 64 rows share a centre, as the cells of a pool do.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/kernels/sign_code.hpp>

namespace mpp::bench {

using kernels::block_rows;

/// Seeded bits by number (Steele et al. 2014, the finaliser of SplitMix64).
constexpr std::uint64_t seeded_bits(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t x = (seed << 56) + (index + 1) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// The sum of four 16-bit draws around 0: close to normal, deviation 37837.
constexpr std::int32_t seeded_normal(std::uint64_t seed, std::uint64_t index) noexcept {
  const std::uint64_t bits = seeded_bits(seed, index);
  return static_cast<std::int32_t>((bits & 0xFFFFU) + (bits >> 16 & 0xFFFFU) + (bits >> 32 & 0xFFFFU) + (bits >> 48)) -
         131070;
}

/// Rows by number: centre + noise of the same spread, so that the centre explains half of a row.
class SeededRows {
 public:
  /// @param rows  a positive multiple of 64    @param dims  a positive multiple of 8
  SeededRows(std::size_t rows, std::size_t dims)
      : rows_(rows), dims_(dims),
        blocks_per_centre_(std::max<std::size_t>(1, static_cast<std::size_t>(std::sqrt(rows)) / block_rows)),
        unit_(static_cast<float>(std::ldexp(1.0, -1 - std::ilogb(23648.0 * std::sqrt(static_cast<double>(dims)))))) {
    expects<ValueError>(rows > 0 && rows % block_rows == 0, "bench_screen: --rows is ", rows,
                        ", expected a positive multiple of ", block_rows);
    expects<ValueError>(dims > 0 && dims % 8 == 0 && dims <= 32768, "bench_screen: --dims is ", dims,
                        ", expected a multiple of 8 in [8, 32768]");
  }

  std::size_t rows() const { return rows_; }
  std::size_t dims() const { return dims_; }
  std::size_t centre_of_block(std::size_t block) const { return block / blocks_per_centre_; }
  std::size_t centres() const { return centre_of_block(rows_ / block_rows - 1) + 1; }
  float centre(std::size_t c, std::size_t j) const { return unit_ * static_cast<float>(centre_units(c, j)); }
  /// What is coded: the row without its centre. Norms are about 3/4.
  float coded(std::size_t row, std::size_t j) const { return unit_ * static_cast<float>(noise_units(row, j)); }
  float value(std::size_t row, std::size_t j) const {
    return unit_ * static_cast<float>(centre_units(centre_of_block(row / block_rows), j) + noise_units(row, j));
  }
  /// Some row plus half as much noise as rows have, of length 1.
  std::vector<float> query(std::size_t q) const {
    const std::size_t row = seeded_bits(3, q) % rows_;
    std::vector<double> near(dims_);
    double squares = 0.0;
    for (std::size_t j = 0; j < dims_; ++j) {
      near[j] = static_cast<double>(value(row, j)) + 0.3 * unit_ * seeded_normal(4, q * dims_ + j);
      squares += near[j] * near[j];
    }
    std::vector<float> unit_length(dims_);
    for (std::size_t j = 0; j < dims_; ++j) unit_length[j] = static_cast<float>(near[j] / std::sqrt(squares));
    return unit_length;
  }

 private:
  std::int32_t centre_units(std::size_t c, std::size_t j) const { return seeded_normal(1, c * dims_ + j) * 5 / 8; }
  std::int32_t noise_units(std::size_t row, std::size_t j) const { return seeded_normal(2, row * dims_ + j) * 5 / 8; }

  std::size_t rows_, dims_, blocks_per_centre_;
  float unit_;
};

}  // namespace mpp::bench
