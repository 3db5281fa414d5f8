// Certified top-10 over pools of every input family: is it exact, does every interval hold, what memory and time does it
// take, and what is certified from codes alone. Peers stand beside it in bench/peers/ranking.py.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include <mpp/ranking/synthetic.hpp>

#include "bench_json.hpp"
#include "npy.hpp"
#include "ranking_oracle.hpp"
#include "ranking_server.hpp"

namespace {

using namespace mpp;
using namespace mpp::ranking;
using bench::Stopwatch;

constexpr std::size_t k = 10;
constexpr std::uint64_t seed = 1;

/// One pool to measure, with how much of it is checked.
struct Case {
  std::string name;  ///< as in metric names, for example "clustered.d128"
  Synthetic data;
  Delta delta;
  std::size_t checked;  ///< queries whose answers and intervals are checked
};

class RankingBench {
 public:
  explicit RankingBench(bench::Report& report) : report_(report) {}

  /// Mean bytes of the case as a fraction of fp32 rows: resident plane plus the request's peak.
  double run(const Case& c) {
    const Pool pool = bench::bench_pool(c.data.rows, c.data.dims);
    Ledger ledger(Footprint::unlimited());
    const Ranker ranker(pool, ledger, {.first_level = pilot_first_level(pool)});
    std::vector<RankRequest> requests;
    for (std::size_t q = 0; q < c.data.queries.size() / c.data.dims; ++q)
      requests.push_back({.query = std::span(c.data.queries).subspan(q * c.data.dims, c.data.dims), .k = k});
    check(c, pool, ranker, requests);

    const QualityTarget exact{.epsilon = {0.0}, .delta = c.delta};
    std::vector<double> ms;
    std::map<Level, double> levels;
    double bytes = 0.0;
    for (const RankRequest& request : requests) {
      Stopwatch watch;
      const auto outcome = ranker.serve(request, exact);
      ms.push_back(watch.seconds() * 1e3);
      bytes += static_cast<double>(outcome.peak.total().count) / static_cast<double>(requests.size());
      levels[outcome.level] += 1.0 / static_cast<double>(requests.size());
    }
    report_.spread("ranking.ms_b1." + c.name, ms);
    for (const auto& [level, share] : levels)
      report_.set("ranking.released_at." + std::to_string(level) + "." + c.name, share);
    Stopwatch watch;
    const auto outcomes = ranker.serve(requests, exact);
    report_.set("ranking.ms_batch." + c.name, watch.seconds() * 1e3 / static_cast<double>(outcomes.size()));

    const double fp32 = static_cast<double>(pool.size() * pool.dims() * sizeof(float));
    const double fraction = (bytes + static_cast<double>(pool.resident().total().count)) / fp32;
    report_.set("ranking.bytes_fraction." + c.name, fraction);
    report_.set("ranking.resident_fraction." + c.name, static_cast<double>(pool.resident().total().count) / fp32);
    return fraction;
  }

  /// Mean certified recall per level when no fp32 row is read.
  void certified_recall(const std::string& name, const Synthetic& data) {
    const Pool pool = bench::bench_pool(data.rows, data.dims);
    const RankTier tier(pool, {.rescore = false});
    const std::size_t queries = data.queries.size() / data.dims;
    std::vector<double> recall(kernels::planes, 0.0);
    for (std::size_t q = 0; q < queries; ++q) {
      const RankRequest request{.query = std::span(data.queries).subspan(q * data.dims, data.dims), .k = k};
      RankState state(std::pmr::new_delete_resource());
      for (Level level = 0; level < kernels::planes; ++level) {
        tier.materialise(request, state, level);
        recall[level] += tier.execute(request, state, level).certified_recall / static_cast<double>(queries);
      }
    }
    for (Level level = 0; level < kernels::planes; ++level)
      report_.set("ranking.certified_recall." + name + ".level" + std::to_string(level), recall[level]);
    report_.set("ranking.certified_recall." + name, recall.back());
  }

  void finish() {
    report_.set("ranking.mismatches", static_cast<double>(mismatches_));
    report_.set("ranking.answers_checked", static_cast<double>(answers_));
    report_.set("ranking.violations", static_cast<double>(intervals_.violations));
    report_.set("ranking.interval_checks", static_cast<double>(intervals_.intervals));
  }
  bool sound() const { return mismatches_ == 0 && intervals_.violations == 0; }

 private:
  void check(const Case& c, const Pool& pool, const Ranker& ranker, std::span<const RankRequest> requests) {
    const bench::IntervalOracle oracle(pool);
    const Delta look{c.delta.value / static_cast<double>(ranker.tier().levels())};
    for (std::size_t q = 0; q < std::min(c.checked, requests.size()); ++q) {
      const auto scores = bench::exact_scores(pool, requests[q].query);
      const auto truth = bench::exact_top(pool, scores, k);
      mismatches_ +=
          bench::same(ranker.serve(requests[q], {.epsilon = {0.0}, .delta = c.delta}).value(), truth) ? 0 : 1;
      ++answers_;
      const auto found = oracle.check(requests[q].query, look, scores);
      intervals_.intervals += found.intervals;
      intervals_.violations += found.violations;
    }
  }

