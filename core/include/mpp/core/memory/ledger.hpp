#pragma once
#include <memory>
#include <optional>
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
  [[nodiscard]] Footprint peak() const noexcept;       ///< exact maximum of committed
  void reset_peak() noexcept;                          ///< peak becomes what is committed now

 private:
  friend class Ledger;
  friend class Reservation;
  explicit Account(detail::AccountNode* node) noexcept : node_(node) {}
  detail::AccountNode* node_;
};

/// The byte account of the process: hard caps per memory space over a tree of accounts.
///
/// Guarantee: at every instant, on every account, committed <= limit. A reservation is added with a bounded
/// compare-exchange on each account from the leaf to the root (check before add, never add-then-undo beyond the
/// limit), so a denied giant request cannot make a concurrent small one fail at that account.
/// Thread-safe. Reserve and release take no lock and allocate nothing. The ledger must outlive its reservations.
class Ledger {
 public:
  explicit Ledger(Footprint capacity, std::string_view root_name = "root");
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  [[nodiscard]] Account root() noexcept;

  /// Adds an account under `parent`. Accounts live as long as the ledger.
  /// @throws ValueError if the name is empty or contains '/', or a sibling already has it
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
