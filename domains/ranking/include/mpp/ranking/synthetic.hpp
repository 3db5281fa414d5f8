#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace mpp::ranking {

/// How the seeded vectors of tests, examples and benchmarks are distributed. None is normalised: inner-product search
/// has to cope with norms that differ.
enum class Family : std::uint8_t {
  /// ceil(sqrt(rows)) centres ~ N(0, I); a row is the centre of its cluster plus 0.6 N(0, I), so that centres explain
  /// 1 / 1.36 = 74 % of the variance; cluster j (from 1) is drawn with weight j^(-1/2): of 1000 clusters the largest
  /// holds 32 times as many rows as the smallest. A query is some row plus 0.3 N(0, I): near the data, equal to none
  /// of it.
  clustered,
  /// Factor-model like: N(0, diag(1, 1/2, 1/3, ..., 1/dims)) turned into a random orthogonal basis, so that no
  /// coordinate axis carries more energy than another. Queries come from the same distribution.
  power_law,
  /// Independent N(0, 1) coordinates, rows and queries: no structure to exploit, the worst case for code planes.
  gaussian,
};

/// "clustered", "power_law", "gaussian": as written on command lines and in metric names.
[[nodiscard]] std::string_view name(Family family);

/// The family called `name`.
/// @throws ValueError for any other name, with the three that exist
[[nodiscard]] Family family_named(std::string_view name);

/// A catalogue and the requests asked of it, row-major.
struct Synthetic {
  std::size_t dims{};
  std::vector<float> rows;     ///< [rows, dims]
  std::vector<float> queries;  ///< [queries, dims]
};

/// Seeded vectors of one family.
///
/// The same arguments give the same bits on every machine and compiler with IEEE arithmetic: the generator is counter
/// based, and logarithm, sine and cosine are polynomials of our own because those of C libraries differ in the last
/// bit. Every vector depends on its own index only, so more rows or queries extend a set without changing it
/// (clustered: as long as ceil(sqrt(rows)) stays and, for queries, rows stays). About 2 seconds for 1e6 x 128 on one
/// core.
///
/// @param rows     >= 0
/// @param queries  >= 0
/// @param dims     >= 1, any; need not be a power of two
/// @throws         ShapeError if dims == 0 or a set would not fit the address space; std::bad_alloc
/// Tested by: tests/domains/synthetic_test.cpp
[[nodiscard]] Synthetic make_synthetic(Family family, std::size_t rows, std::size_t queries, std::size_t dims,
                                       std::uint64_t seed);

}  // namespace mpp::ranking