  bench::Report& report_;
  std::uint64_t mismatches_ = 0, answers_ = 0;
  bench::IntervalCheck intervals_;
};

std::filesystem::path data_folder() {
  const char* folder = std::getenv("MPP_DATA_DIR");
  return std::filesystem::path(folder != nullptr ? folder : "../shared/data") / "ranking";
}

/// Sentence embeddings: user queries as the pool, questions as the queries. Empty when the data is not there.
std::optional<Synthetic> neural(std::size_t queries) {
  if (!std::filesystem::exists(data_folder() / "metatool_queries.npy")) return std::nullopt;
  bench::Matrix rows = bench::read_npy(data_folder() / "metatool_queries.npy");
  bench::Matrix questions = bench::read_npy(data_folder() / "xquad_questions.npy");
  questions.values.resize(std::min(queries, questions.rows) * questions.dims);
  return Synthetic{rows.dims, std::move(rows.values), std::move(questions.values)};
}

void run_all(bench::Report& report) {
  RankingBench bench(report);
  const bool quick = report.quick();
  const std::size_t queries = quick ? 32 : 100;
  const std::size_t checked = quick ? 2 : 20;
  double worst = 0.0;
  for (const Family family : {Family::clustered, Family::power_law})
    worst = std::max(
        worst,
        bench.run(
            {std::string(name(family)) + ".d128", make_synthetic(family, 1'000'000, queries, 128, seed), {}, checked}));
  report.set("ranking.bytes_fraction.d128", worst);
  worst = 0.0;
  for (const Family family : {Family::clustered, Family::power_law})
    worst = std::max(worst, bench.run({std::string(name(family)) + ".d384",
                                       make_synthetic(family, quick ? 250'000 : 1'000'000, queries, 384, seed),
                                       {1e-6},
                                       checked}));
  report.set("ranking.bytes_fraction.d384", worst);
  for (const std::size_t dims : {std::size_t{64}, std::size_t{128}})
    bench.run({"gaussian.d" + std::to_string(dims),
               make_synthetic(Family::gaussian, quick ? 50'000 : 200'000, quick ? 8 : 32, dims, seed),
               {},
               checked});
  for (const Family family : {Family::clustered, Family::power_law})
    bench.run({std::string(name(family)) + ".d64", make_synthetic(family, 100'000, queries, 64, seed), {}, checked});
  bench.certified_recall("d128", make_synthetic(Family::clustered, 100'000, queries, 128, seed));
  if (auto data = neural(quick ? 100 : 1190)) {
    report.set("ranking.bytes_fraction.neural", bench.run({"neural", std::move(*data), {}, quick ? 10U : 200U}));
  } else {
    std::cerr << "bench_ranking: no " << data_folder() << "; set MPP_DATA_DIR to include the neural embeddings\n";
  }
  bench.finish();
  expects<std::runtime_error>(bench.sound(), "bench_ranking: an answer or an interval is wrong; see the metrics");
}

}  // namespace

int main(int argc, char** argv) try {
  bench::keep_freed_memory();
  bench::Report report("ranking", "Certified top-10: exactness, soundness, memory and time");
  std::string export_folder;
  std::string serve_folder;
  std::string family = "clustered";
  std::size_t rows = 1'000'000;
  std::size_t queries = 64;
  std::size_t dims = 128;
  std::size_t wanted = k;
  double delta = 0.0;
  report.app().add_option("--export", export_folder,
                          "Write rows.npy and queries.npy of --family to this folder and end");
  report.app().add_option("--serve", serve_folder,
                          "Build a pool over this folder and answer 'run BATCH' lines on stdin");
  report.app().add_option("--family", family, "clustered, power_law or gaussian (with --export)");
  report.app().add_option("--rows", rows, "Rows to export");
  report.app().add_option("--queries", queries, "Queries to export");
  report.app().add_option("--dims", dims, "Dimensions to export");
  report.app().add_option("--k", wanted, "Answers per query (with --serve)");
  report.app().add_option("--delta", delta, "Probability that a randomized bound may fail (with --serve)");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  if (!export_folder.empty()) {
    bench::export_ranking(export_folder, make_synthetic(family_named(family), rows, queries, dims, seed));
    return 0;
  }
  if (!serve_folder.empty()) return bench::serve_ranking(serve_folder, wanted, delta);
  int status = 0;
  try {
    run_all(report);
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << '\n';
    status = 1;
  }
  return std::max(status, report.finish());
} catch (const std::exception& error) {
  std::cerr << "bench_ranking: " << error.what() << '\n';
  return 1;
}
