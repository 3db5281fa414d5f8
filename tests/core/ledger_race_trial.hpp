#pragma once
// Random operations on several threads while a watcher reads the counters; the sums are compared at rest.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "ledger_harness.hpp"

namespace mpp {
namespace fuzz {

/// tight: requests are denied at every depth. ample: none is, so whatever a watcher sees in `committed` was granted
/// and must show in the peak.
enum class Limits { tight, ample };

/// A tree of 7 accounts in which the workers of one round keep reservations.
template <class L>
class RaceTrial {
 public:
  explicit RaceTrial(Limits limits)
      : limits_(limits), ledger_(limits == Limits::ample ? Footprint::unlimited() : footprint({1000, 700, 50})) {
    handles_.push_back(ledger_.root());
    parents_.push_back(0);
    for (std::size_t i = 1; i < 7; ++i) {
      parents_.push_back((i - 1) / 2);
      const bool unlimited = limits == Limits::ample || i % 2 == 0;
      const Footprint limit = unlimited ? Footprint::unlimited() : footprint({i < 3 ? 700u : 400u, 300, 40});
      handles_.push_back(ledger_.open(handles_[parents_[i]], text("a", i), limit));
    }
  }

  /// Runs the workers for `time`, lets them rest, compares all sums, returns everything.
  std::string round(std::uint64_t seed, std::chrono::milliseconds time) {
    std::vector<Worker> workers(3);
    for (Worker& worker : workers)
      for (std::size_t i = 0; i < handles_.size(); ++i) worker.held.emplace_back(handles_[i]);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < workers.size(); ++i)
      threads.emplace_back([&, i] { work(workers[i], seed * workers.size() + i, stop); });

    std::string wrong;
    std::vector<Footprint> last_peak(handles_.size()), seen(handles_.size());
    const auto end = std::chrono::steady_clock::now() + time;
    while (wrong.empty() && std::chrono::steady_clock::now() < end) {
      wrong = watch(last_peak, seen);
      std::this_thread::yield();
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    for (const Worker& worker : workers)
      if (wrong.empty()) wrong = worker.wrong;
    if (wrong.empty()) wrong = compare(workers);
    if (wrong.empty() && limits_ == Limits::ample)
      for (std::size_t i = 0; i < handles_.size(); ++i)
        if (!seen[i].within(handles_[i].peak()))
          wrong = text("account ", i, " held ", show(seen[i]), ", but its peak is ", show(handles_[i].peak()));
    workers.clear();
    for (const auto& line : ledger_.snapshot())
      if (wrong.empty() && !(line.committed + line.used + line.retiring).empty())
        wrong = text(line.path, " holds ", show(line.committed), " after the last reservation has gone");
    for (auto& handle : handles_) handle.reset_peak();
    return wrong;
  }

 private:
  struct Worker {
    std::vector<typename L::Reservation> held;  // one per account
    std::string wrong;
  };

  std::string watch(std::vector<Footprint>& last_peak, std::vector<Footprint>& seen) const {
    for (std::size_t i = 0; i < handles_.size(); ++i) {
      const Footprint limit = handles_[i].limit(), committed = handles_[i].committed(), peak = handles_[i].peak();
      if (!committed.within(limit))
        return text("account ", i, " committed ", show(committed), " over its limit ", show(limit));
      if (!peak.within(limit)) return text("account ", i, " peak ", show(peak), " over its limit ", show(limit));
      if (!last_peak[i].within(peak))
        return text("account ", i, " peak fell from ", show(last_peak[i]), " to ", show(peak));
      last_peak[i] = peak;
      for (const MemorySpace s : memory_spaces) seen[i][s] = std::max(seen[i][s], committed[s]);
    }
    return {};
  }

  void work(Worker& worker, std::uint64_t seed, const std::atomic<bool>& stop) const {
    std::mt19937_64 random(seed);
    const auto some = [&](const Footprint& of) {
      Footprint f;
      for (const MemorySpace s : memory_spaces)
        if (of[s] != Bytes{} && random() % 2 == 0) f[s] = Bytes{random() % (of[s].count + 1)};
      return f;
    };
    while (!stop.load(std::memory_order_relaxed) && worker.wrong.empty()) {
      const std::size_t i = random() % handles_.size();
      auto& r = worker.held[i];
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const Footprint before = r.reserved(), bytes = some(footprint({400, 300, 30}));
          const bool granted = !r.try_grow(bytes);
          if (r.reserved() != (granted ? before + bytes : before)) worker.wrong = "a grow changed something else";
          if (!r.reserved().within(handles_[i].committed()))
            worker.wrong = text("account ", i, " has less than one of its owners");
          if (!r.reserved().within(handles_[i].peak())) worker.wrong = text("account ", i, " peak misses a grant");
          break;
        }
        case 3:
          r.shrink(some(r.unused()));
          break;
        case 4:
          r.use(some(r.unused()));
          break;
        case 5:
          random() % 2 == 0 ? r.unuse(some(r.used())) : r.retire(some(r.used()));
          break;
        case 6:
          r.settle(some(r.retiring()));
          break;
        default:
          r = typename L::Reservation(handles_[i]);
      }
    }
  }

  // At rest an account has exactly what the reservations on it and below it have, so a parent has the sum of its
  // children and its own.
  std::string compare(const std::vector<Worker>& workers) const {
    std::vector<Footprint> committed(handles_.size()), used(handles_.size()), retiring(handles_.size());
    for (const Worker& worker : workers)
      for (std::size_t i = handles_.size(); i-- > 0;)
        for (std::size_t above = i;; above = parents_[above]) {
          committed[above] += worker.held[i].reserved();
          used[above] += worker.held[i].used();
          retiring[above] += worker.held[i].retiring();
          if (above == 0) break;
        }
    const auto lines = ledger_.snapshot();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i].committed != committed[i])
        return text(lines[i].path, " committed ", show(lines[i].committed), ", its owners hold ", show(committed[i]));
      if (lines[i].used != used[i] || lines[i].retiring != retiring[i])
        return text(lines[i].path, " used or retiring is off");
      if (!committed[i].within(lines[i].peak)) return text(lines[i].path, " has more than its peak");
    }
    return {};
  }

  Limits limits_;
  typename L::Ledger ledger_;
  std::vector<std::size_t> parents_;
  std::vector<typename L::Account> handles_;
};

}  // namespace fuzz

/// The first rule that was broken, or an empty text.
template <class L>
std::string race_violation(std::uint64_t seed, std::chrono::milliseconds time,
                           fuzz::Limits limits = fuzz::Limits::tight) {
  constexpr std::chrono::milliseconds round{20};  // short rounds: the sums are compared often
  fuzz::RaceTrial<L> trial(limits);
  std::string wrong;
  for (auto spent = round; spent <= time && wrong.empty(); spent += round) wrong = trial.round(seed++, round);
  return wrong;
}

}  // namespace mpp
