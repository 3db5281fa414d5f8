#include <mpp/core/memory/ledger.hpp>

#include <map>
#include <mutex>

#include <mpp/core/error.hpp>

#include "account_node.hpp"

namespace mpp {

using detail::AccountNode;
using detail::SpaceCounters;

std::string Account::path() const { return std::string(node_->path); }
Footprint Account::limit() const noexcept { return node_->read(&SpaceCounters::limit); }
Footprint Account::committed() const noexcept { return node_->read(&SpaceCounters::committed); }
Footprint Account::peak() const noexcept { return node_->read(&SpaceCounters::peak); }

Footprint Account::used() const noexcept {
  Footprint sum;
  detail::for_subtree(*node_, [&](const AccountNode& node) { sum += node.read(&SpaceCounters::used); });
  return sum;
}

Footprint Account::retiring() const noexcept {
  Footprint sum;
  detail::for_subtree(*node_, [&](const AccountNode& node) { sum += node.read(&SpaceCounters::retiring); });
  return sum;
}

void Account::reset_peak() noexcept {
  for (SpaceCounters& counters : node_->spaces)
    counters.peak.store(counters.committed.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

struct Ledger::State {
  std::mutex opening;
  std::map<std::string, AccountNode, std::less<>> accounts;  // by path; a map because its nodes never move
  AccountNode* root = nullptr;
  AccountNode* last = nullptr;

  // Called with `opening` held, or from the constructor. Publishing is the last step: what throws has changed nothing.
  AccountNode* add(AccountNode* parent, std::string_view name, const Footprint& limit) {
    expects<ValueError>(!name.empty(), "Ledger: an account name is empty, expected at least one character");
    expects<ValueError>(name.find('/') == std::string_view::npos, "Ledger: account name '", name,
                        "' contains '/', which separates accounts in a path");
    expects<ValueError>(parent == nullptr || parent->depth < max_depth, "Ledger::open: '", name, "' would be the ",
                        max_depth + 1, "th account of its path, expected at most ", max_depth);
    std::string path = parent == nullptr ? std::string(name) : std::string(parent->path).append("/").append(name);
    const auto [place, is_new] = accounts.try_emplace(std::move(path), parent, limit);
    expects<ValueError>(is_new, "Ledger::open: account '", place->first, "' exists already, expected a new name");

    AccountNode& node = place->second;
    node.path = place->first;
    node.index = accounts.size() - 1;
    if (last != nullptr) last->next.store(&node, std::memory_order_release);
    last = &node;
    return &node;
  }
};

Ledger::Ledger(Footprint capacity, std::string_view root_name) : state_(std::make_unique<State>()) {
  state_->root = state_->add(nullptr, root_name, capacity);
}

Ledger::~Ledger() = default;

Account Ledger::root() noexcept { return Account(state_->root); }

Account Ledger::open(Account parent, std::string_view name, Footprint limit) {
  expects<ValueError>(parent.node_->under(*state_->root), "Ledger::open: parent '", parent.node_->path,
                      "' belongs to another ledger, expected an account of this one");
  const std::lock_guard lock(state_->opening);
  return Account(state_->add(parent.node_, name, limit));
}

std::vector<Ledger::Line> Ledger::snapshot() const {
  std::vector<Line> lines;
  detail::for_subtree(*state_->root, [&](const AccountNode& node) {
    lines.push_back({std::string(node.path),
                     node.read(&SpaceCounters::limit),
                     node.read(&SpaceCounters::committed),
                     {},
                     {},
                     node.read(&SpaceCounters::peak)});
    const Footprint used = node.read(&SpaceCounters::used), retiring = node.read(&SpaceCounters::retiring);
    for (const AccountNode* above = &node; above != nullptr; above = above->parent) {
      lines[above->index].used += used;
      lines[above->index].retiring += retiring;
    }
  });
  return lines;
}

}  // namespace mpp
