// The k best items of a catalogue for a stream of users, each request with no more memory than its own difficulty needs.
//
// A pool keeps every item at 1 bit a coordinate in memory that all requests share; 2, 4 and 8 bits and the fp32 rows are
// brought in for the items that are still in the race. The answer is released at the first level whose error bound is
// within epsilon. Here every answer is also compared with an exact scan: a bound that does not hold ends in exit code 1.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mpp/ranking/ranker.hpp>
#include <mpp/ranking/synthetic.hpp>

#include "support/demo_main.hpp"
#include "support/exact_scan.hpp"
#include "support/progress_line.hpp"
#include "support/ranking_run.hpp"
#include "support/statistics.hpp"
#include "support/stopwatch.hpp"
#include "support/users.hpp"

namespace {

using namespace mpp;
using namespace mpp::examples;
using namespace mpp::ranking;

struct Options {
  std::size_t items = 200'000;
  std::size_t dims = 128;
  std::size_t users = 120;
  std::size_t k = 10;
  std::size_t repeat = 3;
  std::size_t cells = 1;
  std::uint64_t seed = 1;
  std::vector<std::string> epsilon{"0", "10%", "50%"};
  double delta = 0.0;
  std::string family = "clustered";
  std::optional<double> cap_mb;
  std::string json, report;
  bool progress = false;
};

void describe(CLI::App& app, Options& o) {
  app.add_option("--items", o.items, "Items in the catalogue")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--dims", o.dims, "Coordinates of an item")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--users", o.users, "Requests to serve")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--k", o.k, "Items a user gets")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--epsilon", o.epsilon,
                 "Error accepted, one or more: a score regret in the unit of the scores (inner products), or N% of the "
                 "median k-th best score. 0 asks for the exact answer")
      ->capture_default_str();
  app.add_option("--delta", o.delta, "Probability that a bound may fail; 0: none may, for any input")
      ->capture_default_str();
  app.add_option("--family", o.family, "Distribution of the items")
      ->capture_default_str()
      ->check(CLI::IsMember({"clustered", "power_law", "gaussian"}));
  app.add_option("--cells", o.cells, "Centres that items are coded around; more than 1 needs FAISS")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seed", o.seed, "Of items, users and the pool's rotation")->capture_default_str();
  app.add_option("--cap-mb", o.cap_mb,
                 "Hard cap on what requests hold, in MB, beside the catalogue itself; default: half of all fp32 rows, "
                 "at least 1 MB")
      ->check(CLI::Range(0.0, 1e9));
  app.add_option("--repeat", o.repeat, "Times each request is timed; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--json", o.json, "Write the figures to this file");
  app.add_option("--report", o.report, "Write an HTML report to this file; other workloads' parts in it stay");
  app.add_flag("--progress", o.progress, "Say on stderr how far it is, also when that is not a terminal");
}

/// Score regret that "0.5" or, as a share of `typical`, "5%" stands for. @throws ValueError for anything else
double epsilon_of(const std::string& word, double typical) {
  std::size_t used = 0;
  double value = -1.0;
  try {
    value = std::stod(word, &used);
  } catch (const std::exception&) {
  }
  const bool relative = word.ends_with('%') && used + 1 == word.size();
  expects<ValueError>(value >= 0.0 && (relative || used == word.size()), "--epsilon: \"", word,
                      "\", expected a score >= 0 such as 0.5, or a percentage such as 5%");
  return relative ? value / 100.0 * std::abs(typical) : value;
}

/// Serves one user under every target in turns with the exact scan, `repeat` times, and checks the answers.
void serve(const User& user, const Ranker& ranker, ExactScan& scan, const Options& o, RankingRun& run) {
  const RankRequest request{.query = user.query, .k = o.k};
  std::vector<kernels::Scored> exact;
  std::vector<double> scan_seconds;
  std::vector<std::vector<double>> times(run.series.size());
  std::vector<Outcome<Ranking>> outcomes(run.series.size());
  for (std::size_t round = 0; round < o.repeat; ++round) {
    scan_seconds.push_back(seconds([&] { exact = scan.best(user.query, o.k); }));
    for (std::size_t i = 0; i < run.series.size(); ++i)
      times[i].push_back(seconds(
          [&] { outcomes[i] = ranker.serve(request, {.epsilon = {run.series[i].epsilon}, .delta = {o.delta}}); }));
  }
  run.scan_seconds.push_back(median(scan_seconds));
  for (std::size_t i = 0; i < run.series.size(); ++i) {
    const Outcome<Ranking>& outcome = outcomes[i];
    Served served{.interest = user.interest,
                  .verdict = outcome.verdict,
                  .level = outcome.level,
                  .bytes = static_cast<double>(outcome.peak.total().count),
                  .seconds = median(times[i])};
    if (outcome.certified()) {
      served.certified = outcome.bound.value();
      served.realised = scan.regret(user.query, exact, outcome.value());
    }
    run.series[i].requests.push_back(served);
  }
}

