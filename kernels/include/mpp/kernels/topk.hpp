#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include <mpp/kernels/context.hpp>

namespace mpp::kernels {

/// An item and its exact score.
struct Scored {
  double score{};
  std::uint64_t id{};
  friend bool operator==(const Scored&, const Scored&) = default;
};

/// Order of every ranking in MPP: larger score first, equal scores by smaller id. Scores are never NaN.
constexpr bool ranks_before(const Scored& a, const Scored& b) noexcept {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// Moves the k best of `items`, in order, to the front. Returns min(k, items.size()). Deterministic.
std::size_t topk(const Context& context, std::span<Scored> items, std::size_t k);

}  // namespace mpp::kernels
