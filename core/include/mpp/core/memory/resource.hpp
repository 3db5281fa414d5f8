#pragma once
#include <memory_resource>
#include <new>

#include <mpp/core/memory/reservation.hpp>

namespace mpp {

/// An allocation asked for more than its reservation still had unused: the tier's increment() was too small.
struct ReservationExceeded : std::bad_alloc {
  const char* what() const noexcept override { return "allocation exceeds the bytes its reservation has unused"; }
};

/// Allocates from `upstream` and marks the bytes as used in `reservation`, so that what is claimed and what is
/// allocated cannot drift apart. Counts the bytes asked for, without the allocator's own overhead.
/// Bytes it has allocated are its own: do not unuse or retire them by hand, or deallocating throws ValueError.
/// @throws ReservationExceeded (a std::bad_alloc) when the reservation has not enough unused bytes
class ReservationResource final : public std::pmr::memory_resource {
 public:
  explicit ReservationResource(Reservation& reservation, MemorySpace space,
                               std::pmr::memory_resource* upstream = std::pmr::new_delete_resource()) noexcept
      : reservation_(reservation), space_(space), upstream_(upstream) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  Reservation& reservation_;
  MemorySpace space_;
  std::pmr::memory_resource* upstream_;
};

}  // namespace mpp
