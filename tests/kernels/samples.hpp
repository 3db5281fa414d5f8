#pragma once
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <mpp/kernels/quantize_nested.hpp>
#include <mpp/kernels/query_code.hpp>

#include "kernels/kernel_test.hpp"

namespace mpp::kernels {

/// Independent Gaussian values.
template <class T = float>
std::vector<T> gaussian(std::size_t n, unsigned seed, double scale = 1.0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, scale);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(normal(random));
  return values;
}

template <class T>
std::vector<T> random_integers(std::size_t n, int lowest, int highest, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int> uniform(lowest, highest);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(uniform(random));
  return values;
}

/// The nested code of a batch of rows, on the host.
struct HostCode {
  std::array<std::vector<std::uint8_t>, planes> codes;
  std::array<std::vector<PlaneFactors>, planes> factors;
};

/// Runs quantize_nested on the device of `context`.
inline HostCode quantize(const Context& context, const std::vector<float>& rows, std::size_t dims,
                         int unit_exponent = 0, float clip = 1.0F) {
  const std::size_t n = rows.size() / dims;
  const DeviceArray<float> device_rows(context, std::span<const float>(rows));
  std::array<DeviceArray<std::uint8_t>, planes> codes;
  std::array<DeviceArray<PlaneFactors>, planes> factors;
  NestedCode out;
  for (std::size_t p = 0; p < planes; ++p) {
    codes[p] = DeviceArray<std::uint8_t>(context, n * plane_row_bytes(p, dims));
    factors[p] = DeviceArray<PlaneFactors>(context, n);
    out.codes[p] = codes[p].span();
    out.factors[p] = factors[p].span();
  }
  quantize_nested(context, device_rows.span(), dims, unit_exponent, clip, out);
  HostCode host;
  for (std::size_t p = 0; p < planes; ++p) {
    host.codes[p] = codes[p].to_host();
    host.factors[p] = factors[p].to_host();
  }
  return host;
}

/// A random integer query on coarse_grid: every group of 4 sums to at most 127, all to at most 10922.
inline std::vector<std::int16_t> coarse_code(std::size_t dims, unsigned seed) {
  const auto cap = static_cast<std::size_t>(coarse_grid.total_sum);
  const int highest = static_cast<int>(std::clamp<std::size_t>(cap / dims, 1, 31));
  auto code = random_integers<std::int16_t>(dims, -highest, highest, seed);
  if (dims > cap)  // one of each group of 4, in turn
    for (std::size_t j = 0; j < dims; ++j) code[j] = static_cast<std::int16_t>(j % 4 == j / 4 % 4 ? code[j] : 0);
  return code;
}

}  // namespace mpp::kernels
