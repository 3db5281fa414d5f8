#pragma once
#include <functional>
#include <optional>

#include "domains/llm/naive_cache.hpp"

namespace mpp::llm {

/// One call of the cache and what it means for the naive one.
struct Operation {
  std::function<std::optional<Denial>(PagedKvCache&)> run;
  std::function<void(NaiveCache&)> apply;  ///< after the call has succeeded
};

/// A source of operations that the arguments allow, of every kind.
class RandomOperations {
 public:
  explicit RandomOperations(std::uint64_t seed) : random_(seed) {}

  Operation next(const NaiveCache& naive, const PagedKvCache& cache) {
    if (naive.sequences.empty()) return open();
    const SequenceId id = any_sequence(naive);
    switch (below(12)) {
      case 0:
        return naive.sequences.size() < 5 ? open() : free(id);
      case 1:
        return naive.sequences.size() < 5 ? fork(id) : free(id);
      case 2:
        return truncate(naive, id);
      case 3:
        return below(4) == 0 ? free(id) : append(naive, id, 1);
      case 4:
      case 5:
        return relevel(naive, cache, id, true);
      case 6:
      case 7:
        return relevel(naive, cache, id, false);
      case 8:
        return drop_exact(naive, id);
      case 9:
        return append(naive, id, 1 + below(200));
      default:
        return append(naive, id, below(2) == 0 ? 1 : 1 + below(70));
    }
  }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  SequenceId any_sequence(const NaiveCache& naive) {
    return {std::next(naive.sequences.begin(), static_cast<std::ptrdiff_t>(below(naive.sequences.size())))->first};
  }

  static Operation make(std::function<std::variant<SequenceId, Denial>(PagedKvCache&)> call,
                        std::function<void(NaiveCache&, SequenceId)> apply) {
    const auto made = std::make_shared<SequenceId>();
    return {[=](PagedKvCache& cache) -> std::optional<Denial> {
              auto result = call(cache);
              if (auto* denial = std::get_if<Denial>(&result)) return std::move(*denial);
              *made = std::get<SequenceId>(result);
              return std::nullopt;
            },
            [=](NaiveCache& naive) { apply(naive, *made); }};
  }
  static Operation open() {
    return make([](PagedKvCache& cache) { return cache.open(); },
                [](NaiveCache& naive, SequenceId id) { naive.open(id); });
  }
  static Operation fork(SequenceId from) {
    return make([=](PagedKvCache& cache) { return cache.fork(from); },
                [=](NaiveCache& naive, SequenceId id) { naive.fork(from, id); });
  }
  static Operation free(SequenceId id) {
    return {[=](PagedKvCache& cache) {
              cache.free(id);
              return std::nullopt;
            },
            [=](NaiveCache& naive) { naive.free(id); }};
  }
  // A layer may be a token ahead of another one, as while a model runs.
  Operation append(const NaiveCache& naive, SequenceId id, std::size_t tokens) {
    const std::size_t layer = below(naive.geometry.layers);
    const std::size_t n = tokens * naive.geometry.num_kv_heads * naive.geometry.head_dim;
    const Numbers keys = random_numbers(random_, n), values = random_numbers(random_, n);
    return {[=](PagedKvCache& cache) {
              auto k = upload(cache.context(), keys), v = upload(cache.context(), values);
              return cache.append(id, layer, k.span(), v.span());
            },
            [=](NaiveCache& to) { to.append(id, layer, keys, values); }};
  }
  Operation truncate(const NaiveCache& naive, SequenceId id) {
    const NaiveCache::Sequence& sequence = naive.sequences.at(id.value);
    const std::size_t most = *std::ranges::min_element(sequence.tokens);
    std::size_t tokens = most - std::min(most, below(150));
    for (std::size_t t = 0; t < sequence.tables.size(); ++t)
      for (std::size_t p = 0; p < sequence.tables[t].size(); ++p)
        if (!sequence.tables[t][p]->exact_numbers && p == tokens / page_tokens) tokens = (p + 1) * page_tokens;
    if (tokens > most) tokens = 0;
    return {[=](PagedKvCache& cache) { return cache.truncate(id, tokens); },
            [=](NaiveCache& to) { to.truncate(id, tokens); }};
  }
  std::optional<PageName> any_sealed(const NaiveCache& naive, SequenceId id) {
    const std::size_t layer = below(naive.geometry.layers), head = below(naive.geometry.num_kv_heads);
    const std::size_t full = naive.sequences.at(id.value).tokens[layer] / page_tokens;
    if (full == 0) return std::nullopt;
    return PageName{layer, head, below(full)};
  }
  Operation relevel(const NaiveCache& naive, const PagedKvCache& cache, SequenceId id, bool up) {
    auto name = any_sealed(naive, id);
    if (!name) return append(naive, id, 64);
    name->generation = cache.pages(id, name->layer, name->kv_head)[name->page].generation;
    constexpr PageLevel value_levels[] = {PageLevel::bits4, PageLevel::bits8, PageLevel::exact};
    const bool none = below(5) == 0;
    const PageLevel keys = none ? PageLevel::omitted : static_cast<PageLevel>(1 + below(4));
    const PageLevel values = none ? PageLevel::omitted : value_levels[below(3)];
    if (up) {
      const auto& page =
          *naive.sequences.at(id.value).tables[name->layer * naive.geometry.num_kv_heads + name->kv_head][name->page];
      if (!page.exact_numbers) return append(naive, id, 1);
      return {[=](PagedKvCache& of) { return of.promote(id, *name, keys, values); },
              [=](NaiveCache& of) { of.promote(id, *name, keys, values); }};
    }
    return {[=](PagedKvCache& of) {
              of.demote(id, *name, keys, values);
              return std::nullopt;
            },
            [=](NaiveCache& of) { of.demote(id, *name, keys, values); }};
  }
  Operation drop_exact(const NaiveCache& naive, SequenceId id) {
    const auto name = any_sealed(naive, id);
    if (!name || below(3) > 0) return append(naive, id, 30);
    const auto& page =
        *naive.sequences.at(id.value).tables[name->layer * naive.geometry.num_kv_heads + name->kv_head][name->page];
    if (page.key_level == PageLevel::exact || page.value_level == PageLevel::exact) return append(naive, id, 1);
    return {[=](PagedKvCache& cache) {
              cache.drop_exact(id, *name);
              return std::nullopt;
            },
            [=](NaiveCache& of) { of.page(id, *name).exact_numbers = false; }};
  }

  std::mt19937_64 random_;
};

}  // namespace mpp::llm
