#include "graph_folding.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include <mpp/core/error.hpp>

namespace mpp::speech {
namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t root_bit = 0x80000000;  // in the target of an arc: the number of a root follows
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// Numbers distinct keys in the order in which they come.
using Numbers = std::map<std::vector<std::uint32_t>, std::uint32_t>;
std::uint32_t number(Numbers& numbers, const std::vector<std::uint32_t>& key) {
  return numbers.try_emplace(key, static_cast<std::uint32_t>(numbers.size())).first->second;
}

// Of several arcs between the same states the best.
template <class Arcs>
void keep_best(Arcs& arcs) {
  const auto key = [](const auto& a) { return std::tuple(a.token, a.to, a.from); };
  std::ranges::sort(arcs, [&](const auto& a, const auto& b) {
    return std::tuple(key(a), -std::int64_t{a.weight}) < std::tuple(key(b), -std::int64_t{b.weight});
  });
  const auto same = [&](const auto& a, const auto& b) { return key(a) == key(b); };
  arcs.erase(std::unique(arcs.begin(), arcs.end(), same), arcs.end());
}

}  // namespace

GraphFolding::GraphFolding(FoldedGraph& graph)
    : out_(graph), words_(graph.words()), lexicon_(graph.words().lexicon()) {}

void GraphFolding::run(std::size_t most_columns) {
  number_roots();
  fold_nodes();
  collect_arcs();
  place_states(most_columns);
  write_arcs();
}

bool GraphFolding::enters(Node child) const { return words_.smear()[child] > minus_infinity; }

float GraphFolding::end_weight(Node node) const {
  const auto words = lexicon_.words_at(node);
  if (words.empty()) return words_.unknown_upper();
  float best = minus_infinity;
  for (const Lexicon::Word word : words) best = std::max(best, words_.word_upper()[word]);
  return best;
}

void GraphFolding::number_roots() {
  const auto silence = words_.weights().silence;
  const std::size_t tokens = std::max(lexicon_.tokens(), silence ? std::size_t{*silence} + 1 : 0);
  root_of_.assign(tokens, none);
  std::vector<bool> ends(tokens, false);
  for (Node node = 1; node < lexicon_.nodes(); ++node)
    if (end_weight(node) > minus_infinity) ends[lexicon_.token(node)] = true;
  if (silence) ends[*silence] = true;
  for (std::uint32_t token = 0; token < tokens; ++token)
    if (ends[token]) {
      root_of_[token] = static_cast<std::uint32_t>(out_.root_token_.size());
      out_.root_token_.push_back(token);
    }
  if (silence) out_.silence_ = root_of_[*silence];
}

// Two nodes become one state if their last tokens agree, their children's tokens and whether words end there, and the
// tokens of their children's children. Deeper differences cost next to nothing: by then most of a word's weight is paid.
void GraphFolding::fold_nodes() {
  const std::size_t nodes = lexicon_.nodes();
  std::vector<std::uint32_t> next(nodes);  // number of the set of next tokens
  std::vector<std::uint32_t> key;
  Numbers sets, states;
  state_of_.assign(nodes, none);
  for (std::size_t i = nodes; i-- > 0;) {
    const auto node = static_cast<Node>(i);
    const auto [first, count] = lexicon_.children(node);
    key.clear();
    for (Node child = first; child < first + count; ++child)
      if (enters(child)) key.push_back(lexicon_.token(child));
    next[node] = number(sets, key);
    if (key.empty() || node == Lexicon::root) continue;
    key.assign(1, lexicon_.token(node));
    for (Node child = first; child < first + count; ++child)
      if (enters(child)) {
        key.push_back(lexicon_.token(child) << 1 | (end_weight(child) > minus_infinity ? 1U : 0U));
        key.push_back(next[child]);
      }
    state_of_[node] = number(states, key);
    if (state_of_[node] == state_token_.size()) state_token_.push_back(lexicon_.token(node));
  }
}

void GraphFolding::collect_arcs() {
  const auto units = [&](Node node) { return out_.units(static_cast<double>(words_.smear()[node])); };
  for (Node node = 0; node < lexicon_.nodes(); ++node) {
    const bool at_root = node == Lexicon::root;
    if (!at_root && state_of_[node] == none) continue;
    std::vector<Arc>& arcs = at_root ? root_arcs_ : arcs_;
    const std::int32_t paid = at_root ? 0 : units(node);
    const auto [first, count] = lexicon_.children(node);
    for (Node child = first; child < first + count; ++child) {
      if (!enters(child)) continue;
      const std::uint32_t token = lexicon_.token(child);
      if (state_of_[child] != none) arcs.push_back({token, state_of_[node], state_of_[child], units(child) - paid});
      const float end = end_weight(child);
      if (end > minus_infinity)
        arcs.push_back(
            {token, state_of_[node], root_bit | root_of_[token], out_.units(static_cast<double>(end)) - paid});
    }
  }
  keep_best(arcs_);
  keep_best(root_arcs_);
}

