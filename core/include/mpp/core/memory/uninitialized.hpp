#pragma once
#include <memory_resource>
#include <utility>
#include <vector>

namespace mpp {

/// A polymorphic allocator whose default construction leaves trivial values uninitialised, so that growing a buffer that
/// a kernel fills at once does not write it twice.
template <class T>
class UninitializedAllocator : public std::pmr::polymorphic_allocator<T> {
 public:
  using Base = std::pmr::polymorphic_allocator<T>;
  UninitializedAllocator() noexcept = default;
  UninitializedAllocator(std::pmr::memory_resource* resource) noexcept : Base(resource) {}  // as polymorphic_allocator
  template <class U>
  UninitializedAllocator(const UninitializedAllocator<U>& other) noexcept : Base(other.resource()) {}

  template <class U>
  struct rebind {
    using other = UninitializedAllocator<U>;
  };
  UninitializedAllocator select_on_container_copy_construction() const { return {}; }

  template <class U>
  void construct(U* p) noexcept(noexcept(::new(static_cast<void*>(p)) U)) {
    ::new (static_cast<void*>(p)) U;
  }
  template <class U, class... Args>
  void construct(U* p, Args&&... args) {
    Base::construct(p, std::forward<Args>(args)...);
  }
};

/// A vector in memory of a reservation whose resize() does not initialise: write every element before reading it.
template <class T>
using Buffer = std::vector<T, UninitializedAllocator<T>>;

}  // namespace mpp
