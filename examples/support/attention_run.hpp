#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/control/outcome.hpp>
#include <mpp/llm/kv_tier.hpp>

#include "support/attention_scene.hpp"
#include "support/report.hpp"

namespace mpp::examples {

/// One read as it was served, and how far it really was from the exact one.
struct ServedRead {
  Focus focus{};
  Verdict verdict{};
  Level level{};
  double bytes{};          ///< most that the read held beside the cache
  double seconds{};        ///< median of the repetitions
  double exact_seconds{};  ///< the same of exact reads, in turns with them
  double certified{};      ///< bound that the answer was released with
  double realised{};       ///< in double precision, the worst head
  std::size_t promoted{};  ///< pages that the read brought in
};

/// All reads under one target, in their order: what they promote stays in the cache for those that follow.
struct AttentionSeries {
  std::string label;  ///< as written on the command line
  double epsilon{};
  std::vector<ServedRead> reads{};
  double cache_before{}, cache_after{};  ///< bytes that attention reads: metadata, planes, open and promoted pages
  std::vector<std::vector<std::size_t>> map{};  ///< [num_kv_heads][pages], indices of page_levels: the most of any read
};

/// Names of the rungs of llm::KvTier, and of what a page was read at.
inline constexpr std::string_view attention_levels[] = {"K4V4", "resident", "promoted", "promoted again", "exact"};
inline constexpr std::string_view page_levels[] = {"K8V4", "one more plane", "K12V8", "exact keys or values", "exact"};

/// What a run of llm_attention measured.
struct AttentionRun {
  std::size_t kv_len{}, num_kv_heads{}, group{}, head_dim{};
  llm::AttentionMetric metric{};
  double exact_bytes{};  ///< of keys and values in float16
  double cap{},
      peak{};  ///< bytes that cache and reads may hold together beside exact pages, and the most of any target
  std::vector<AttentionSeries> series{};
};

/// One row per target.
[[nodiscard]] Table summary(const AttentionRun& run);
/// One sentence per certified read that is further off than its bound: what must never be seen.
[[nodiscard]] std::vector<std::string> violations(const AttentionRun& run);
[[nodiscard]] nlohmann::json to_json(const AttentionRun& run);
[[nodiscard]] Report to_report(const AttentionRun& run);

}  // namespace mpp::examples
