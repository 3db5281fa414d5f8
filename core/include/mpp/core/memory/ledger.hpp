#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/memory/denial.hpp>
#include <mpp/core/memory/footprint.hpp>

namespace mpp {

class Reservation;

namespace detail {
struct AccountNode;
}

/// Handle of one account of a ledger: a name, a cap per memory space, and a place in the tree. Cheap to copy;
/// valid as long as the ledger lives.
class Account {
 public:
  [[nodiscard]] std::string path() const;
  [[nodiscard]] Footprint limit() const noexcept;
  [[nodiscard]] Footprint committed() const noexcept;  ///< reserved here and below, whether used or not
  [[nodiscard]] Footprint used() const noexcept;       ///< of committed: holding data
  [[nodiscard]] Footprint retiring() const noexcept;   ///< of committed: given up, but still fenced
  /// Most bytes that granted reservations held together: never too low once their calls have returned, and too high
  /// only by requests that were in flight at that moment and lost the race described at Ledger.
  [[nodiscard]] Footprint peak() const noexcept;
  /// The peak becomes what is committed now. Call it while nothing is reserved concurrently, or what is granted
  /// meanwhile may be missing from the new peak.
  void reset_peak() noexcept;

 private:
  friend class Ledger;
  friend class Reservation;
  explicit Account(detail::AccountNode* node) noexcept : node_(node) {}
  detail::AccountNode* node_;
};

/// The byte account of the process: hard caps per memory space over a tree of accounts.
///
/// Guarantee: at every instant, on every account, committed <= limit. A reservation first looks whether its whole path
/// has room and then adds with a bounded compare-exchange on each account from the leaf to the root (check before add).
/// So a request that does not fit, however large, adds nothing anywhere and cannot make a concurrent one fail. Only a
/// request that fits when it looks and loses an ancestor to another one before it adds holds, for a moment, bytes at
/// the accounts below that are given back; a third request may be denied there as if the loser had been granted.
///
/// Thread-safe. Reserve and release take no lock and, unless denied, allocate nothing. Accounts and reservations refer
/// to the ledger's memory: destroying it before its last reservation is undefined behaviour.
class Ledger {
 public:
  /// Accounts on one path, the root included.
  static constexpr std::size_t max_depth = 32;

  /// @throws ValueError if the name is empty or contains '/'
  explicit Ledger(Footprint capacity, std::string_view root_name = "root");
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  [[nodiscard]] Account root() noexcept;

  /// Adds an account under `parent`. Accounts live as long as the ledger, so they suit tenants, workloads and workers;
  /// a request is a Reservation. A limit above the parent's is allowed: the parent's still holds.
  /// @throws ValueError if the name is empty, contains '/' or is that of a sibling, if the path would be longer than
  ///         max_depth, or if `parent` belongs to another ledger; nothing changes then
  Account open(Account parent, std::string_view name, Footprint limit = Footprint::unlimited());

  struct Line {
    std::string path;
    Footprint limit, committed, used, retiring, peak;
  };
  /// All accounts, parents first. Exact when nothing runs concurrently.
  [[nodiscard]] std::vector<Line> snapshot() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mpp
