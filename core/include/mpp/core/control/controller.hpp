#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
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

  /// A session that has reserved nothing yet. The request must outlive it.
  [[nodiscard]] SessionType start(const Request& request, QualityTarget target = {}) const {
    return SessionType(tier_, estimator_, request, target, account_, number_.fetch_add(1), sink_);
  }

  /// Runs the request up to the first certified level. Verdict out_of_memory if the ledger denies a level on the way.
  /// @throws ValueError for a target outside its domain, and whatever the tier throws; every byte is returned.
  [[nodiscard]] Outcome<Result> serve(const Request& request, QualityTarget target = {}) const {
    SessionType session = start(request, target);
    return finish(session);
  }

  /// Serves many requests. A BatchTier materialises the first level of all that start there in one pass; from then
  /// on every request goes its own way. Outcomes are in the order of the requests and equal to those of serve().
  [[nodiscard]] std::vector<Outcome<Result>> serve(std::span<const Request> requests, QualityTarget target = {}) const {
    std::deque<SessionType> sessions;
    for (const Request& request : requests)
      sessions.emplace_back(tier_, estimator_, request, target, account_, number_.fetch_add(1), sink_);
    if constexpr (BatchTier<T>)
      for (Level level = 0; level < tier_.levels(); ++level) advance_together(sessions, level);
    std::vector<Outcome<Result>> outcomes;
    outcomes.reserve(requests.size());
    for (SessionType& session : sessions) outcomes.push_back(finish(session));
    return outcomes;
  }

 private:
  static Outcome<Result> finish(SessionType& session) {
    while (!session.done() && session.advance()) {
    }
    return session.take();
  }

  // One pass for all sessions whose next level is `level`. A request that the ledger denies is left for finish().
  void advance_together(std::deque<SessionType>& sessions, Level level) const
    requires BatchTier<T>
  {
    std::vector<SessionType*> admitted;
    std::vector<BatchItem<T>> items;
    for (SessionType& session : sessions) {
      if (session.done() || session.next_ != level || !session.reserve_next()) continue;
      admitted.push_back(&session);
      items.push_back({&session.request_, &session.state_});
    }
    if (items.empty()) return;
    const auto start = SessionType::Clock::now();
    tier_.materialise_batch(std::span<const BatchItem<T>>(items), level);
    for (SessionType* session : admitted) session->finish_level(start);
  }

  const T& tier_;
  const E& estimator_;
  Account account_;
  TraceSink* sink_;
  mutable std::atomic<std::uint64_t> number_{0};
};

}  // namespace mpp
