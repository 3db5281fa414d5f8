#pragma once
#include <string>
#include <vector>

#include <mpp/core/memory/footprint.hpp>

namespace mpp {

/// Why the ledger had no room: which account on the path was full, and who holds its bytes.
struct Denial {
  struct Holder {
    std::string account;  ///< path, for example "root/ranking/request 7"
    Bytes committed;      ///< bytes of `space` reserved under it, its children included
  };

  MemorySpace space{};
  Bytes requested;
  Bytes available;                ///< room under the limiting account when it said no
  std::string account;            ///< path of the limiting account
  std::vector<Holder> holders;    ///< largest first, at most 8

  /// One sentence: "host: 512 B requested, 100 B available under root/ranking; held by ...".
  [[nodiscard]] std::string message() const;
};

}  // namespace mpp
