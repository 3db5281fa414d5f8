#pragma once
// The frames of one utterance, the same code for a thread and for a block. A candidate is an index source * tokens + token
// of one table: the blank's place stands for the prefix itself, which stays; another token for the prefix with one label
// more. Its key is its mass and, below it, its preference among equals, so all keys differ and the cap largest are one set
// in one order, however they are found. Everything about a candidate can be read from its key.
#include "src/ctc/select.hpp"

namespace mpp::kernels::ctc {

/// The decisions on which correctness rests; tests replace them by broken ones.
struct Rules {
  static constexpr bool merges = true;  ///< a live child takes the emission of its parent
  /// Of equal masses the one with the larger preference wins. Its own inverse.
  MPP_ON_DEVICE static std::uint32_t preference(std::uint32_t order) { return ~order; }
  MPP_ON_DEVICE static std::uint64_t count(std::uint64_t dropped_units) { return dropped_units; }
  MPP_ON_DEVICE static double charge(double mass) { return mass; }
};

template <class Group, std::uint32_t slots, class Policy = Rules>
class Search {
 public:
  MPP_ON_DEVICE Search(Group& group, Board<slots>& board, Work& work) : group_(group), board_(board), work_(work) {}

  MPP_ON_DEVICE void run() {
    begin();
    for (std::uint32_t t = 0; t < work_.frames; ++t)
      if (!step(t)) return;
    end();
  }

 private:
  static constexpr std::uint32_t is_new = 0x80000000U;  // in the order of equals: a prefix without a node

  struct Parts {
    double blank, label;
  };

  MPP_ON_DEVICE void begin() {
    group_.each(1, [&](std::uint32_t) {
      board_.progress = work_.progress;
      board_.count = board_.exponent = 0;
      work_.refused = none;
      if (board_.progress.nodes != 0) return;
      work_.nodes[0] = {none, none, none, none, 0};
      if (work_.charges != nullptr) work_.charges[0] = {0.0F, 0.0F};
      work_.live[0] = {1.0F, 0.0F, 0};
      board_.progress.nodes = board_.progress.live = 1;
    });
    group_.each(board_.progress.live, [&](std::uint32_t i) { settle(i, work_.live[i]); });
  }

  MPP_ON_DEVICE void end() {
    group_.each(board_.progress.live, [&](std::uint32_t i) { work_.live[i] = board_.slot[i].now; });
    group_.each(1, [&](std::uint32_t) { work_.progress = board_.progress; });
  }

  MPP_ON_DEVICE void settle(std::uint32_t i, const CtcHypothesis& hypothesis) {
    Slot& s = board_.slot[i];
    s.now = hypothesis;
    s.label = work_.nodes[hypothesis.node].label;
    s.parent = none;
    s.dropped = 0;
    work_.nodes[hypothesis.node].slot = i;
  }

  // False if the frame is not a distribution.
  MPP_ON_DEVICE bool step(std::uint32_t t) {
    const std::uint64_t sum = read(work_.log_probs + std::size_t{t} * work_.tokens);
    constexpr auto one = static_cast<std::uint64_t>(1.0 / row_unit);
    constexpr std::uint64_t tolerance = one / 1000;
    if (sum + tolerance < one || sum > one + tolerance + work_.tokens) {
      group_.each(1, [&](std::uint32_t) { work_.refused = t; });
      return false;
    }
    const std::uint32_t live = board_.progress.live, n = live * work_.tokens;
    const std::uint32_t nodes = board_.progress.nodes, room = work_.capacity - nodes;
    const double charge =
        work_.after == nullptr ? 0.0 : times_power(work_.after[t], board_.progress.exponent - work_.unit);
    find_children(live, n);
    const std::uint64_t least = offer(live, n);
    const std::uint32_t chosen = board_.count;
    std::uint64_t dropped = rank(chosen, nodes, room);
    dropped += drop(n, least, charge);
    charge_extensions(live, charge);
    const std::uint32_t found = keep(chosen), added = found < room ? found : room, kept = chosen - (found - added);
    hang(live, chosen);
    const int shift = kept == 0 ? 0 : static_cast<int>(board_.exponent) - 1023;
    group_.each(kept, [&](std::uint32_t i) {
      CtcHypothesis h = board_.next[i];
      h.blank_mass = static_cast<float>(static_cast<double>(h.blank_mass) * power_of_two(-shift));
      h.label_mass = static_cast<float>(static_cast<double>(h.label_mass) * power_of_two(-shift));
      settle(i, h);
    });
    group_.each(1, [&](std::uint32_t) {
      CtcProgress& p = board_.progress;
      // Four roundings of 2^-53, less than the factor. What was dropped before goes on as all mass does: by the row's sum.
      p.dropped = (p.dropped * (static_cast<double>(sum) * row_unit) + static_cast<double>(dropped) * mass_unit) *
                  (1.0 + 0x1p-50) * power_of_two(-shift);
      p.exponent += shift;
      p.live = kept;
      p.nodes += added;
      ++p.frames;
      board_.count = board_.exponent = 0;
    });
    return true;
  }

