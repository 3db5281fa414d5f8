#pragma once
#include <cstddef>
#include <limits>

namespace mpp::test {

/// While it lives, counts what this thread takes from operator new and makes one allocation fail with std::bad_alloc.
/// Do not assert inside its scope: assertions allocate too.
class AllocationPlan {
 public:
  static constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

  /// @param fail_at  0 for the first allocation
  explicit AllocationPlan(std::size_t fail_at = never) noexcept;
  ~AllocationPlan();
  AllocationPlan(const AllocationPlan&) = delete;
  AllocationPlan& operator=(const AllocationPlan&) = delete;

  std::size_t allocations() const noexcept { return allocations_; }
  /// Allocations that have not been freed yet.
  std::ptrdiff_t live() const noexcept { return live_; }

  bool admit() noexcept { return allocations_++ != fail_at_; }
  void add_live(std::ptrdiff_t n) noexcept { live_ += n; }

 private:
  std::size_t fail_at_;
  std::size_t allocations_ = 0;
  std::ptrdiff_t live_ = 0;
};

}  // namespace mpp::test
