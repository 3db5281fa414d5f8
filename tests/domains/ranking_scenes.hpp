#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <mpp/ranking/ranker.hpp>
#include <mpp/ranking/synthetic.hpp>

namespace mpp::test {

using ranking::Metric;
inline constexpr Metric metrics[] = {Metric::inner_product, Metric::cosine, Metric::l2};
inline constexpr ranking::Family families[] = {ranking::Family::clustered, ranking::Family::power_law,
                                               ranking::Family::gaussian};

inline std::string metric_name(Metric metric) {
  return metric == Metric::inner_product ? "inner_product" : metric == Metric::cosine ? "cosine" : "l2";
}

/// Rows and the queries asked of them.
struct Scene {
  std::string name;
  std::size_t dims{};
  std::vector<float> rows, queries;

  std::size_t size() const { return rows.size() / dims; }
  std::size_t query_count() const { return queries.size() / dims; }
  std::span<const float> row(std::size_t i) const { return std::span(rows).subspan(i * dims, dims); }
  std::span<const float> query(std::size_t i) const { return std::span(queries).subspan(i * dims, dims); }
};

inline Scene family_scene(ranking::Family family, std::size_t n, std::size_t queries, std::size_t dims) {
  ranking::Synthetic set = ranking::make_synthetic(family, n, queries, dims, /*seed=*/7);
  return {std::string(ranking::name(family)), dims, std::move(set.rows), std::move(set.queries)};
}

inline ranking::Pool build(const Scene& scene, Metric metric, std::uint64_t seed = 1) {
  return ranking::Pool::build(scene.rows, scene.dims, {.metric = metric, .seed = seed});
}

/// Changes every row: change(number, row).
template <class Change>
Scene changed(Scene scene, std::string name, const Change& change) {
  scene.name = std::move(name);
  for (std::size_t i = 0; i < scene.size(); ++i) change(i, std::span(scene.rows).subspan(i * scene.dims, scene.dims));
  return scene;
}
template <class Value>
void scale(std::span<float> row, Value factor) {
  for (float& x : row) x = static_cast<float>(x * factor);
}

/// Rows for which bounds are hard to keep: ties, norms at the ends of float, rows on the centre, single coordinates.
/// Queries: two of the family, a row, two far from everything, and zero where the metric has it.
inline std::vector<Scene> hard_scenes(std::size_t n, std::size_t dims, Metric metric) {
  const Scene plain = family_scene(ranking::Family::gaussian, n, 2, dims);
  std::vector<Scene> scenes{
      changed(plain, "duplicates", [&](std::size_t i, auto row) { std::ranges::copy(plain.row(i / 7), row.begin()); }),
      changed(plain, "all equal", [&](std::size_t, auto row) { std::ranges::copy(plain.row(0), row.begin()); }),
      changed(plain, "huge", [](std::size_t, auto row) { scale(row, 1e30); }),
      changed(plain, "denormal", [](std::size_t, auto row) { scale(row, 1e-40); }),
      changed(plain, "sixty orders of magnitude",
              [&](std::size_t i, auto row) {
                scale(row, std::pow(10.0, -30.0 + 60.0 * static_cast<double>(i) / static_cast<double>(n)));
              }),
      changed(plain, "one ulp apart",
              [&](std::size_t i, auto row) {
                std::ranges::copy(plain.row(0), row.begin());
                float& x = row[i % dims];
                for (std::size_t step = 0; step < i / dims; ++step) x = std::nextafter(x, 100.0F);
              }),
      changed(
          plain, "on the mean",
          [&](std::size_t i, auto row) {  // c + x, c - x, c, and the mean is c
            for (std::size_t j = 0; j < dims; ++j)
              row[j] = 8.0F + (i % 3 == 2 ? 0.0F : i % 3 == 0 ? 1.0F : -1.0F) * static_cast<float>((i / 3 * 5 + j) % 4);
          }),
      changed(plain, "one-hot",
              [&](std::size_t i, auto row) {
                std::ranges::fill(row, 0.0F);
                row[i % dims] = static_cast<float>(1 + i / dims);
              }),
      changed(plain, "far from the origin", [](std::size_t, auto row) {
        for (float& x : row) x += 1e4F;
      })};
  if (metric != Metric::cosine)
    scenes.push_back(changed(plain, "every third row zero", [](std::size_t i, auto row) {
      if (i % 3 == 0) std::ranges::fill(row, 0.0F);
    }));
  for (Scene& scene : scenes) {
    const auto add = [&](std::span<const float> query, double factor) {
      for (const float x : query) scene.queries.push_back(static_cast<float>(x * factor));
    };
    const std::vector<float> row(scene.row(1).begin(), scene.row(1).end());
    const std::vector<float> first(scene.query(0).begin(), scene.query(0).end());
    add(row, 1.0);
    add(first, 1e30);
    add(first, 1e-40);
    if (metric != Metric::cosine) add(first, 0.0);
  }
  return scenes;
}

/// A pool under a ledger, and the ranker that serves it.
struct Served {
  explicit Served(const ranking::Pool& pool, ranking::RankOptions options = {},
                  ranking::RankMetric metric = ranking::RankMetric::score_regret)
      : ledger(Footprint::unlimited()), ranker(pool, ledger, options, metric) {}
  Ledger ledger;
  ranking::Ranker ranker;
};

/// An answer made of codes whose rows are those of brute force and whose intervals hold their scores. It has no order:
/// its items are sorted by their lower bounds.
inline bool same_set(const ranking::Ranking& answer, std::vector<kernels::Scored> truth) {
  if (answer.items.size() != truth.size()) return false;
  std::ranges::sort(truth, {}, &kernels::Scored::id);
  return std::ranges::all_of(answer.items, [&](const ranking::RankedItem& item) {
    const auto at = std::ranges::lower_bound(truth, item.id, {}, &kernels::Scored::id);
    return at != truth.end() && at->id == item.id && item.lower < at->score && at->score < item.upper;
  });
}

/// An answer whose rows, scores, order and intervals are exactly those of brute force.
inline bool same(const ranking::Ranking& answer, const std::vector<kernels::Scored>& truth) {
  return std::equal(answer.items.begin(), answer.items.end(), truth.begin(), truth.end(),
                    [](const auto& a, const auto& b) {
                      return a.id == b.id && a.score == b.score && a.lower == b.score && a.upper == b.score;
                    });
}

}  // namespace mpp::test
