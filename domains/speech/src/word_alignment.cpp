#include <mpp/speech/word_alignment.hpp>

#include <algorithm>
#include <limits>

#include <mpp/speech/directed.hpp>

namespace mpp::speech {
namespace {

constexpr double impossible = -std::numeric_limits<double>::infinity();

}  // namespace

WordAlignment::WordAlignment(std::pmr::memory_resource* memory, std::size_t frames)
    : tokens_(memory), gain_(memory), ends_(memory), frames_(memory), path_(memory), forward_(memory), back_(memory) {
  tokens_.resize(frames);
  gain_.resize(frames);
  ends_.resize(frames);
  frames_.resize(frames);
  path_.resize(frames);
  forward_.resize(frames + 1);
  back_.resize(frames + 1);
}

Bytes WordAlignment::bytes(std::size_t frames) {
  return bytes_of<std::uint32_t>(3 * frames) + bytes_of<double>(frames) + bytes_of<std::uint8_t>(frames) +
         bytes_of<Triple>(2 * (frames + 1));
}

LogInterval WordAlignment::align(const Emissions& emissions, const WordGraph& graph,
                                 std::span<const std::uint32_t> words) {
  emissions_ = &emissions;
  graph_ = &graph;
  size_ = 0;
  const std::size_t top = spell(graph, words) ? 3 * size_ : 0;
  if (end_ == impossible || !split(0, emissions.frames, blank, top, top + 2)) {
    size_ = 0;
    return {impossible, impossible};
  }
  std::size_t before = blank;
  for (std::uint32_t t = 0; t < emissions.frames; before = path_[t++])
    if (path_[t] % 3 == token && path_[t] != before) frames_[path_[t] / 3 - 1] = t;
  return {score(sum_down), score(sum_up)};
}

// False, and `end_` is -infinity, when the words cannot follow each other or have more tokens than there are frames.
bool WordAlignment::spell(const WordGraph& graph, std::span<const std::uint32_t> words) {
  const Lexicon& lexicon = graph.lexicon();
  WordGraph::State state = graph.begin();
  end_ = impossible;
  for (const std::uint32_t word : words) {
    const bool known = word < lexicon.endings();
    auto node = known ? lexicon.ending_node(word) : static_cast<Lexicon::Node>(word - lexicon.endings());
    const auto [gain, next] = known ? graph.word(state, lexicon.ending_word(word)) : graph.unknown(state);
    if (gain == impossible) return false;
    const std::size_t first = size_;
    for (; node != Lexicon::root; node = lexicon.parent(node)) {
      if (size_ == tokens_.size()) return false;
      gain_[size_] = 0.0;
      ends_[size_] = 0;
      tokens_[size_++] = lexicon.token(node);
    }
    std::reverse(tokens_.begin() + static_cast<std::ptrdiff_t>(first),
                 tokens_.begin() + static_cast<std::ptrdiff_t>(size_));
    gain_[size_ - 1] = gain;
    ends_[size_ - 1] = 1;
    state = next;
  }
  end_ = graph.end(state);
  return true;
}

// The largest score that goes on to token j (from 1) from what is before it.
inline double WordAlignment::entered(std::span<const float> row, std::size_t j, const Triple& before) const {
  const Token k = tokens_[j - 1];
  double best = before.value[blank];
  if (!barred(k, j - 1)) best = std::max(best, before.value[token]);
  if (!graph_->is_silence(k)) best = std::max(best, before.value[silence]);
  return best + graph_->emission(row, k) + gain_[j - 1];
}

// Triples first .. last, one frame on; from the last to the first, so that each still finds the one before it as it was.
void WordAlignment::step(std::size_t frame, std::size_t first, std::size_t last) {
  const std::span row = emissions_->row(frame);
  const double e_blank = graph_->emission(row, static_cast<Token>(emissions_->blank));
  const auto s = graph_->weights().silence;
  const double e_silence = s ? graph_->emission(row, *s) : impossible;
  for (std::size_t j = last + 1; j-- > first;) {
    const Triple old = forward_[j];
    Triple& now = forward_[j];
    now.value[token] = j == 0 ? impossible : old.value[token] + graph_->emission(row, tokens_[j - 1]);
    if (j > first) now.value[token] = std::max(now.value[token], entered(row, j, forward_[j - 1]));
    now.value[blank] = std::max({old.value[token], old.value[blank], old.value[silence]}) + e_blank;
    now.value[silence] = impossible;
    if (!s || !boundary(j)) continue;
    double best = std::max(old.value[blank], old.value[silence]);
    if (!barred(*s, j)) best = std::max(best, old.value[token]);
    now.value[silence] = best + e_silence;
  }
}

// What is still to come from triples first .. last, one frame earlier; from the first to the last.
void WordAlignment::step_back(std::size_t frame, std::size_t first, std::size_t last) {
  const std::span row = emissions_->row(frame);
  const double e_blank = graph_->emission(row, static_cast<Token>(emissions_->blank));
  const auto s = graph_->weights().silence;
  const double e_silence = s ? graph_->emission(row, *s) : impossible;
  for (std::size_t j = first; j <= last; ++j) {
    const Triple old = back_[j];
    double next = impossible;
    Token k = 0;
    if (j < last) {
      k = tokens_[j];
      next = back_[j + 1].value[token] + graph_->emission(row, k) + gain_[j];
    }
    const double to_blank = old.value[blank] + e_blank;
    const double to_silence = s && boundary(j) ? old.value[silence] + e_silence : impossible;
    Triple& now = back_[j];
    now.value[token] =
        std::max({to_blank, j == 0 ? impossible : old.value[token] + graph_->emission(row, tokens_[j - 1]),
                  s && !barred(*s, j) ? to_silence : impossible, j < last && !barred(k, j) ? next : impossible});
    now.value[blank] = std::max({to_blank, to_silence, next});
    now.value[silence] = std::max({to_blank, to_silence, j < last && !graph_->is_silence(k) ? next : impossible});
  }
}

// Frames [from, to) begin in state a and end in one of b_first .. b_last: writes the states after them.
bool WordAlignment::split(std::size_t from, std::size_t to, std::size_t a, std::size_t b_first, std::size_t b_last) {
  const std::size_t first = a / 3, last = b_last / 3, middle = from + (to - from) / 2;
  const auto clear = [&](Buffer<Triple>& row) {
    std::fill(row.begin() + static_cast<std::ptrdiff_t>(first), row.begin() + static_cast<std::ptrdiff_t>(last) + 1,
              Triple{{impossible, impossible, impossible}});
  };
  clear(forward_);
  clear(back_);
  forward_[first].value[a % 3] = 0.0;
  for (std::size_t b = b_first; b <= b_last; ++b) back_[last].value[b % 3] = 0.0;
  const bool leaf = to - from == 1;
  const std::size_t cut = leaf ? to : middle;
  for (std::size_t t = from; t < cut; ++t) step(t, first, std::min(last, first + (t + 1 - from)));
  for (std::size_t t = to; t-- > cut;) step_back(t, std::max(first + (to - t), last) - (to - t), last);
  std::size_t best_state = 0;
  double best = impossible;
  for (std::size_t x = 3 * first; x < 3 * last + 3; ++x)
    if (const double both = forward_[x / 3].value[x % 3] + back_[x / 3].value[x % 3]; both > best) {
      best = both;
      best_state = x;
    }
  if (best == impossible) return false;
  path_[cut - 1] = static_cast<std::uint32_t>(best_state);
  return leaf || (split(from, cut, a, best_state, best_state) && split(cut, to, best_state, b_first, b_last));
}

// In the order in which the search adds.
template <class Sum>
double WordAlignment::score(const Sum& sum) const {
  double total = 0.0;
  std::size_t before = blank;
  for (std::size_t t = 0; t < emissions_->frames; before = path_[t++]) {
    const std::size_t state = path_[t], j = state / 3;
    const Token k = state % 3 == token   ? tokens_[j - 1]
                    : state % 3 == blank ? static_cast<Token>(emissions_->blank)
                                         : *graph_->weights().silence;
    total = sum(total, graph_->emission(emissions_->row(t), k));
    if (state % 3 == token && state != before && ends_[j - 1] != 0) total = sum(total, gain_[j - 1]);
  }
  return sum(total, end_);
}

}  // namespace mpp::speech
