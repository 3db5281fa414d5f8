#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <mpp/ranking/pool.hpp>

namespace mpp::ranking {

/// The subset of a pool's rows that a request may return, as one bit per slot. Made once, used by many requests;
/// valid for the pool it was made for until rows are added. Rows removed later stay out.
class Filter {
 public:
  /// Only these ids. @throws ValueError if an id names no live row
  Filter(const Pool& pool, std::span<const std::uint64_t> ids);

  [[nodiscard]] std::span<const std::uint64_t> bits() const noexcept { return bits_; }

 private:
  std::vector<std::uint64_t> bits_;
};

}  // namespace mpp::ranking
