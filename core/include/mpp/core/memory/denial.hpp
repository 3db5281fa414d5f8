#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include <mpp/core/memory/footprint.hpp>

namespace mpp {

/// Why the ledger had no room: which account on the path was full, and who holds its bytes.
/// When several are full: the first space that is, and in it the account nearest to the one that asked.
/// The holders are read while other threads go on: exact when nothing runs concurrently, else a close picture.
struct Denial {
  struct Holder {
    std::string account;  ///< path, for example "root/ranking/request 7"
    Bytes committed;      ///< bytes of `space` reserved by this very account, its children excluded
  };
  static constexpr std::size_t max_holders = 8;

  MemorySpace space{};
  Bytes requested;
  Bytes available;              ///< room under the limiting account when it said no
  std::string account;          ///< path of the limiting account
  std::vector<Holder> holders;  ///< largest first, at most max_holders; no byte counted twice

  /// One sentence: "host: 512 B requested, 100 B available under root/ranking; held by ...".
  [[nodiscard]] std::string message() const;
};

}  // namespace mpp