void GraphFolding::place_states(std::size_t most_columns) {
  const std::size_t states = state_token_.size();
  std::vector<std::uint32_t> next(states, 0);  // token of the best arc, the smallest of equal ones
  std::vector<std::int32_t> best(states, std::numeric_limits<std::int32_t>::min());
  for (const Arc& arc : arcs_)
    if (arc.weight > best[arc.from]) best[arc.from] = arc.weight, next[arc.from] = arc.token;

  std::vector<std::pair<std::uint32_t, std::uint32_t>> kind(states), kinds;
  for (std::size_t s = 0; s < states; ++s) kind[s] = {state_token_[s], next[s]};
  const auto distinct = [&] {
    kinds = kind;
    std::ranges::sort(kinds);
    kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
    return kinds.size();
  };
  if (distinct() > most_columns) {
    for (auto& [last, following] : kind) following = 0;
    distinct();
  }

  const std::size_t width = kinds.size() + out_.root_token_.size() + 1;
  expects<ValueError>(width < FoldedGraph::no_column, "FoldedGraph: ", width,
                      " columns of states and roots, expected fewer than ", FoldedGraph::no_column);

  std::vector<std::uint32_t> order(states), place(states);
  for (std::uint32_t s = 0; s < states; ++s) order[s] = s;
  std::ranges::stable_sort(order, {}, [&](std::uint32_t s) { return kind[s]; });
  out_.column_begin_.assign(1, 0);
  std::uint32_t at = 0;
  std::vector<std::uint16_t> column(states);
  for (std::size_t i = 0; i < states; ++i) {
    place[order[i]] = at++;
    column[order[i]] = static_cast<std::uint16_t>(out_.column_token_.size());
    if (i + 1 < states && kind[order[i]] == kind[order[i + 1]]) continue;
    at = static_cast<std::uint32_t>((at + kernels::backward_padding - 1) / kernels::backward_padding *
                                    kernels::backward_padding);
    out_.column_begin_.push_back(at);
    out_.column_token_.push_back(kind[order[i]].first);
  }
  out_.states_ = at;

  const auto first_root = static_cast<std::uint16_t>(out_.column_token_.size());
  out_.column_.assign(lexicon_.nodes() + root_of_.size(), FoldedGraph::no_column);
  for (std::size_t node = 1; node < lexicon_.nodes(); ++node)
    if (state_of_[node] != none) out_.column_[node] = column[state_of_[node]];
  for (std::size_t token = 0; token < root_of_.size(); ++token)
    if (root_of_[token] != none)
      out_.column_[lexicon_.nodes() + token] = static_cast<std::uint16_t>(first_root + root_of_[token]);
  out_.column_[0] = static_cast<std::uint16_t>(first_root + out_.root_token_.size());

  for (auto* arcs : {&arcs_, &root_arcs_})
    for (Arc& arc : *arcs) {
      if (arc.from != none) arc.from = place[arc.from];
      arc.to = (arc.to & root_bit) != 0 ? at + (arc.to & ~root_bit) : place[arc.to];
    }
}

void GraphFolding::write_arcs() {
  keep_best(arcs_);  // the same arcs, sorted by the new numbers
  std::vector<std::uint32_t> column_of(out_.states_);
  for (std::uint32_t c = 0; c < out_.column_token_.size(); ++c)
    std::fill(column_of.begin() + out_.column_begin_[c], column_of.begin() + out_.column_begin_[c + 1], c);
  out_.tokens_ = root_of_.size() + 1;  // and the blank
  for (std::uint32_t token = 0; token <= out_.tokens_; ++token)
    out_.token_columns_.push_back(
        static_cast<std::uint32_t>(std::ranges::lower_bound(out_.column_token_, token) - out_.column_token_.begin()));
  const auto count = [](const auto& all) { return static_cast<std::uint32_t>(all.size()); };
  const auto group = [&](std::uint32_t token, std::uint32_t row) {
    out_.groups_.push_back({token, row, count(out_.targets_), count(out_.repeats_)});
  };
  const auto target = [&](std::uint32_t to) { out_.targets_.push_back({to, count(out_.arcs_)}); };
  const auto states = static_cast<std::uint32_t>(out_.states_);
  for (const Arc& arc : arcs_) {
    const std::uint32_t row = arc.to < states ? column_of[arc.to] : count(out_.column_token_) + arc.to - states;
    const std::uint32_t column = column_of[arc.from];
    if (out_.groups_.empty() || out_.groups_.back().token != arc.token || out_.groups_.back().row != row)
      group(arc.token, row);
    if (out_.column_token_[column] == arc.token) {
      out_.repeats_.push_back({arc.from, arc.to, arc.weight, column});
      continue;
    }
    if (out_.targets_.size() == out_.groups_.back().targets || out_.targets_.back().to != arc.to) target(arc.to);
    out_.arcs_.push_back({arc.from, arc.weight});
    out_.arc_to_.push_back(arc.to);
  }
  group(0, 0);
  target(0);
  for (const Arc& arc : root_arcs_) out_.root_arcs_.push_back({arc.token, arc.to, arc.weight});
  for (auto* numbers :
       {&out_.column_begin_, &out_.column_token_, &out_.token_columns_, &out_.root_token_, &out_.arc_to_})
    numbers->shrink_to_fit();
  out_.groups_.shrink_to_fit();
  out_.targets_.shrink_to_fit();
  out_.arcs_.shrink_to_fit();
  out_.repeats_.shrink_to_fit();
  out_.root_arcs_.shrink_to_fit();
}

}  // namespace mpp::speech
