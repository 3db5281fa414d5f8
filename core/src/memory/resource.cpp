#include <mpp/core/memory/resource.hpp>

namespace mpp {

// Ask, allocate, then account: if upstream throws, the reservation has not changed. Nothing can come between the
// question and use(), because a reservation has one owner at a time.
void* ReservationResource::do_allocate(std::size_t bytes, std::size_t alignment) {
  const Footprint footprint = Footprint::of(space_, Bytes{bytes});
  if (!footprint.within(reservation_.unused())) throw ReservationExceeded();
  void* const p = upstream_->allocate(bytes, alignment);
  reservation_.use(footprint);
  return p;
}

void ReservationResource::do_deallocate(void* p, std::size_t bytes, std::size_t alignment) {
  upstream_->deallocate(p, bytes, alignment);
  reservation_.unuse(Footprint::of(space_, Bytes{bytes}));
}

}  // namespace mpp