/// Walks one user up to the exact answer. The trace has the bound of every level on the way; asking for exactly that
/// much gives the answer of the level, whose true error is then measured.
void climb(const User& user, const Ranker& ranker, ExactScan& scan, const Options& o, Ladder& ladder) {
  const RankRequest request{.query = user.query, .k = o.k};
  const auto top = ranker.serve(request, {.epsilon = {0.0}, .delta = {o.delta}});
  if (!top.certified()) return;
  const auto exact = scan.best(user.query, o.k);
  std::vector<double> certified(ladder.certified.size(), 0.0), realised(ladder.certified.size(), 0.0);
  for (const TraceStep& step : top.trace) {
    const auto outcome = ranker.serve(request, {.epsilon = {step.bound.value()}, .delta = {o.delta}});
    certified[step.level] = step.bound.value();
    realised[step.level] = scan.regret(user.query, exact, outcome.value());
  }
  for (std::size_t level = 0; level < certified.size(); ++level) {
    ladder.certified[level].push_back(certified[level]);
    ladder.realised[level].push_back(realised[level]);
  }
}

double bytes(const Footprint& footprint) { return static_cast<double>(footprint.total().count); }

Pool build_pool(const Synthetic& data, const Options& o) {
  ProgressLine line("coding items", o.progress);
  const auto progress = [&line](std::size_t done, std::size_t all) { line(done, all); };
  return Pool::build(data.rows, o.dims, {.cells = o.cells, .seed = o.seed, .progress = progress});
}

RankingRun measure(const Options& o) {
  const Synthetic data = make_synthetic(family_named(o.family), o.items, o.users + 1, o.dims, o.seed);
  const Pool pool = build_pool(data, o);

  // The catalogue has its bytes; what is left under the cap is all that requests can ever hold.
  const Bytes rows = bytes_of<float>(data.rows.size());
  const Bytes cap =
      o.cap_mb ? Bytes{static_cast<std::uint64_t>(*o.cap_mb * 1e6)} : std::max(Bytes{rows.count / 2}, Bytes{1'000'000});
  Ledger ledger(pool.resident() + pool.backing() + Footprint::host(cap));
  const Ranker ranker(pool, ledger);

  const std::vector<User> users = make_users(data, o.users, o.seed);
  ExactScan scan(data.rows, o.dims);
  std::vector<double> kth;
  for (const User& user : users) kth.push_back(scan.best(user.query, o.k).back().score);

  const RankRequest any{.query = users.front().query, .k = o.k};
  const std::size_t levels = ranker.tier().levels();
  RankingRun run{.items = o.items,
                 .dims = o.dims,
                 .k = o.k,
                 .family = o.family,
                 .delta = o.delta,
                 .worst_case = static_cast<double>(rows.count),
                 .claim = bytes(ranker.tier().footprint(any, levels - 1)),
                 .resident = bytes(pool.resident()),
                 .backing = bytes(pool.backing()),
                 .cap = static_cast<double>(cap.count)};
  run.ladder.certified.resize(levels);
  run.ladder.realised.resize(levels);
  for (const std::string& word : o.epsilon) run.series.push_back({word, epsilon_of(word, median(kth)), {}});

  ProgressLine serving("serving users", o.progress);
  for (std::size_t i = 0; i < users.size(); ++i) {
    serve(users[i], ranker, scan, o, run);
    climb(users[i], ranker, scan, o, run.ladder);
    serving(i + 1, users.size());
  }
  run.peak = bytes(ranker.accounts().requests.peak());
  return run;
}

void print(const RankingRun& run) {
  std::cout
      << grouped(run.items) << " items x " << run.dims << " (" << run.family << "), "
      << grouped(run.scan_seconds.size()) << " users, k = " << run.k << ", delta = " << run.delta << "\n"
      << "shared by all requests: " << bytes_text(run.resident)
      << " of 1-bit codes; backing store: " << bytes_text(run.backing) << "\n"
      << "cap for requests: " << bytes_text(run.cap) << ", most held: " << bytes_text(run.peak) << "\n"
      << "exact scan (kernels::rescore over all fp32 rows, kernels::topk, one thread): "
      << compact(1.0 / median(run.scan_seconds)) << " queries/s\n\n"
      << summary(run)
      << "\nmean and p99: most bytes a request held; epsilon and errors: score regret, the largest of all users\n";
}

}  // namespace

int main(int argc, char** argv) {
  return demo_main<Options>(argc, argv, "ranking_pool",
                            "Certified ranking of a seeded catalogue: memory, speed and error beside an exact scan.",
                            describe, measure, print);
}
