#include <mpp/ranking/synthetic.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include <mpp/core/error.hpp>

#include "normal.hpp"

namespace mpp::ranking {
namespace {

constexpr std::pair<Family, std::string_view> names[] = {
    {Family::clustered, "clustered"}, {Family::power_law, "power_law"}, {Family::gaussian, "gaussian"}};

// Every kind of vector draws from a stream of its own, every vector from a sequence of its own within it.
enum class Stream : std::uint64_t { row, query, centre, cluster, origin, signs };

std::uint64_t sequence(std::uint64_t seed, Stream stream, std::size_t index) {
  return random_word(random_word(seed, static_cast<std::uint64_t>(stream)), index);
}

// A random orthogonal map in O(d log d): rounds of random signs and a Walsh-Hadamard transform. A power of two is
// needed for the transform, so it runs over the first and then over the last bit_floor(d) coordinates, which overlap
// by a power of two's remainder. One round maps an axis to a vector of equal magnitudes; from the second on, the
// coefficients look Gaussian, as those of a Haar rotation do.
class Rotation {
 public:
  Rotation(std::size_t dims, std::uint64_t seed) : block_(std::bit_floor(dims)), signs_(2 * rounds * dims) {
    const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(block_)));
    for (std::size_t i = 0; i < signs_.size(); ++i) {
      const bool inside = i / dims % 2 == 0 ? i % dims < block_ : i % dims >= dims - block_;
      const float magnitude = inside ? scale : 1.0f;
      signs_[i] = (sequence(seed, Stream::signs, i) & 1) != 0 ? magnitude : -magnitude;
    }
  }

  void apply(std::span<float> vector) const {
    const float* sign = signs_.data();
    for (std::size_t round = 0; round < rounds; ++round) {
      for (const std::span<float> block : {vector.first(block_), vector.last(block_)}) {
        for (float& value : vector) value *= *sign++;
        hadamard(block);
      }
    }
  }

 private:
  static constexpr std::size_t rounds = 2;

  static void hadamard(std::span<float> block) {
    for (std::size_t half = 1; half < block.size(); half *= 2) {
      for (std::size_t start = 0; start < block.size(); start += 2 * half) {
        float* low = block.data() + start;
        float* high = low + half;
        for (std::size_t i = 0; i < half; ++i) {
          const float sum = low[i] + high[i];
          high[i] = low[i] - high[i];
          low[i] = sum;
        }
      }
    }
  }

  std::size_t block_;
  std::vector<float> signs_;  // [2 * rounds, dims], the scale of the transform that follows included
};

// Calls draw(index, vector) for each vector of a set.
template <class Draw>
std::vector<float> matrix(std::size_t count, std::size_t dims, const Draw& draw) {
  std::vector<float> values(count * dims);
  for (std::size_t i = 0; i < count; ++i) draw(i, std::span{values}.subspan(i * dims, dims));
  return values;
}

Synthetic clustered(std::size_t rows, std::size_t queries, std::size_t dims, std::uint64_t seed) {
  const auto clusters =
      std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(rows)))));
  std::vector<double> cumulative(clusters);
  double total = 0;
  for (std::size_t j = 0; j < clusters; ++j) {
    total += 1 / std::sqrt(static_cast<double>(j + 1));
    cumulative[j] = total;
  }
  const std::vector<float> centres = matrix(clusters, dims, [&](std::size_t j, std::span<float> centre) {
    fill_normal(sequence(seed, Stream::centre, j), centre);
  });
  const auto member = [&](std::size_t i, std::span<float> row) {
    const double pick = uniform(sequence(seed, Stream::cluster, i)) * total;
    const auto found = std::upper_bound(cumulative.begin(), cumulative.end() - 1, pick);
    const float* centre = centres.data() + static_cast<std::size_t>(found - cumulative.begin()) * dims;
    fill_normal(sequence(seed, Stream::row, i), row);
    for (std::size_t d = 0; d < dims; ++d) row[d] = centre[d] + 0.6f * row[d];
  };
  std::vector<float> origin(dims);
  const auto near_a_member = [&](std::size_t i, std::span<float> query) {
    // Rows are drawn by index, so an empty catalogue still has a row 0 to be near to.
    member(sequence(seed, Stream::origin, i) % std::max<std::size_t>(1, rows), origin);
    fill_normal(sequence(seed, Stream::query, i), query);
    for (std::size_t d = 0; d < dims; ++d) query[d] = origin[d] + 0.3f * query[d];
  };
  return {dims, matrix(rows, dims, member), matrix(queries, dims, near_a_member)};
}

Synthetic power_law(std::size_t rows, std::size_t queries, std::size_t dims, std::uint64_t seed) {
  const Rotation rotation(dims, seed);
  std::vector<float> deviation(dims);
  for (std::size_t j = 0; j < dims; ++j) deviation[j] = static_cast<float>(1 / std::sqrt(static_cast<double>(j + 1)));
  const auto from = [&](Stream stream) {
    return [&, stream](std::size_t i, std::span<float> vector) {
      fill_normal(sequence(seed, stream, i), vector);
      for (std::size_t j = 0; j < dims; ++j) vector[j] *= deviation[j];
      rotation.apply(vector);
    };
  };
  return {dims, matrix(rows, dims, from(Stream::row)), matrix(queries, dims, from(Stream::query))};
}

Synthetic gaussian(std::size_t rows, std::size_t queries, std::size_t dims, std::uint64_t seed) {
  const auto from = [&](Stream stream) {
    return [&, stream](std::size_t i, std::span<float> vector) { fill_normal(sequence(seed, stream, i), vector); };
  };
  return {dims, matrix(rows, dims, from(Stream::row)), matrix(queries, dims, from(Stream::query))};
}

}  // namespace

std::string_view name(Family family) {
  for (const auto& [known, text] : names) {
    if (known == family) return text;
  }
  throw ValueError(text("name: family has the unknown value ", static_cast<int>(family)));
}

Family family_named(std::string_view name) {
  for (const auto& [family, known] : names) {
    if (known == name) return family;
  }
  throw ValueError(text("family_named: name is \"", name, "\", expected clustered, power_law or gaussian"));
}

Synthetic make_synthetic(Family family, std::size_t rows, std::size_t queries, std::size_t dims, std::uint64_t seed) {
  expects<ShapeError>(dims > 0, "make_synthetic: dims is 0, expected at least 1");
  const std::size_t most = std::numeric_limits<std::ptrdiff_t>::max() / sizeof(float) / dims;
  expects<ShapeError>(rows <= most && queries <= most, "make_synthetic: rows is ", rows, " and queries is ", queries,
                      ", expected at most ", most, " each with dims ", dims);
  switch (family) {
    case Family::clustered:
      return clustered(rows, queries, dims, seed);
    case Family::power_law:
      return power_law(rows, queries, dims, seed);
    case Family::gaussian:
      return gaussian(rows, queries, dims, seed);
  }
  throw ValueError(text("make_synthetic: family has the unknown value ", static_cast<int>(family)));
}

}  // namespace mpp::ranking
