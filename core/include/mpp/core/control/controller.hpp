#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <mpp/core/control/session.hpp>

namespace mpp {

/// The loop that every workload shares: run the cheapest level, bound its error, release it or take the next one.
///
/// Borrows the tier and the estimator (they must outlive it) and opens one reservation per request under `account`.
/// start() and serve() may be called from many threads if the tier and the estimator are const-thread-safe.
///
///   Controller controller(tier, estimator, ledger.root());
///   auto outcome = controller.serve(request, {.epsilon = {0.01}});
///   if (outcome.certified()) use(outcome.value());
template <Tier T, EstimatorFor<T> E>
class Controller {
 public:
  using Request = typename T::Request;
  using Result = typename T::Result;
  using SessionType = Session<T, E>;

  Controller(const T& tier, const E& estimator, Account account, TraceSink* sink = nullptr)
      : tier_(tier), estimator_(estimator), account_(account), sink_(sink) {}
  Controller(const T&&, const E&, Account, TraceSink* = nullptr) = delete;  // borrowed: a temporary would dangle
  Controller(const T&, const E&&, Account, TraceSink* = nullptr) = delete;
  Controller(const T&&, const E&&, Account, TraceSink* = nullptr) = delete;

  /// A session that has reserved nothing yet. The request must outlive it.
  /// @throws ValueError for a target outside its domain
  [[nodiscard]] SessionType start(const Request& request, QualityTarget target = {}) const {
    return SessionType(tier_, estimator_, request, target, account_, next_number(), sink_);
  }
  SessionType start(const Request&&, QualityTarget = {}) const = delete;

  /// Runs the request up to the first certified level. Verdict out_of_memory if the ledger denies a level on the way.
  /// @throws ValueError for a target outside its domain, and whatever the tier throws; every byte is returned.
  [[nodiscard]] Outcome<Result> serve(const Request& request, QualityTarget target = {}) const {
    SessionType session = start(request, target);
    while (!session.done() && session.advance()) {
    }
    return session.take();
  }

  /// Serves many requests, in their order. The outcomes equal those of serve(), request by request; a BatchTier
  /// materialises each level of all requests that reach it in one pass. That needs the memory of all of them at once:
  /// a request that the ledger denies gives its bytes back and is served alone, after the others, under a new number.
  [[nodiscard]] std::vector<Outcome<Result>> serve(std::span<const Request> requests, QualityTarget target = {}) const {
    std::vector<std::optional<Outcome<Result>>> together(requests.size());
    if constexpr (BatchTier<T>) together = serve_together(requests, target);
    std::vector<Outcome<Result>> outcomes;
    outcomes.reserve(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i)
      outcomes.push_back(together[i] ? *std::move(together[i]) : serve(requests[i], target));
    return outcomes;
  }

 private:
  std::uint64_t next_number() const noexcept { return number_.fetch_add(1, std::memory_order_relaxed); }

  // Climbs with all requests, level by level. An outcome is missing where the ledger denied a level.
  std::vector<std::optional<Outcome<Result>>> serve_together(std::span<const Request> requests,
                                                             QualityTarget target) const
    requires BatchTier<T>
  {
    std::vector<std::optional<Outcome<Result>>> outcomes(requests.size());
    std::deque<std::optional<SessionType>> sessions;  // a session cannot move
    for (const Request& request : requests)
      sessions.emplace_back(std::in_place, tier_, estimator_, request, target, account_, next_number(), sink_);
    for (Level level = 0; level < tier_.levels(); ++level) {
      std::vector<SessionType*> admitted;
      std::vector<BatchItem<T>> items;
      for (auto& session : sessions) {
        if (!session || session->next_level() != level) continue;
        if (!session->reserve_next()) {
          session.reset();
          continue;
        }
        admitted.push_back(&*session);
        items.push_back({&session->request_, &session->state_});
      }
      if (items.empty()) continue;
      const auto start = SessionType::Clock::now();
      tier_.materialise_batch(std::span<const BatchItem<T>>(items), level);
      const auto materialise_time = (SessionType::Clock::now() - start) / items.size();  // each its part
      for (SessionType* session : admitted) session->finish_level(materialise_time);
      for (std::size_t i = 0; i < sessions.size(); ++i) {
        if (!sessions[i] || !sessions[i]->done()) continue;
        outcomes[i] = sessions[i]->take();
        sessions[i].reset();  // its bytes make room for the levels to come
      }
    }
    return outcomes;
  }

  const T& tier_;
  const E& estimator_;
  Account account_;
  TraceSink* sink_;
  mutable std::atomic<std::uint64_t> number_{0};
};

}  // namespace mpp
