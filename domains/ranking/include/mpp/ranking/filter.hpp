#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <mpp/ranking/pool.hpp>

namespace mpp::ranking {

/// The subset of a pool's rows that a request may return, as one bit per slot. Made once, used by many requests;
/// valid for the pool it was made for until rows are added: requests refuse it then. Rows removed later stay out.
class Filter {
 public:
  /// Only these ids. @throws ValueError if an id names no live row
  Filter(const Pool& pool, std::span<const std::uint64_t> ids);

  [[nodiscard]] std::span<const std::uint64_t> bits() const noexcept { return bits_; }
  /// False when rows were added since, or for another pool. Another one with as many slots and ids cannot be told apart.
  [[nodiscard]] bool fits(const Pool& pool) const noexcept {
    return bits_.size() == pool.columns().blocks() && next_id_ == pool.columns().next_id;
  }

 private:
  std::vector<std::uint64_t> bits_;
  std::uint64_t next_id_;  // of the pool, which grows with every row that is added
};

}  // namespace mpp::ranking
