// An error and a probability are both small numbers, and swapping them must not go unnoticed.
// expect: (cannot convert|no viable conversion).*(Epsilon|Delta)
#include <mpp/core/control/target.hpp>

constexpr mpp::Epsilon epsilon{0.01};
constexpr mpp::Delta delta{0.05};
#ifdef MPP_BROKEN
constexpr mpp::QualityTarget target{delta, epsilon};
#else
constexpr mpp::QualityTarget target{epsilon, delta};
#endif
static_assert(target.epsilon.value == 0.01);
