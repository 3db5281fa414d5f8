#pragma once
// Random operations on one thread, compared after every one with plain integers.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ledger_harness.hpp"

namespace mpp {
namespace fuzz {

struct AccountModel {
  std::size_t parent;  // its own index for the root
  std::string path;
  Triple limit{}, committed{}, used{}, retiring{}, peak{};
};

struct ReservationModel {
  std::size_t account;
  Triple reserved{}, used{}, retiring{}, peak{};
};

template <class L>
class ModelTrial {
 public:
  explicit ModelTrial(std::uint64_t seed) : random_(seed), ledger_(footprint(capacity)) {
    accounts_.push_back({0, "root", capacity, {}, {}, {}, {}});
    handles_.push_back(ledger_.root());
  }

  std::string run(int steps) {
    std::string wrong;
    for (int step = 0; step < steps && wrong.empty(); ++step) {
      wrong = operate();
      if (wrong.empty()) wrong = compare();
      if (!wrong.empty()) wrong = text("step ", step, ": ", wrong);
    }
    slots_.clear();
    for (const auto& line : ledger_.snapshot())
      if (wrong.empty() && !(line.committed + line.used + line.retiring).empty())
        wrong = text(line.path, " holds ", show(line.committed), " after the last reservation has gone");
    return wrong;
  }

 private:
  struct Slot {
    typename L::Reservation real;
    ReservationModel model;
  };
  static constexpr Triple capacity{1000, 5000, ~std::uint64_t{0}};

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  // Sizes where ledgers go wrong: nothing, a little, about what is there, absurd. Most spaces stay empty.
  Triple sizes(const Triple& around) {
    Triple t{};
    for (std::size_t i = 0; i < 3; ++i) {
      const std::uint64_t kind = below(12);
      if (kind < 4) t[i] = below(200);
      if (kind == 4) t[i] = around[i];
      if (kind == 5) t[i] = around[i] / 2;
      if (kind == 6 && below(4) == 0) t[i] = around[i] + 1;  // wraps to 0 at the top: also a size
      if (kind == 7 && below(4) == 0) t[i] = ~std::uint64_t{0} - below(3);
    }
    return t;
  }

  std::string operate() {
    const std::uint64_t kind = below(100);
    if (slots_.size() < 2 || (kind < 8 && slots_.size() < 12)) return reserve();
    const std::size_t a = below(slots_.size()), b = below(slots_.size());
    if (kind < 10) return open();
    if (kind < 45) return grow(slots_[a]);
    if (kind < 85) return part(slots_[a], below(5));
    if (kind < 90) return drop(a);
    if (kind < 98) return assign(slots_[a], slots_[b], a == b);
    return reset();
  }

  std::string reserve() {
    const std::size_t account = below(accounts_.size());
    slots_.push_back({typename L::Reservation(handles_[account]), {account, {}, {}, {}, {}}});
    return {};
  }

  std::string open() {
    if (accounts_.size() == 10) return {};
    const std::size_t parent = below(accounts_.size());
    const Triple limit = {below(1200), below(6000), below(2) == 0 ? below(4000) : ~std::uint64_t{0}};
    const std::string name = text("a", accounts_.size());
    handles_.push_back(ledger_.open(handles_[parent], name, footprint(limit)));
    accounts_.push_back({parent, accounts_[parent].path + "/" + name, limit, {}, {}, {}, {}});
    return {};
  }

  template <class Visit>
  void path(std::size_t account, Visit visit) {
    visit(accounts_[account]);
    if (account != 0) path(accounts_[account].parent, visit);
  }

  std::string grow(Slot& slot) {
    Triple room;
    room.fill(~std::uint64_t{0});
    path(slot.model.account, [&](const AccountModel& m) {
      for (std::size_t i = 0; i < 3; ++i) room[i] = std::min(room[i], m.limit[i] - m.committed[i]);
    });
    const Triple bytes = sizes(room);
    std::optional<Denial> expected;
    for (std::size_t i = 0; i < 3; ++i)
      path(slot.model.account, [&](const AccountModel& m) {
        if (!expected && bytes[i] != 0 && bytes[i] > m.limit[i] - m.committed[i])
          expected = Denial{memory_spaces[i], Bytes{bytes[i]}, Bytes{m.limit[i] - m.committed[i]}, m.path, {}};
      });

    const std::optional<Denial> got = slot.real.try_grow(footprint(bytes));
    if (got.has_value() != expected.has_value())
      return text("a grow of ", show(footprint(bytes)), " was ", got ? "denied" : "granted", ", expected the opposite");
    if (got && (got->space != expected->space || got->account != expected->account ||
                got->requested != expected->requested || got->available != expected->available))
      return text("denied with '", got->message(), "', expected '", expected->message(), "'");
    if (got) return {};
    for (std::size_t i = 0; i < 3; ++i) {
      slot.model.reserved[i] += bytes[i];
      slot.model.peak[i] = std::max(slot.model.peak[i], slot.model.reserved[i]);
      path(slot.model.account, [&](AccountModel& m) {
        m.committed[i] += bytes[i];
        m.peak[i] = std::max(m.peak[i], m.committed[i]);
      });
    }
    return {};
  }

