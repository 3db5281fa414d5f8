#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <mpp/core/control/controller.hpp>
#include <mpp/kernels/certificate_sums.hpp>
#include <mpp/llm/attention_bound.hpp>
#include <mpp/llm/mirrored.hpp>
#include <mpp/llm/paged_kv_cache.hpp>

namespace mpp::llm {

/// What "error" means for a read, against the read of the exact cache. The worst head counts.
enum class AttentionMetric : std::uint8_t {
  attention_tv,      ///< total variation between the attention weights
  attention_output,  ///< distance of the outputs, relative to rms(v)
};
constexpr std::string_view name(AttentionMetric metric) noexcept {
  constexpr std::array<std::string_view, 2> names{"attention_tv", "attention_output"};
  return names[static_cast<std::size_t>(metric)];
}

/// One attention read: the newest query of every head of one layer over all tokens of a sequence. The cache must not be
/// changed before the session is over.
struct AttentionRequest {
  const PagedKvCache* cache = nullptr;
  SequenceId sequence;
  std::size_t layer = 0;
  /// [num_heads][head_dim], memory of the cache's device; head i reads KV head i / (num_heads / num_kv_heads).
  std::span<const float> queries;
  float scale = 0.0F;  ///< of the logits; 0: 1 / sqrt(head_dim)
  AttentionMetric metric = AttentionMetric::attention_tv;
  Epsilon epsilon{};  ///< that promotions aim at, usually the target's; 0 starts at the exact level
};

/// What a read had of a page beyond what the cache holds of it.
struct Promotion {
  PageName page;
  kernels::PageLevel keys{}, values{};
};

struct AttentionResult {
  std::vector<float> output;                ///< [num_heads][head_dim]
  std::vector<double> log_sum_exp;          ///< [num_heads]
  std::vector<AttentionCertificate> heads;  ///< [num_heads]
  std::vector<Promotion> promotions;        ///< for keep_promotions()
  std::size_t pages = 0;                    ///< that the read has, of all KV heads
  /// The largest error of a head that the certificates allow. NaN if one of them is NaN.
  [[nodiscard]] double error(AttentionMetric metric) const noexcept;
};

/// One page of one KV head one level up: what the planner chooses among.
struct PromotionStep {
  float gain = 0.0F;  ///< of the certificate per byte; a heuristic that orders steps and releases nothing
  std::uint32_t page = 0;
  bool values = false;  ///< or keys
  kernels::PageLevel level{};
};

/// What a read has brought in so far. All memory comes from the reservation.
class AttentionState {
 public:
  explicit AttentionState(std::pmr::memory_resource* memory);

 private:
  friend class KvTier;
  friend class PromotionPlan;
  bool started_ = false;
  bool planned_ = false;                               // targets_ say what the next level brings in
  std::size_t pages_ = 0, heads_ = 0, group_ = 0;      // pages of a KV head, KV heads
  Mirrored<kernels::KvPage> tables_;                   // [heads][pages]
  Mirrored<float> statistics_;                         // [heads][5 group + 3][pages]
  Mirrored<float> output_;                             // [heads][group][head_dim]
  Mirrored<double> log_sum_exp_;                       // [heads][group]
  std::array<DeviceBlock, 2> planes_;                  // that levels 2 and 3 have made
  Buffer<kernels::KvRead> reads_;                      // [heads]
  Buffer<kernels::CertificateSums> sums_;              // [heads][group]
  Buffer<AttentionCertificate> certificates_;          // [heads][group]
  Buffer<std::array<kernels::PageLevel, 2>> targets_;  // [heads][pages], keys and values
  Buffer<PromotionStep> steps_;                        // [4 pages]
  Buffer<float> predicted_;                            // [5 group + 3][pages], of one KV head
};

/// Ladder: K4V4, what the cache holds (K8V4 and kept promotions), single pages promoted, promoted again, exact.
///
/// After a read the certificate says what each page contributes. Single pages then go up one plane, or to their exact numbers,
/// in the order of contribution per byte: m r (e^c - 1) of the key plane, m min(nu, spread / root of mass) of the value plane;
/// as many as the certificate is predicted to need for epsilon. The second round corrects the prediction. Exact numbers are
/// read where they are, in host memory, and take no bytes.
///
/// Planes that a read makes are its own, in its reservation, and the cache does not change: reads may run side by side, and the
/// ledger is exact without a word between them. What proved useful is in AttentionResult::promotions; keep_promotions()
/// puts it into the cache, on the account of the cache, so that the next steps begin there.
class KvTier {
 public:
  using Request = AttentionRequest;
  using State = AttentionState;
  using Result = AttentionResult;
  static constexpr Level draft = 0, resident = 1, promoted = 2, promoted_again = 3, exact = 4;

  /// @param first  where requests start: draft reads are never certified in practice
  /// @throws ValueError if it is above `resident`
  explicit KvTier(Level first = resident);

  std::size_t levels() const { return exact + 1; }
  Level first_level(const Request& request) const { return request.epsilon.value > 0.0 ? first_ : exact; }
  /// @throws ShapeError, ValueError for a request that is none
  Footprint footprint(const Request& request, Level level) const;
  Footprint increment(const Request& request, const State& state, Level level) const;
  /// @throws ValueError at the exact level if exact numbers were dropped, and if nothing at all can be read; StalePage
  void materialise(const Request& request, State& state, Level level) const;
  Result execute(const Request& request, State& state, Level level) const;

 private:
  void start(const Request& request, State& state) const;
  void copy_tables(const Request& request, State& state) const;
  void promote(const Request& request, State& state, DeviceBlock& planes) const;
  void list_promotions(const Request& request, const State& state, Result& result) const;

  Level first_;
};

/// The certificate of a read as a bound: deterministic, for any keys and values that the cache was given.
/// Tested by: tests/domains/llm/kv_tier_test.cpp
class AttentionBound {
 public:
  ErrorBound bound(const AttentionRequest& request, const AttentionState&, const AttentionResult& result, Level,
                   Delta) const {
    return ErrorBound::deterministic(result.error(request.metric));
  }
};

using AttentionController = Controller<KvTier, AttentionBound>;
static_assert(Tier<KvTier> && StartingTier<KvTier> && EstimatorFor<AttentionBound, KvTier>);

/// Keeps what a read has promoted, for the reads to come. Stops at the first denial: what came before is kept.
/// @throws StalePage if a page has lost memory since
std::optional<Denial> keep_promotions(PagedKvCache& cache, SequenceId sequence, const AttentionResult& result);

}  // namespace mpp::llm
