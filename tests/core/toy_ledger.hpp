#pragma once
// A ledger small enough to be obviously right under one big lock, and the same ledger with one mistake each. The fuzz
// harness must accept the first and catch every other: that is the proof that it can fail.
#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/ledger.hpp>

namespace mpp {

enum class Mistake {
  none,
  adds_then_checks,     // the cap is exceeded until the add is undone
  checks_then_adds,     // two threads see the same room
  loses_updates,        // load and store instead of one exchange
  checks_leaf_only,     // the ancestors' limits do not hold
  keeps_denied_spaces,  // a space granted before another was denied stays reserved
  keeps_denied_leaves,  // an account granted before its parent was denied stays reserved
  peak_counts_denied,   // a denied add shows in the peak
  peak_read_late,       // from what is committed after others have released
  wraps_around,         // committed + bytes > limit, in 64 bits
  releases_leaf_only,   // the ancestors keep the bytes
  moved_from_keeps,     // both give the bytes back
  retiring_is_free,     // fenced bytes are granted to the next one
};

template <Mistake mistake>
struct Toy {
  using Counters = std::array<std::atomic<std::uint64_t>, memory_spaces.size()>;

  static Footprint read(const Counters& counters) {
    return {{Bytes{counters[0]}, Bytes{counters[1]}, Bytes{counters[2]}}};
  }

  struct Node {
    Node(Node* above, std::string name, Footprint cap, std::mutex& lock)
        : parent(above), path(std::move(name)), limit(cap), mutex(lock) {}
    Node* parent;
    std::string path;
    Footprint limit;
    std::mutex& mutex;
    Counters committed{}, used{}, retiring{}, peak{};
  };

  struct Account {
    Node* node;
    Footprint limit() const { return node->limit; }
    Footprint committed() const { return read(node->committed); }
    Footprint used() const { return read(node->used); }
    Footprint retiring() const { return read(node->retiring); }
    Footprint peak() const { return read(node->peak); }
    void reset_peak() {
      for (std::size_t i = 0; i < memory_spaces.size(); ++i) node->peak[i] = node->committed[i].load();
    }
  };

  class Ledger {
   public:
    explicit Ledger(Footprint capacity) { nodes_.emplace_back(nullptr, "root", capacity, mutex_); }
    Account root() { return {&nodes_.front()}; }
    Account open(Account parent, std::string_view name, Footprint limit) {
      nodes_.emplace_back(parent.node, parent.node->path + "/" + std::string(name), limit, mutex_);
      return {&nodes_.back()};
    }
    std::vector<mpp::Ledger::Line> snapshot() const {
      std::vector<mpp::Ledger::Line> lines;
      for (const Node& n : nodes_)
        lines.push_back({n.path, n.limit, read(n.committed), read(n.used), read(n.retiring), read(n.peak)});
      return lines;
    }

   private:
    std::mutex mutex_;
    std::deque<Node> nodes_;
  };

  class Reservation {
   public:
    explicit Reservation(Account account) : account_(account) {}
    Reservation(Reservation&& other) noexcept : account_(other.account_) { swap(other); }
    Reservation& operator=(Reservation&& other) noexcept {
      Reservation taken(std::move(other));
      swap(taken);
      return *this;
    }
    ~Reservation() {
      move(used_, &Node::used, false);
      move(retiring_, &Node::retiring, false);
      move(mistake == Mistake::retiring_is_free ? reserved_ - retiring_ : reserved_, &Node::committed, false);
    }

    std::optional<Denial> try_grow(const Footprint& bytes) {
      std::unique_lock lock(account_.node->mutex, std::defer_lock);
      if (!is_race) lock.lock();
      if (mistake == Mistake::adds_then_checks) {
        move(bytes, &Node::committed, true);
        auto denial = check(bytes, /*added=*/true);
        if (denial) {
          std::this_thread::yield();
          move(bytes, &Node::committed, false);
          return denial;
        }
      } else {
        if (auto denial = check(bytes, /*added=*/false)) return denial;
        if (mistake == Mistake::checks_then_adds) std::this_thread::yield();
        move(bytes, &Node::committed, true);
      }
      if (mistake == Mistake::peak_read_late) std::this_thread::yield();
      raise_peaks();
      reserved_ += bytes;
      for (const MemorySpace s : memory_spaces) peak_[s] = std::max(peak_[s], reserved_[s]);
      return std::nullopt;
    }
    void shrink(const Footprint& bytes) {
      require(bytes, unused());
      reserved_ -= bytes;
      move(bytes, &Node::committed, false);
    }
    void use(const Footprint& bytes) { transfer(bytes, unused(), nullptr, &used_); }
    void unuse(const Footprint& bytes) { transfer(bytes, used_, &used_, nullptr); }
    void retire(const Footprint& bytes) {
      transfer(bytes, used_, &used_, &retiring_);
      if (mistake == Mistake::retiring_is_free) move(bytes, &Node::committed, false);
    }
    void settle(const Footprint& bytes) {
      transfer(bytes, retiring_, &retiring_, nullptr);
      if (mistake == Mistake::retiring_is_free) move(bytes, &Node::committed, true);
    }

