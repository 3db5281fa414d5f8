// The mean of a million floats, from one byte each if that is close enough, from all four if it is not.
//
// A workload is two types: a Tier says what is kept at each precision level, an Estimator bounds the error of a result
// against the exact level. The controller does the rest.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory_resource>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include <mpp/core/control/controller.hpp>

struct MeanTier {
  using Request = std::span<const float>;  // each in [-1, 1]
  struct State {
    explicit State(std::pmr::memory_resource* reserved) : codes(reserved), exact(reserved) {}
    std::pmr::vector<std::int8_t> codes;  // level 0: round(127 x)
    std::pmr::vector<float> exact;        // level 1
  };
  using Result = double;

  std::size_t levels() const { return 2; }
  mpp::Footprint footprint(const Request& x, mpp::Level level) const {
    return mpp::Footprint::host({x.size() * (level == 0 ? 1 : 5)});
  }
  mpp::Footprint increment(const Request& x, const State&, mpp::Level level) const {
    return mpp::Footprint::host({x.size() * (level == 0 ? 1 : 4)});
  }
  void materialise(const Request& x, State& state, mpp::Level level) const {
    if (level == 1) return state.exact.assign(x.begin(), x.end());
    state.codes.resize(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) state.codes[i] = static_cast<std::int8_t>(std::lround(127.0 * x[i]));
  }
  double execute(const Request& x, const State& state, mpp::Level level) const {
    const double sum = level == 0 ? std::accumulate(state.codes.begin(), state.codes.end(), 0.0) / 127.0
                                  : std::accumulate(state.exact.begin(), state.exact.end(), 0.0);
    return sum / static_cast<double>(x.size());
  }
};

// A code is at most half a step of 1/127 off. The rest is rounding: a mean of n values up to 1 is off by less than
// n 2^-52, and sums of integers are exact.
struct HalfAStep {
  mpp::ErrorBound bound(std::span<const float> x, const MeanTier::State&, double, mpp::Level, mpp::Delta) const {
    return mpp::ErrorBound::deterministic(0.5 / 127.0 + 0x1p-52 * static_cast<double>(x.size() + 8));
  }
};

int main() {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(1'000'000);
  for (float& value : values) value = uniform(random);

  mpp::Ledger ledger(mpp::Footprint::host({8'000'000}));
  const MeanTier tier;
  const HalfAStep estimator;
  const mpp::Controller controller(tier, estimator, ledger.root());

  const std::span<const float> request(values);
  const double exact = controller.serve(request).value();  // the default target asks for the exact level
  std::printf("%9s %6s %16s %12s %10s\n", "epsilon", "level", "certified error", "true error", "bytes");
  for (const double epsilon : {0.1, 0.01, 0.001, 0.0}) {
    const auto outcome = controller.serve(request, {.epsilon = {epsilon}});
    const double error = std::abs(outcome.value() - exact);
    const auto bytes = static_cast<unsigned long long>(outcome.peak.total().count);
    std::printf("%9g %6zu %16.2g %12.2g %10llu\n", epsilon, outcome.level, outcome.bound.value(), error, bytes);
    if (error > outcome.bound.value()) return 1;  // does not happen
  }
}
