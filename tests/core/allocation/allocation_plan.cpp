// Replaces the global operator new of the test binary. All forms are replaced together: a sanitizer checks that each
// pointer is freed by the partner of what allocated it.
#include "core/allocation/allocation_plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace mpp::test {
namespace {
thread_local AllocationPlan* plan = nullptr;

void* take(std::size_t bytes, std::size_t alignment) noexcept {
  if (plan != nullptr && !plan->admit()) return nullptr;
  alignment = std::max(alignment, sizeof(void*));
  void* p = nullptr;
  if (posix_memalign(&p, alignment, std::max<std::size_t>(bytes, 1)) != 0) return nullptr;
  if (plan != nullptr) plan->add_live(1);
  return p;
}
void* take_or_throw(std::size_t bytes, std::size_t alignment) {
  if (void* p = take(bytes, alignment)) return p;
  throw std::bad_alloc();
}
void give(void* p) noexcept {
  if (p != nullptr && plan != nullptr) plan->add_live(-1);
  std::free(p);
}
constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
}  // namespace

AllocationPlan::AllocationPlan(std::size_t fail_at) noexcept : fail_at_(fail_at) { plan = this; }
AllocationPlan::~AllocationPlan() { plan = nullptr; }

}  // namespace mpp::test

using mpp::test::give, mpp::test::take, mpp::test::take_or_throw, mpp::test::usual;
using std::align_val_t, std::nothrow_t, std::size_t;

void* operator new(size_t n) { return take_or_throw(n, usual); }
void* operator new[](size_t n) { return take_or_throw(n, usual); }
void* operator new(size_t n, align_val_t a) { return take_or_throw(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, align_val_t a) { return take_or_throw(n, static_cast<size_t>(a)); }
void* operator new(size_t n, const nothrow_t&) noexcept { return take(n, usual); }
void* operator new[](size_t n, const nothrow_t&) noexcept { return take(n, usual); }
void* operator new(size_t n, align_val_t a, const nothrow_t&) noexcept { return take(n, static_cast<size_t>(a)); }
void* operator new[](size_t n, align_val_t a, const nothrow_t&) noexcept { return take(n, static_cast<size_t>(a)); }
void operator delete(void* p) noexcept { give(p); }
void operator delete[](void* p) noexcept { give(p); }
void operator delete(void* p, size_t) noexcept { give(p); }
void operator delete[](void* p, size_t) noexcept { give(p); }
void operator delete(void* p, align_val_t) noexcept { give(p); }
void operator delete[](void* p, align_val_t) noexcept { give(p); }
void operator delete(void* p, size_t, align_val_t) noexcept { give(p); }
void operator delete[](void* p, size_t, align_val_t) noexcept { give(p); }
void operator delete(void* p, const nothrow_t&) noexcept { give(p); }
void operator delete[](void* p, const nothrow_t&) noexcept { give(p); }
void operator delete(void* p, align_val_t, const nothrow_t&) noexcept { give(p); }
void operator delete[](void* p, align_val_t, const nothrow_t&) noexcept { give(p); }
