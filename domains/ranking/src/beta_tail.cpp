#include <algorithm>
#include <cmath>

#include <boost/math/special_functions/beta.hpp>

#include "src/beta_tail.hpp"

namespace mpp::ranking {

double sphere_coordinate_tail(std::size_t dims, double delta) {
  if (dims < 3) return 1.0;
  const double a = 0.5;
  const double b = 0.5 * static_cast<double>(dims - 2);
  double square = std::max(boost::math::ibetac_inv(a, b, delta), 0x1p-1000);
  // The inverse is a numerical root: step outward, ever farther, until the forward function, with a margin, agrees.
  for (double step = 1e-9; square < 1.0 && boost::math::ibetac(a, b, square) * (1.0 + 1e-9) > delta; step *= 2.0)
    square *= 1.0 + step;
  return std::min(1.0, std::sqrt(square) * (1.0 + 0x1p-30));
}

}  // namespace mpp::ranking
