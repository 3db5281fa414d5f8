// A lane owns a token, and adds up what is added to it in the order of a scalar loop: all instruction sets find the same bits.
// Products and sums are rounded apart, as on a GPU.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/spectral_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "src/cpu/spectral_norm.hpp"
#include "src/spectral_norm.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Double = hn::CappedTag<double, 8>;
using Square = double[page_tokens][page_tokens];

// gram = R R'. Only what is at or right of the diagonal is added up, in tiles of 4 rows by 2 registers.
void multiply(const double (*channels)[page_tokens], std::size_t head_dim, Square& gram) {
  const Double d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t rows = 4;
  for (std::size_t i = 0; i < page_tokens; i += rows)
    for (std::size_t j = i / (2 * lanes) * 2 * lanes; j < page_tokens; j += 2 * lanes) {
      hn::Vec<Double> sums[rows][2];
      for (auto& row : sums) row[0] = row[1] = hn::Zero(d);
      for (std::size_t k = 0; k < head_dim; ++k) {
        const auto first = hn::LoadU(d, channels[k] + j), second = hn::LoadU(d, channels[k] + j + lanes);
        for (std::size_t r = 0; r < rows; ++r) {
          const auto row = hn::Set(d, channels[k][i + r]);
          sums[r][0] = hn::Add(sums[r][0], hn::Mul(row, first));
          sums[r][1] = hn::Add(sums[r][1], hn::Mul(row, second));
        }
      }
      for (std::size_t r = 0; r < rows; ++r) {
        hn::Store(sums[r][0], d, gram[i + r] + j);
        hn::Store(sums[r][1], d, gram[i + r] + j + lanes);
      }
    }
  for (std::size_t i = 0; i < page_tokens; ++i)
    for (std::size_t j = 0; j < i; ++j) gram[i][j] = gram[j][i];
}

// y = gram x.
void multiply(const Square& gram, const double* x, double* y) {
  const Double d;
  const std::size_t lanes = hn::Lanes(d);
  constexpr std::size_t together = 4;
  for (std::size_t i = 0; i < page_tokens; i += together * lanes) {
    hn::Vec<Double> sums[together];
    for (auto& sum : sums) sum = hn::Zero(d);
    for (std::size_t k = 0; k < page_tokens; ++k) {
      const auto factor = hn::Set(d, x[k]);
      for (std::size_t n = 0; n < together; ++n)
        sums[n] = hn::Add(sums[n], hn::Mul(hn::Load(d, gram[k] + i + n * lanes), factor));
    }
    for (std::size_t n = 0; n < together; ++n) hn::Store(sums[n], d, y + i + n * lanes);
  }
}

// The largest eigenvalue, from below.
double guess(const Square& gram) {
  HWY_ALIGN double x[page_tokens];
  HWY_ALIGN double y[page_tokens];
  std::fill_n(x, page_tokens, 1.0);
  double eigenvalue = 0.0;
  for (int round = 0; round < spectral_rounds; ++round) {
    multiply(gram, x, y);
    double largest = 0.0, square = 0.0, before = 0.0;
    for (std::size_t i = 0; i < page_tokens; ++i) {
      before += x[i] * x[i], square += y[i] * y[i];
      largest = std::max(largest, std::fabs(y[i]));
    }
    if (largest == 0.0) break;
    eigenvalue = std::sqrt(square / before);
    for (std::size_t i = 0; i < page_tokens; ++i) x[i] = y[i] / largest;
  }
  return eigenvalue;
}

// Whether tau I - gram has a Cholesky factor. upper: scratch; row k holds column k of what is left to factor. What is left of
// the diagonal there has no meaning.
bool above_all_eigenvalues(const Square& gram, double tau, Square& upper) {
  const Double d;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN double factors[page_tokens];
  for (std::size_t j = 0; j < page_tokens; ++j) {
    for (std::size_t i = 0; i < page_tokens; i += lanes)
      hn::Store(hn::Sub(hn::Zero(d), hn::Load(d, gram[j] + i)), d, upper[j] + i);
    upper[j][j] = tau - gram[j][j];
  }
  for (std::size_t k = 0; k < page_tokens; ++k) {
    if (!(upper[k][k] > 0.0)) return false;
    const auto pivot = hn::Set(d, 1.0 / upper[k][k]);
    const std::size_t first = (k + 1) / lanes * lanes;
    for (std::size_t i = first; i < page_tokens; i += lanes)
      hn::Store(hn::Mul(hn::Load(d, upper[k] + i), pivot), d, factors + i);
    for (std::size_t j = k + 1; j < page_tokens; ++j) {
      const auto row = hn::Set(d, upper[k][j]);
      for (std::size_t i = j / lanes * lanes; i < page_tokens; i += lanes)
        hn::Store(hn::Sub(hn::Load(d, upper[j] + i), hn::Mul(hn::Load(d, factors + i), row)), d, upper[j] + i);
    }
  }
  return true;
}

double SpectralNorm(const double (*channels)[page_tokens], std::size_t head_dim) {
  HWY_ALIGN Square gram;
  HWY_ALIGN Square upper;
  multiply(channels, head_dim, gram);
  double trace = 0.0;
  for (std::size_t i = 0; i < page_tokens; ++i) trace += gram[i][i];
  if (trace == 0.0) return 0.0;
  const double least = std::max(guess(gram), trace / static_cast<double>(page_tokens));
  for (double tau = least * first_spectral_trial; tau > 0.0 && tau < trace; tau *= next_spectral_trial)
    if (above_all_eigenvalues(gram, tau, upper)) return std::sqrt(tau);
  return std::sqrt(trace);
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mpp::kernels::cpu {

HWY_EXPORT(SpectralNorm);

double spectral_norm(const double (*channels)[page_tokens], std::size_t head_dim) {
  return HWY_DYNAMIC_DISPATCH(SpectralNorm)(channels, head_dim);
}

}  // namespace mpp::kernels::cpu
#endif
