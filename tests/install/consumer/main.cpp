// A workload of a stranger: a mean over a prefix of the values, under the controller of the installed library.
#include <cstdio>
#include <memory_resource>
#include <numeric>
#include <span>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/core/memory/ledger.hpp>

// Level 0 holds a quarter of the values, level 1 all of them.
struct PrefixTier {
  using Request = std::span<const double>;  // in [0, 1]
  using State = std::pmr::vector<double>;
  using Result = double;

  static std::size_t count(const Request& request, mpp::Level level) {
    return level == 0 ? request.size() / 4 : request.size();
  }
  std::size_t levels() const { return 2; }
  mpp::Footprint footprint(const Request& request, mpp::Level level) const {
    // A vector that grows holds the old and the new values for a moment.
    return mpp::Footprint::host(
        mpp::bytes_of<double>(level == 0 ? count(request, 0) : count(request, 0) + request.size()));
  }
  mpp::Footprint increment(const Request& request, const State&, mpp::Level level) const {
    return mpp::Footprint::host(mpp::bytes_of<double>(count(request, level)));
  }
  void materialise(const Request& request, State& state, mpp::Level level) const {
    const Request prefix = request.first(count(request, level));
    state.reserve(prefix.size());
    state.assign(prefix.begin(), prefix.end());
  }
  Result execute(const Request&, const State& state, mpp::Level) const {
    return std::accumulate(state.begin(), state.end(), 0.0) / static_cast<double>(state.size());
  }
};

// Three quarters of values in [0, 1] are unseen: they move the mean by at most 3/4.
struct RangeEstimator {
  mpp::ErrorBound bound(const PrefixTier::Request&, const PrefixTier::State&, const double&, mpp::Level,
                        mpp::Delta) const {
    return mpp::ErrorBound::deterministic(0.75);
  }
};

int main() {
  const std::vector<double> values(64, 0.5);
  mpp::Ledger ledger(mpp::Footprint::host(mpp::Bytes{1024}));
  const PrefixTier tier;
  const RangeEstimator estimator;
  const mpp::Controller controller(tier, estimator, ledger.root());

  const PrefixTier::Request request(values);
  const auto coarse = controller.serve(request, {.epsilon = {0.8}});
  const auto exact = controller.serve(request);
  const bool right = coarse.certified() && coarse.level == 0 && exact.certified() && exact.level == 1 &&
                     exact.value() == 0.5 && coarse.peak.total() < exact.peak.total() &&
                     ledger.root().committed().empty();
  std::printf("coarse: level %zu, %llu bytes; exact: level %zu, %llu bytes; %s\n", coarse.level,
              static_cast<unsigned long long>(coarse.peak.total().count), exact.level,
              static_cast<unsigned long long>(exact.peak.total().count), right ? "as expected" : "WRONG");
  return right ? 0 : 1;
}
