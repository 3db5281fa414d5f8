// Bytes have one owner: a copy would give them back twice.
// expect: use of deleted function|call to (implicitly-)?deleted
#include <utility>

#include <mpp/core/memory/reservation.hpp>

mpp::Reservation hand_over(mpp::Reservation& reservation) {
#ifdef MPP_BROKEN
  return reservation;
#else
  return std::move(reservation);
#endif
}
