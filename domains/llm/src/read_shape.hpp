#pragma once
#include <array>
#include <cstddef>

#include <mpp/llm/kv_tier.hpp>

namespace mpp::llm {

/// Sizes of one read: KV heads, queries of each, pages of each, channels.
struct ReadShape {
  std::size_t heads, group, pages, dim;
  /// Floats of PageStatistics of one KV head.
  [[nodiscard]] std::size_t statistics() const noexcept { return (5 * group + 3) * pages; }
  /// Those floats as arrays.
  [[nodiscard]] kernels::PageStatistics statistics_at(float* first) const noexcept {
    const std::size_t n = group * pages;
    float* const of_pages = first + 5 * n;
    return {first,         first + n, first + 2 * n,    first + 3 * n,
            first + 4 * n, of_pages,  of_pages + pages, of_pages + 2 * pages};
  }
};
/// @throws ShapeError, ValueError for a request that is none
[[nodiscard]] ReadShape check_request(const AttentionRequest& request);

/// Bytes of a read without planes of its own.
[[nodiscard]] Footprint base_bytes(const AttentionRequest& request, const ReadShape& shape);
/// Bytes of so many planes.
[[nodiscard]] Footprint plane_bytes(const AttentionRequest& request, const ReadShape& shape, std::size_t planes);

using Targets = std::array<kernels::PageLevel, 2>;  ///< of the keys and the values of a page
/// Planes that a page lacks for these levels. Exact numbers need none.
[[nodiscard]] std::size_t missing_planes(const kernels::KvPage& page, const Targets& target) noexcept;
/// The most that promotion adds to a page, exact numbers apart.
[[nodiscard]] Targets highest_targets(const kernels::KvPage& page, AttentionMetric metric) noexcept;
/// Planes of all pages together that are missing for these.
[[nodiscard]] std::size_t most_planes(const AttentionRequest& request, const ReadShape& shape);

/// Of an output, in double.
[[nodiscard]] double norm(std::span<const float> vector) noexcept;

}  // namespace mpp::llm
