#include <algorithm>
#include <limits>
#include <numeric>

#include "ngram_builder.hpp"

namespace mpp::speech {
namespace {

template <class T>
void permute(std::vector<T>& values, const std::vector<std::uint32_t>& order, std::size_t width) {
  std::vector<T> sorted;
  sorted.reserve(values.size());
  for (const std::size_t i : order)
    for (std::size_t j = 0; j < width; ++j) sorted.push_back(values[i * width + j]);
  values = std::move(sorted);
}

void sort(ArpaSection& section) {
  const auto before = [&](std::size_t a, std::size_t b) {
    return std::ranges::lexicographical_compare(section.gram(a), section.gram(b));
  };
  std::vector<std::uint32_t> order(section.size());
  std::iota(order.begin(), order.end(), 0U);
  if (std::ranges::is_sorted(order, before)) return;
  std::ranges::stable_sort(order, before);  // of two equal grams the earlier line stays first
  permute(section.words, order, section.n);
  permute(section.log_prob, order, 1);
  permute(section.backoff, order, 1);
  permute(section.line, order, 1);
}

void refuse_repeated(const ArpaSection& section, const LineReader& lines) {
  for (std::size_t i = 1; i < section.size(); ++i)
    if (std::ranges::equal(section.gram(i - 1), section.gram(i)))
      lines.fail_at(section.line[i], "this ", section.n, "-gram is there twice, first on line ", section.line[i - 1]);
}

// Adds to `shorter` the prefixes of `longer` that it lacks; both are sorted.
void add_prefixes(const ArpaSection& longer, ArpaSection& shorter) {
  const std::size_t n = shorter.n, listed = shorter.size();
  for (std::size_t i = 0, at = 0; i < longer.size(); ++i) {
    const auto prefix = longer.gram(i).first(n);
    while (at < listed && std::ranges::lexicographical_compare(shorter.gram(at), prefix)) ++at;
    if (at < listed && std::ranges::equal(shorter.gram(at), prefix)) continue;
    if (shorter.size() > listed && std::ranges::equal(shorter.gram(shorter.size() - 1), prefix)) continue;
    shorter.words.insert(shorter.words.end(), prefix.begin(), prefix.end());
    shorter.log_prob.push_back(std::numeric_limits<float>::quiet_NaN());
    shorter.backoff.push_back(0.0F);
    shorter.line.push_back(0);
  }
  if (shorter.size() > listed) sort(shorter);
}

}  // namespace

void sort_and_close(std::vector<ArpaSection>& sections, const LineReader& lines) {
  for (std::size_t n = 2; n <= sections.size(); ++n) {
    sort(sections[n - 1]);
    refuse_repeated(sections[n - 1], lines);
  }
  // Every word is a unigram, so orders 1 and 2 need nothing.
  for (std::size_t n = sections.size(); n >= 3; --n) add_prefixes(sections[n - 1], sections[n - 2]);
  std::uint64_t total = 0;
  for (const ArpaSection& section : sections) total += section.size();
  if (total >= NgramTables::none - 1) lines.fail("the model has ", total, " n-grams and contexts, expected below 2^32");
}

}  // namespace mpp::speech