    Footprint reserved() const { return reserved_; }
    Footprint used() const { return used_; }
    Footprint retiring() const { return retiring_; }
    Footprint unused() const { return reserved_ - used_ - retiring_; }
    Footprint peak() const { return peak_; }

   private:
    // Mistakes that an outer lock would hide.
    static constexpr bool is_race = mistake == Mistake::adds_then_checks || mistake == Mistake::checks_then_adds ||
                                    mistake == Mistake::peak_read_late;

    static void require(const Footprint& bytes, const Footprint& held) {
      expects<ValueError>(bytes.within(held), "Toy: more than is held");
    }
    void transfer(const Footprint& bytes, const Footprint& held, Footprint* from, Footprint* to) {
      require(bytes, held);
      if (from != nullptr) *from -= bytes, move(bytes, from == &used_ ? &Node::used : &Node::retiring, false);
      if (to != nullptr) *to += bytes, move(bytes, to == &used_ ? &Node::used : &Node::retiring, true);
    }
    void swap(Reservation& other) {
      std::swap(account_, other.account_);
      std::swap(peak_, other.peak_);
      for (Footprint Reservation::*part : {&Reservation::reserved_, &Reservation::used_, &Reservation::retiring_})
        if (mistake == Mistake::moved_from_keeps)
          this->*part = other.*part;
        else
          std::swap(this->*part, other.*part);
    }

    // Adds or takes `bytes` on the whole path.
    void move(const Footprint& bytes, Counters Node::*counters, bool add) {
      const bool leaf_only = mistake == Mistake::releases_leaf_only && !add && counters == &Node::committed;
      for (Node* node = account_.node; node != nullptr; node = leaf_only ? nullptr : node->parent)
        for (std::size_t i = 0; i < memory_spaces.size(); ++i) {
          const std::uint64_t count = add ? bytes.per_space[i].count : 0 - bytes.per_space[i].count;
          std::atomic<std::uint64_t>& counter = (node->*counters)[i];
          if (mistake == Mistake::loses_updates && count != 0) {
            const std::uint64_t seen = counter;
            std::this_thread::yield();
            counter = seen + count;
          } else {
            counter += count;
          }
        }
    }
    void raise_peaks() {
      for (Node* node = account_.node; node != nullptr; node = node->parent)
        for (std::size_t i = 0; i < memory_spaces.size(); ++i) raise(node->peak[i], node->committed[i]);
    }
    static void raise(std::atomic<std::uint64_t>& peak, std::uint64_t sum) { peak = std::max(peak.load(), sum); }

    std::optional<Denial> check(const Footprint& bytes, bool added) {
      for (const MemorySpace space : memory_spaces) {
        const std::uint64_t count = bytes[space].count;
        const auto i = static_cast<std::size_t>(space);
        for (Node* node = account_.node; node != nullptr && count != 0; node = node->parent) {
          const std::uint64_t limit = node->limit[space].count, committed = node->committed[i];
          const bool fits = added                                  ? committed <= limit
                            : mistake == Mistake::wraps_around     ? committed + count <= limit
                            : mistake == Mistake::checks_leaf_only ? node != account_.node || count <= limit - committed
                                                                   : count <= limit - committed;
          if (fits) continue;
          leave_behind(*node, space, bytes);
          return Denial{space, Bytes{count}, Bytes{limit - committed}, node->path, {}};
        }
      }
      return std::nullopt;
    }
    // What a ledger with the mistake in question leaves behind when it is denied at `full`.
    void leave_behind(const Node& full, MemorySpace space, const Footprint& bytes) {
      const auto i = static_cast<std::size_t>(space);
      if (mistake == Mistake::keeps_denied_spaces)
        for (std::size_t earlier = 0; earlier < i; ++earlier)
          for (Node* node = account_.node; node != nullptr; node = node->parent)
            node->committed[earlier] += bytes.per_space[earlier].count;
      for (Node* node = account_.node; node != &full; node = node->parent) {
        if (mistake == Mistake::keeps_denied_leaves) node->committed[i] += bytes[space].count;
        if (mistake == Mistake::peak_counts_denied) raise(node->peak[i], node->committed[i] + bytes[space].count);
      }
    }

    Account account_;
    Footprint reserved_, used_, retiring_, peak_;
  };
};

}  // namespace mpp
