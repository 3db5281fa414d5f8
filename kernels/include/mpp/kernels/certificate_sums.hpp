#pragma once
#include <cstddef>
#include <span>

#include <mpp/kernels/attend_paged.hpp>

namespace mpp::kernels {

/// What the closed forms of the certificate need of the pages of one read of one head (docs/llm_certificate.md). m, c, E,
/// nu are a page's share of the softmax p~ of the logits as computed over the tokens read, radius, share of the energy
/// sum p~|v|^2, value residual; h = e^(c/2) - 1. r is c' / c: no page's mean of d^2 under p~ is above c'^2, which is
/// spread^2 / mass, or c^2. Rounded up, unless the comment says otherwise, with the rounding of the read inside; +infinity
/// where nothing is known.
struct CertificateSums {
  double excess = 0.0;              ///< sum m r (e^c - 1)
  double variance = 0.0;            ///< sum m r^2 h^2
  double affinity = 0.0;            ///< rounded down: sum m max(e^(-c/2), 1 - c'/2)
  double shrink = 0.0;              ///< rounded down: sum m max(e^-c, 1 - c')
  double lift = 0.0;                ///< sum m (cosh(c/2) - 1)
  double lift_variance = 0.0;       ///< variance of cosh(c/2) under m
  double cosh_variance = 0.0;       ///< variance of cosh(c) under m
  double sinh = 0.0;                ///< sum m sinh(c)
  double sinh_below = 0.0;          ///< rounded down: sum m sinh(c)
  double spread_lift = 0.0;         ///< sum m r^2 (cosh(c/2) - 1)
  double spread_lift_square = 0.0;  ///< sum m r^2 (cosh(c/2) - 1)^2
  double spread_cosh_square = 0.0;  ///< sum m r^2 (cosh(c) - 1)^2
  double spread_sinh = 0.0;         ///< sum m r sinh(c)
  double radius = 0.0;              ///< the largest with m > 0
  double excess_square = 0.0;       ///< sum m r^2 (e^c - 1)^2
  double paged_excess = 0.0;        ///< sum r (e^c - 1) sqrt(m E)
  double value_residual = 0.0;      ///< sum m min(nu, value spread / root of mass)
  double energy = 0.0;              ///< sum E
  double energy_below = 0.0;        ///< rounded down: sum E
  double omitted = 0.0;             ///< weight of omitted pages at most, relative to the weights read
  double omitted_reach = 0.0;       ///< largest value norm of an omitted page with weight
  double output_rounding = 0.0;     ///< |output as computed - sum p~ v~| at most
};

/// Reduces the statistics that attend_paged() wrote to one CertificateSums per head, [reads][group], without a copy of them
/// leaving the device: the certificate's cost per page is two exponentials.
///
/// Statistics that cannot be of one read (NaN, or masses that do not add up to e^log_sum_exp) give sums that know nothing.
///
/// @param reads  host array, with statistics
/// @param sums   [reads * group], host memory
/// @throws ShapeError
/// Tested by: tests/kernels/certificate_sums_test.cpp
void certificate_sums(const Context& context, const AttendShape& shape, std::span<const KvRead> reads,
                      std::span<CertificateSums> sums);

}  // namespace mpp::kernels