  // The sum of the row in row_unit. What is no probability counts as 4, which no sum that is accepted reaches.
  MPP_ON_DEVICE std::uint64_t read(const float* row) {
    return group_.total(work_.tokens, [&](std::uint32_t k) {
      if (!(row[k] <= 1.0F)) return static_cast<std::uint64_t>(4.0 / row_unit);
      work_.probability[k] = probability_of(row[k]);
      return units_above(work_.probability[k], row_unit);
    });
  }

  MPP_ON_DEVICE void find_children(std::uint32_t live, std::uint32_t n) {
    group_.each(n, [&](std::uint32_t j) { work_.child[j] = none; });
    group_.each(live, [&](std::uint32_t i) {
      Slot& s = board_.slot[i];
      s.rank = 0;
      for (std::uint32_t j = 0; j < live; ++j) s.rank += board_.slot[j].now.node < s.now.node ? 1 : 0;
      board_.by_rank[s.rank] = i;
      for (std::uint32_t c = work_.nodes[s.now.node].first_child; c != none; c = work_.nodes[c].next_sibling) {
        const CtcNode& child = work_.nodes[c];
        if (!Policy::merges && child.slot != none) continue;
        work_.child[i * work_.tokens + child.label] = c;
        if (child.slot != none) board_.slot[child.slot].parent = i;
      }
    });
  }

  MPP_ON_DEVICE static double total_of(const CtcHypothesis& h) {
    return static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
  }
  MPP_ON_DEVICE double extended(const Slot& s, std::uint32_t label) const {
    const double from = label == s.label ? static_cast<double>(s.now.blank_mass) : total_of(s.now);
    return work_.probability[label] * from;
  }

  // The same prefix one frame on: the blank, the last label again, or the parent's emission of it.
  MPP_ON_DEVICE Parts stay(const Slot& s) const {
    Parts parts{work_.probability[work_.blank] * total_of(s.now), 0.0};
    if (s.label != none) parts.label = work_.probability[s.label] * static_cast<double>(s.now.label_mass);
    if (s.parent != none) parts.label += extended(board_.slot[s.parent], s.label);
    return parts;
  }

  MPP_ON_DEVICE static std::uint64_t key_of(double mass, std::uint32_t order) {
    if (mass < least_mass) return 0;
    return std::uint64_t{std::bit_cast<std::uint32_t>(static_cast<float>(mass))} << 32 | Policy::preference(order);
  }

  // Keys of all candidates, and the smallest one that is kept.
  MPP_ON_DEVICE std::uint64_t offer(std::uint32_t live, std::uint32_t n) {
    group_.each(live, [&](std::uint32_t i) {
      Slot& s = board_.slot[i];
      const Parts parts = stay(s);
      s.blank_next = parts.blank < least_mass ? 0.0F : static_cast<float>(parts.blank);
      s.label_next = parts.label < least_mass ? 0.0F : static_cast<float>(parts.label);
    });
    const std::uint64_t candidates = group_.total(n, [&](std::uint32_t j) {
      const Slot& s = board_.slot[j / work_.tokens];
      const std::uint32_t token = j % work_.tokens, child = work_.child[j];
      std::uint64_t key = 0;
      if (token == work_.blank)
        key = key_of(static_cast<double>(s.blank_next) + static_cast<double>(s.label_next), s.now.node);
      else if (child == none)
        key = key_of(extended(s, token), is_new | (s.rank * work_.tokens + token));
      else if (work_.nodes[child].slot == none)
        key = key_of(extended(s, token), child);
      work_.keys[j] = key;
      return std::uint64_t{key != 0};
    });
    const std::uint64_t least = candidates <= work_.cap ? 1 : kth_largest(group_, board_, work_.keys, n, work_.cap);
    group_.each(n, [&](std::uint32_t j) {
      if (work_.keys[j] >= least) board_.chosen[group_.claim(board_.count)] = work_.keys[j];
    });
    return least;
  }

  MPP_ON_DEVICE static std::uint32_t order_of(std::uint64_t key) {
    return Policy::preference(static_cast<std::uint32_t>(key));
  }
  MPP_ON_DEVICE std::uint32_t source_of(std::uint32_t order) const {
    return board_.by_rank[(order & ~is_new) / work_.tokens];
  }