  // shrink, use, unuse, retire, settle: asks for too much now and then, which must throw and change nothing.
  std::string part(Slot& slot, std::uint64_t kind) {
    ReservationModel& m = slot.model;
    Triple unused;
    for (std::size_t i = 0; i < 3; ++i) unused[i] = m.reserved[i] - m.used[i] - m.retiring[i];
    const Triple& held = kind < 2 ? unused : kind < 4 ? m.used : m.retiring;
    Triple bytes = sizes(held);
    if (below(3) != 0)
      for (std::size_t i = 0; i < 3; ++i) bytes[i] = std::min(bytes[i], held[i]);
    const bool legal = bytes[0] <= held[0] && bytes[1] <= held[1] && bytes[2] <= held[2];
    bool threw = false;
    try {
      const Footprint f = footprint(bytes);
      if (kind == 0) slot.real.shrink(f);
      if (kind == 1) slot.real.use(f);
      if (kind == 2) slot.real.unuse(f);
      if (kind == 3) slot.real.retire(f);
      if (kind == 4) slot.real.settle(f);
    } catch (const ValueError&) {
      threw = true;
    }
    if (threw == legal) return text("operation ", kind, (threw ? " threw for " : " accepted "), show(footprint(bytes)));
    if (threw) return {};
    for (std::size_t i = 0; i < 3; ++i) {
      const std::uint64_t n = bytes[i];
      const auto change = [&](Triple ReservationModel::*own, Triple AccountModel::*above, std::uint64_t by) {
        (m.*own)[i] += by;
        path(m.account, [&](AccountModel& account) { (account.*above)[i] += by; });
      };
      if (kind == 0) change(&ReservationModel::reserved, &AccountModel::committed, 0 - n);
      if (kind == 1) change(&ReservationModel::used, &AccountModel::used, n);
      if (kind == 2 || kind == 3) change(&ReservationModel::used, &AccountModel::used, 0 - n);
      if (kind == 3) change(&ReservationModel::retiring, &AccountModel::retiring, n);
      if (kind == 4) change(&ReservationModel::retiring, &AccountModel::retiring, 0 - n);
    }
    return {};
  }

  void forget(const ReservationModel& m) {
    for (std::size_t i = 0; i < 3; ++i)
      path(m.account, [&](AccountModel& account) {
        account.committed[i] -= m.reserved[i];
        account.used[i] -= m.used[i];
        account.retiring[i] -= m.retiring[i];
      });
  }

  std::string drop(std::size_t index) {
    forget(slots_[index].model);
    slots_.erase(slots_.begin() + static_cast<std::ptrdiff_t>(index));  // moves the later ones down
    return {};
  }

  std::string assign(Slot& to, Slot& from, bool self) {
    to.real = std::move(from.real);
    if (self) return {};
    forget(to.model);
    to.model = std::exchange(from.model, {from.model.account, {}, {}, {}, {}});
    return {};
  }

  std::string reset() {
    const std::size_t account = below(accounts_.size());
    handles_[account].reset_peak();
    accounts_[account].peak = accounts_[account].committed;
    return {};
  }

  std::string compare() const {
    const auto lines = ledger_.snapshot();
    if (lines.size() != accounts_.size()) return text(lines.size(), " accounts, expected ", accounts_.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto& line = lines[i];
      const AccountModel& m = accounts_[i];
      if (line.path != m.path) return text(line.path, " listed, expected ", m.path);
      for (const auto& [what, got, expected] :
           {std::tuple{"limit", line.limit, m.limit}, std::tuple{"committed", line.committed, m.committed},
            std::tuple{"used", line.used, m.used}, std::tuple{"retiring", line.retiring, m.retiring},
            std::tuple{"peak", line.peak, m.peak}, std::tuple{"used()", handles_[i].used(), m.used},
            std::tuple{"retiring()", handles_[i].retiring(), m.retiring}})
        if (got != footprint(expected))
          return text(m.path, " ", what, " ", show(got), ", expected ", show(footprint(expected)));
    }
    for (const Slot& slot : slots_)
      if (slot.real.reserved() != footprint(slot.model.reserved) || slot.real.used() != footprint(slot.model.used) ||
          slot.real.retiring() != footprint(slot.model.retiring) || slot.real.peak() != footprint(slot.model.peak))
        return text("a reservation holds ", show(slot.real.reserved()), ", expected ",
                    show(footprint(slot.model.reserved)));
    return {};
  }

  std::mt19937_64 random_;
  typename L::Ledger ledger_;
  std::vector<AccountModel> accounts_;
  std::vector<typename L::Account> handles_;
  std::vector<Slot> slots_;
};

}  // namespace fuzz

/// The first thing that differs, or an empty text.
template <class L>
std::string model_disagreement(std::uint64_t seed, int steps) {
  return fuzz::ModelTrial<L>(seed).run(steps);
}

}  // namespace mpp
