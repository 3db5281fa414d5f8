#include "support/ranking_run.hpp"

#include <algorithm>
#include <iterator>

#include "support/statistics.hpp"

namespace mpp::examples {
namespace {

constexpr std::size_t levels = std::size(rank_levels);

std::vector<std::string> level_names() { return {std::begin(rank_levels), std::end(rank_levels)}; }

/// What a row of a table says about some of the requests of a series.
struct Row {
  std::vector<double> bytes, seconds;
  std::vector<double> released = std::vector<double>(levels, 0.0);  ///< certified requests per level
  std::size_t denied = 0;
  double certified = 0.0, realised = 0.0;  ///< largest

  void add(const Served& served) {
    bytes.push_back(served.bytes);
    seconds.push_back(served.seconds);
    if (served.verdict != Verdict::certified) {
      ++denied;
      return;
    }
    released[served.level] += 1.0;
    certified = std::max(certified, served.certified);
    realised = std::max(realised, served.realised);
  }
  /// Certified answers per second; a denied request takes its time and answers nothing.
  double per_second() const { return total(released) / total(seconds); }

  static Row of(const Series& series) {
    Row row;
    for (const Served& served : series.requests) row.add(served);
    return row;
  }
  static Row of(const Series& series, Interest interest) {
    Row row;
    for (const Served& served : series.requests)
      if (served.interest == interest) row.add(served);
    return row;
  }
};

// Every scan reads the same bytes, so the median user stands for all of them.
double scans_per_second(const RankingRun& run) { return 1.0 / median(run.scan_seconds); }

std::string target_name(const Series& series) {
  return series.label.ends_with('%') ? compact(series.epsilon) + " (" + series.label + ")" : series.label;
}

nlohmann::json to_json(const Row& row) {
  return {{"requests", row.bytes.size()},
          {"mean_bytes", mean(row.bytes)},
          {"p99_bytes", quantile(row.bytes, 0.99)},
          {"queries_per_second", row.per_second()},
          {"released_at", row.released},
          {"denied", row.denied},
          {"certified_error", row.certified},
          {"realised_error", row.realised}};
}

Table by_interest(const RankingRun& run) {
  Table table({"epsilon", "user", "requests", "mean", "p99", "queries/s", "vs scan",
               "released at 1 / 2 / 4 / 8 bit / rows, %"});
  for (const Series& series : run.series)
    for (const Interest interest : interests) {
      const Row row = Row::of(series, interest);
      if (row.bytes.empty()) continue;
      table.row({target_name(series), std::string(name(interest)), grouped(row.bytes.size()),
                 bytes_text(mean(row.bytes)), bytes_text(quantile(row.bytes, 0.99)), compact(row.per_second()),
                 compact(row.per_second() / scans_per_second(run)) + "x", shares(row.released, total(row.released))});
    }
  return table;
}

}  // namespace

Table summary(const RankingRun& run) {
  Table table({"epsilon", "worst case", "mean", "p99", "queries/s", "vs scan",
               "released at 1 / 2 / 4 / 8 bit / rows, %", "denied", "certified", "realised"});
  for (const Series& series : run.series) {
    const Row row = Row::of(series);
    table.row({target_name(series), bytes_text(run.worst_case), bytes_text(mean(row.bytes)),
               bytes_text(quantile(row.bytes, 0.99)), compact(row.per_second()),
               compact(row.per_second() / scans_per_second(run)) + "x", shares(row.released, total(row.released)),
               std::to_string(row.denied), compact(row.certified), compact(row.realised)});
  }
  return table;
}

std::vector<std::string> violations(const RankingRun& run) {
  std::vector<std::string> out;
  const auto check = [&](double certified, double realised, const std::string& where) {
    if (realised <= certified) return;  // false for NaN
    out.push_back(text(where, ": the realised error ", realised, " is above the certified one, ", certified,
                       run.delta > 0.0 ? text("; may happen with probability ", run.delta) : std::string()));
  };
  for (const Series& series : run.series)
    for (std::size_t user = 0; user < series.requests.size(); ++user)
      if (const Served& served = series.requests[user]; served.verdict == Verdict::certified)
        check(served.certified, served.realised,
              text("user ", user, " (", name(served.interest), "), epsilon ", target_name(series), ", released at ",
                   rank_levels[served.level]));
  for (std::size_t level = 0; level < run.ladder.certified.size(); ++level)
    for (std::size_t user = 0; user < run.ladder.certified[level].size(); ++user)
      check(run.ladder.certified[level][user], run.ladder.realised[level][user],
            text("user ", user, " on the way up, at ", rank_levels[level]));
  return out;
}

nlohmann::json to_json(const RankingRun& run) {
  nlohmann::json out = {{"program", "ranking_pool"},
                        {"metric", "score_regret"},
                        {"items", run.items},
                        {"dims", run.dims},
                        {"k", run.k},
                        {"family", run.family},
                        {"delta", run.delta},
                        {"bytes",
                         {{"worst_case", run.worst_case},
                          {"claim", run.claim},
                          {"resident", run.resident},
                          {"backing", run.backing},
                          {"cap", run.cap},
                          {"peak", run.peak}}},
                        {"scan_queries_per_second", scans_per_second(run)},
                        {"targets", nlohmann::json::array()},
                        {"ladder", nlohmann::json::array()}};
  for (const Series& series : run.series) {
    nlohmann::json target = to_json(Row::of(series));
    target["label"] = series.label;
    target["epsilon"] = series.epsilon;
    for (const Interest interest : interests)
      if (const Row row = Row::of(series, interest); !row.bytes.empty())
        target["by_user"][std::string(name(interest))] = to_json(row);
    out["targets"].push_back(target);
  }
  for (std::size_t level = 0; level < run.ladder.certified.size() && !run.ladder.certified[level].empty(); ++level)
    out["ladder"].push_back({{"level", rank_levels[level]},
                             {"certified", to_json(Quantiles::of(run.ladder.certified[level]))},
                             {"realised", to_json(Quantiles::of(run.ladder.realised[level]))}});
  return out;
}

Report to_report(const RankingRun& run) {
  const std::size_t users = run.scan_seconds.size();
  Report report("ranking", "Ranking a catalogue",
                text("The ", run.k, " best of ", grouped(run.items), " items with ", run.dims, " dimensions (",
                     run.family, ") for ", grouped(users),
                     " users: seven in ten near the items, two between, one "
                     "in a random direction. Error is score regret: the largest difference, position by "
                     "position, between the exact scores and those of the answer. Command: ranking_pool."));
  const Row first = Row::of(run.series.front());
  report.facts({{"mean per request, epsilon " + target_name(run.series.front()), bytes_text(mean(first.bytes))},
                {"worst case per request", bytes_text(run.worst_case)},
                {"shared by all requests", bytes_text(run.resident)},
                {"bounds that did not hold", std::to_string(violations(run).size())}});
  report.table(summary(run));
  report.section(
      "What the columns mean",
      text("Worst case: every row in fp32, which is what an engine without levels reads for a request. Mean and "
           "p99: the most a request held, each byte accounted for in the ledger; the 1-bit codes, ",
           bytes_text(run.resident), ", are shared by all requests and not in it, nor is the backing store of ",
           bytes_text(run.backing),
           " in host memory that finer codes and rows come from. Requests had a hard "
           "cap of ",
           bytes_text(run.cap), "; the most they held was ", bytes_text(run.peak),
           ". The scan is kernels::rescore over all fp32 rows and kernels::topk, one thread, in turns with the "
           "requests: ",
           compact(scans_per_second(run)),
           " queries/s. An epsilon in % is relative to the median "
           "k-th best score."));

  Bars bars{"Where requests stop", level_names(), {}};
  for (const Series& series : run.series) bars.rows.push_back({"ε " + target_name(series), Row::of(series).released});
  report.section(bars.title, "Share of requests that were released at each precision.");
  report.bars(bars);

  Curve curve{"Bound against level", "score", level_names(), {{"certified bound", {}}, {"realised error", {}}}, {}};
  for (std::size_t level = 0; level < run.ladder.certified.size() && !run.ladder.certified[level].empty(); ++level) {
    curve.lines[0].points.push_back(Quantiles::of(run.ladder.certified[level]));
    curve.lines[1].points.push_back(Quantiles::of(run.ladder.realised[level]));
  }
  for (const Series& series : run.series)
    if (series.epsilon > 0.0) curve.marks.push_back({"ε " + target_name(series), series.epsilon});
  if (curve.lines[0].points.size() == levels) {
    report.section(curve.title,
                   "What is promised and what is true after each level, over all users: median, 10 to 90 % as a "
                   "band, the largest as a whisker. A request that was certified exact stays at 0.");
    report.curve(curve);
  }

  ByteSpread spread{"Bytes per request", {}, {}, run.worst_case};
  for (const Interest interest : interests) spread.groups.emplace_back(name(interest));
  for (const Series& series : run.series) {
    ByteSpread::Row row{"ε " + target_name(series), {}};
    for (const Interest interest : interests) row.bytes.push_back(Row::of(series, interest).bytes);
    spread.rows.push_back(row);
  }
  report.section(spread.title,
                 "How many requests held how much at most, by kind of user. The axis is logarithmic; each row has its "
                 "own height.");
  report.spread(spread);
  report.section("By kind of user",
                 "What each kind held and how fast it was served. The scan costs the same for everybody.");
  report.table(by_interest(run));
  return report;
}

}  // namespace mpp::examples
