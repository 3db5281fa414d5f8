#pragma once
#include <cstddef>
#include <limits>
#include <new>

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

/// Runs `action` with the first allocation failing, then the second, up to the first run in which none was left to fail.
/// After each, unharmed(allocations still live) says whether everything was given back.
/// @return the allocations of an undisturbed run, or 0 if something was harmed
template <class Action, class Unharmed>
std::size_t survives(const Action& action, const Unharmed& unharmed) {
  for (std::size_t fail_at = 0;; ++fail_at) {
    bool failed = false;
    std::ptrdiff_t live = 0;
    {
      AllocationPlan plan(fail_at);
      try {
        action();
      } catch (const std::bad_alloc&) {
        failed = true;
      }
      live = plan.live();
    }
    if (!unharmed(live)) return 0;
    if (!failed) return fail_at;
  }
}

}  // namespace mpp::test
