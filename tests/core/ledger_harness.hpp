#pragma once
// What the two trials of a ledger share. L names the three types under test: L::Ledger, L::Account, L::Reservation.
#include <array>
#include <cstdint>
#include <string>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/ledger.hpp>
#include <mpp/core/memory/reservation.hpp>

namespace mpp {

struct RealLedger {
  using Ledger = mpp::Ledger;
  using Account = mpp::Account;
  using Reservation = mpp::Reservation;
};

namespace fuzz {

using Triple = std::array<std::uint64_t, 3>;  // plain integers per space

inline Footprint footprint(const Triple& t) { return {{Bytes{t[0]}, Bytes{t[1]}, Bytes{t[2]}}}; }
inline std::string show(const Footprint& f) {
  return text("(", f.per_space[0].count, ", ", f.per_space[1].count, ", ", f.per_space[2].count, ")");
}

}  // namespace fuzz

}  // namespace mpp