  // Sorts the chosen, and gives each a node and a place. Returns the mass that finds no room in the arena.
  MPP_ON_DEVICE std::uint64_t rank(std::uint32_t chosen, std::uint32_t nodes, std::uint32_t room) {
    group_.each(chosen, [&](std::uint32_t i) {
      std::uint32_t before = 0;
      for (std::uint32_t j = 0; j < chosen; ++j) before += board_.chosen[j] > board_.chosen[i] ? 1 : 0;
      board_.best[before] = board_.chosen[i];
    });
    return group_.total(chosen, [&](std::uint32_t r) {
      std::uint32_t new_before = 0;
      for (std::uint32_t q = 0; q < r; ++q) new_before += order_of(board_.best[q]) >= is_new ? 1 : 0;
      const std::uint32_t order = order_of(board_.best[r]);
      const std::uint32_t without_room = new_before > room ? new_before - room : 0;
      board_.place[r] = r - without_room;
      board_.node[r] = order >= is_new ? nodes + new_before : order;
      if (order < is_new || new_before < room) return std::uint64_t{0};
      board_.place[r] = none;
      return drop_extension(source_of(order), (order & ~is_new) % work_.tokens);
    });
  }

  // A labelling goes through one child at most, so a frame charges the largest dropped extension, not their sum.
  MPP_ON_DEVICE std::uint64_t drop_extension(std::uint32_t source, std::uint32_t label) {
    const double mass = extended(board_.slot[source], label);
    if (mass == 0.0) return 0;
    if (work_.charges != nullptr)
      group_.raise(board_.slot[source].dropped, std::bit_cast<std::uint32_t>(float_above(mass)));
    return Policy::count(units_above(mass, mass_unit));
  }

  MPP_ON_DEVICE std::uint64_t drop_node(std::uint32_t node, double mass, double charge) {
    if (mass > 0.0 && work_.charges != nullptr)
      work_.charges[node].own = add_up(work_.charges[node].own, Policy::charge(mass) * charge);
    return Policy::count(units_above(mass, mass_unit));
  }

  // Counts and charges what is not chosen. Each node is charged by one candidate at most.
  MPP_ON_DEVICE std::uint64_t drop(std::uint32_t n, std::uint64_t least, double charge) {
    return group_.total(n, [&](std::uint32_t j) {
      const bool is_chosen = work_.keys[j] >= least;
      const std::uint32_t source = j / work_.tokens, token = j % work_.tokens, child = work_.child[j];
      const Slot& s = board_.slot[source];
      if (token == work_.blank) {
        const Parts parts = stay(s);
        double lost = 0.0;
        if (!is_chosen || s.blank_next == 0.0F) lost += parts.blank;
        if (!is_chosen || s.label_next == 0.0F) lost += parts.label;
        return drop_node(s.now.node, lost, charge);
      }
      if (is_chosen || (child != none && work_.nodes[child].slot != none)) return std::uint64_t{0};
      return child == none ? drop_extension(source, token) : drop_node(child, extended(s, token), charge);
    });
  }

  MPP_ON_DEVICE void charge_extensions(std::uint32_t live, double charge) {
    if (work_.charges == nullptr) return;
    group_.each(live, [&](std::uint32_t i) {
      Slot& s = board_.slot[i];
      float& below = work_.charges[s.now.node].below;
      s.below_before = below;
      const double mass = static_cast<double>(std::bit_cast<float>(s.dropped));
      if (mass > 0.0) below = add_up(below, Policy::charge(mass) * charge);
    });
  }

  // Moves the chosen to their places. Returns how many of them are new, those without a place included.
  MPP_ON_DEVICE std::uint32_t keep(std::uint32_t chosen) {
    return static_cast<std::uint32_t>(group_.total(chosen, [&](std::uint32_t r) {
      const std::uint32_t order = order_of(board_.best[r]), node = board_.node[r];
      if (board_.place[r] != none) {
        const std::uint32_t stays = order < is_new ? work_.nodes[node].slot : none;
        const auto mass = std::bit_cast<float>(static_cast<std::uint32_t>(board_.best[r] >> 32));
        CtcHypothesis& h = board_.next[board_.place[r]];
        h = {0.0F, mass, node};
        if (stays != none) h = {board_.slot[stays].blank_next, board_.slot[stays].label_next, node};
        group_.raise(board_.exponent, exponent_bits(total_of(h)));
      }
      return std::uint64_t{order >= is_new};
    }));
  }

  // Hangs the new prefixes below their parents, each parent's by one member of the group. Nobody is live for now.
  MPP_ON_DEVICE void hang(std::uint32_t live, std::uint32_t chosen) {
    group_.each(live, [&](std::uint32_t i) {
      CtcNode& parent = work_.nodes[board_.slot[i].now.node];
      parent.slot = none;
      for (std::uint32_t r = 0; r < chosen; ++r) {
        const std::uint32_t order = order_of(board_.best[r]);
        if (order < is_new || board_.place[r] == none || source_of(order) != i) continue;
        const std::uint32_t node = board_.node[r];
        work_.nodes[node] = {board_.slot[i].now.node, (order & ~is_new) % work_.tokens, none, parent.first_child, none};
        if (work_.charges != nullptr) work_.charges[node] = {board_.slot[i].below_before, 0.0F};
        parent.first_child = node;
      }
    });
  }

  Group& group_;
  Board<slots>& board_;
  Work& work_;
};

}  // namespace mpp::kernels::ctc
