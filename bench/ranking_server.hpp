#pragma once
// The side of bench_ranking that other programs drive, so that peers take turns with us on the same vectors.
#include <filesystem>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include <mpp/ranking/ranker.hpp>
#include <mpp/ranking/synthetic.hpp>

#include "bench_json.hpp"
#include "npy.hpp"

namespace mpp::bench {

/// How benchmarks build a pool: with cells where there are rows enough to make them pay.
inline ranking::Pool bench_pool(std::span<const float> rows, std::size_t dims) {
  const std::size_t n = rows.size() / dims;
  const std::size_t cells = n >= 100'000 ? 256 : n >= 10'000 ? 32 : 1;
  return ranking::Pool::build(rows, dims, {.cells = cells});
}

/// Reads rows.npy and queries.npy of a folder, builds a pool, says {"ready": true, ...}, then answers lines of stdin:
/// "run B" ranks all queries in batches of B and prints one line of JSON; "quit" ends.
inline int serve_ranking(const std::filesystem::path& folder, std::size_t k, double delta) {
  const Matrix rows = read_npy(folder / "rows.npy");
  const Matrix queries = read_npy(folder / "queries.npy");
  Stopwatch watch;
  const ranking::Pool pool = bench_pool(rows.values, rows.dims);
  Ledger ledger(Footprint::unlimited());
  const ranking::Ranker ranker(pool, ledger, {.first_level = ranking::pilot_first_level(pool)});
  const double resident = static_cast<double>(pool.resident().total().count);
  std::cout << nlohmann::json{{"ready", true}, {"build_s", watch.seconds()}, {"bytes_resident", resident}}.dump()
            << std::endl;

  for (std::string word; std::cin >> word && word == "run";) {
    std::size_t batch = 1;
    std::cin >> batch;
    expects<ValueError>(batch >= 1, "bench_ranking: batch is ", batch, ", expected at least 1");
    std::vector<double> us_per_query;
    nlohmann::json ids = nlohmann::json::array();
    double request_bytes = 0.0;
    double bound = 0.0;
    std::size_t certified = 0;
    for (std::size_t first = 0; first < queries.rows; first += batch) {
      const std::size_t count = std::min(batch, queries.rows - first);
      std::vector<ranking::RankRequest> requests;
      for (std::size_t q = first; q < first + count; ++q)
        requests.push_back({.query = std::span(queries.values).subspan(q * queries.dims, queries.dims), .k = k});
      watch.restart();
      const auto outcomes = ranker.serve(std::move(requests), {.epsilon = {0.0}, .delta = {delta}});
      us_per_query.push_back(watch.seconds() * 1e6 / static_cast<double>(count));
      for (const auto& outcome : outcomes) {
        nlohmann::json& answer = ids.emplace_back(nlohmann::json::array());
        for (const ranking::RankedItem& item : outcome.value().items) answer.push_back(item.id);
        request_bytes += static_cast<double>(outcome.peak.total().count);
        bound = std::max(bound, outcome.bound.value());
        certified += outcome.certified() ? 1 : 0;
      }
    }
    const double mean_bytes = request_bytes / static_cast<double>(queries.rows) + resident;
    std::cout << nlohmann::json{{"us_per_query", us_per_query},
                                {"ids", ids},
                                {"bytes_fraction",
                                 mean_bytes / static_cast<double>(rows.values.size() * sizeof(float))},
                                {"bound_max", bound},
                                {"certified", certified}}
                     .dump()
              << std::endl;
  }
  return 0;
}

/// Writes the vectors of a family where serve_ranking() and NumPy find them.
inline void export_ranking(const std::filesystem::path& folder, const ranking::Synthetic& data) {
  std::filesystem::create_directories(folder);
  write_npy(folder / "rows.npy", data.rows.size() / data.dims, data.dims, data.rows);
  write_npy(folder / "queries.npy", data.queries.size() / data.dims, data.dims, data.queries);
}

}  // namespace mpp::bench
