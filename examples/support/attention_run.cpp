#include "support/attention_run.hpp"

#include <algorithm>
#include <iterator>

#include "support/statistics.hpp"

namespace mpp::examples {
namespace {

constexpr std::size_t levels = std::size(attention_levels);

/// What a row of a table says about some of the reads of a series.
struct Row {
  std::vector<double> bytes, seconds, exact_seconds, promoted, certified, realised;
  std::vector<double> released = std::vector<double>(levels, 0.0);
  std::size_t denied = 0;

  void add(const ServedRead& read) {
    bytes.push_back(read.bytes);
    seconds.push_back(read.seconds);
    exact_seconds.push_back(read.exact_seconds);
    promoted.push_back(static_cast<double>(read.promoted));
    if (read.verdict != Verdict::certified) {
      ++denied;
      return;
    }
    released[read.level] += 1.0;
    certified.push_back(read.certified);
    realised.push_back(read.realised);
  }
  static double largest(const std::vector<double>& x) { return x.empty() ? 0.0 : *std::ranges::max_element(x); }

  template <class Wanted>
  static Row of(const AttentionSeries& series, const Wanted& wanted) {
    Row row;
    for (const ServedRead& read : series.reads)
      if (wanted(read)) row.add(read);
    return row;
  }
  static Row of(const AttentionSeries& series) {
    return of(series, [](const ServedRead&) { return true; });
  }
};

std::string speed(const Row& row) { return compact(median(row.exact_seconds) / median(row.seconds)) + "x"; }

nlohmann::json to_json(const Row& row) {
  return {{"reads", row.bytes.size()},
          {"mean_bytes", mean(row.bytes)},
          {"p99_bytes", quantile(row.bytes, 0.99)},
          {"median_seconds", median(row.seconds)},
          {"exact_median_seconds", median(row.exact_seconds)},
          {"pages_promoted", total(row.promoted)},
          {"released_at", row.released},
          {"denied", row.denied},
          {"certified_error", Row::largest(row.certified)},
          {"realised_error", Row::largest(row.realised)}};
}

Table by_focus(const AttentionRun& run) {
  Table table({"epsilon", "read", "reads", "vs exact", "pages promoted per read", "certified, median",
               "realised, median", "certified, largest", "realised, largest"},
              2);
  for (const AttentionSeries& series : run.series)
    for (const Focus focus : focuses) {
      const Row row = Row::of(series, [&](const ServedRead& read) { return read.focus == focus; });
      if (row.certified.empty()) continue;
      table.row({series.label, std::string(name(focus)), grouped(row.bytes.size()), speed(row),
                 compact(mean(row.promoted)), compact(median(row.certified)), compact(median(row.realised)),
                 compact(Row::largest(row.certified)), compact(Row::largest(row.realised))});
    }
  return table;
}

}  // namespace

Table summary(const AttentionRun& run) {
  Table table({"epsilon", "exact", "cache before", "cache after", "of exact", "a read holds", "vs exact",
               "pages promoted", "released at K4V4 / resident / promoted / again / exact, %", "denied", "certified",
               "realised"});
  for (const AttentionSeries& series : run.series) {
    const Row row = Row::of(series);
    table.row({series.label, bytes_text(run.exact_bytes), bytes_text(series.cache_before),
               bytes_text(series.cache_after), compact(series.cache_after / run.exact_bytes),
               bytes_text(mean(row.bytes)), speed(row), grouped(static_cast<std::size_t>(total(row.promoted))),
               shares(row.released, total(row.released)), std::to_string(row.denied),
               compact(Row::largest(row.certified)), compact(Row::largest(row.realised))});
  }
  return table;
}

std::vector<std::string> violations(const AttentionRun& run) {
  std::vector<std::string> out;
  for (const AttentionSeries& series : run.series)
    for (std::size_t i = 0; i < series.reads.size(); ++i) {
      const ServedRead& read = series.reads[i];
      if (read.verdict != Verdict::certified || read.level + 1 == levels || read.realised <= read.certified) continue;
      out.push_back(text("read ", i, " (", name(read.focus), "), epsilon ", series.label, ", released at ",
                         attention_levels[read.level], ": the realised error ", read.realised,
                         " is above the certified one, ", read.certified));
    }
  return out;
}

nlohmann::json to_json(const AttentionRun& run) {
  nlohmann::json out = {{"program", "llm_attention"},
                        {"metric", name(run.metric)},
                        {"kv_len", run.kv_len},
                        {"num_kv_heads", run.num_kv_heads},
                        {"group", run.group},
                        {"head_dim", run.head_dim},
                        {"bytes", {{"exact", run.exact_bytes}, {"cap", run.cap}, {"peak", run.peak}}},
                        {"targets", nlohmann::json::array()}};
  for (const AttentionSeries& series : run.series) {
    nlohmann::json target = to_json(Row::of(series));
    target["label"] = series.label;
    target["epsilon"] = series.epsilon;
    target["cache_bytes"] = {{"before", series.cache_before}, {"after", series.cache_after}};
    for (const Focus focus : focuses) {
      const Row row = Row::of(series, [&](const ServedRead& read) { return read.focus == focus; });
      if (!row.bytes.empty()) target["by_read"][std::string(name(focus))] = to_json(row);
    }
    out["targets"].push_back(target);
  }
  return out;
}

Report to_report(const AttentionRun& run) {
  Report report("attention", "Reading a long context",
                text("Decode attention over ", grouped(run.kv_len), " tokens, ", run.num_kv_heads, " KV heads with ",
                     run.group, " queries each, head_dim ", run.head_dim,
                     "; sharp, flat and needle reads in turns. Error is ", name(run.metric),
                     " of the worst head against the exact cache, proven for each read. Command: llm_attention."));
  const AttentionSeries& first = run.series.front();
  report.facts({{"exact keys and values", bytes_text(run.exact_bytes)},
                {"what reads touch, epsilon " + first.label, bytes_text(first.cache_after)},
                {"speed against exact reads", speed(Row::of(first))},
                {"bounds that did not hold", std::to_string(violations(run).size())}});
  report.table(summary(run));
  report.section(
      "What the columns mean",
      text("Exact: keys and values in 16 bits, which is what every read of an engine without levels touches. Cache: "
           "what reads touch here, before the first read and after the last, with the pages that reads have "
           "promoted meanwhile; exact pages wait in host memory beside it. A read holds its own planes and scratch "
           "on top, each byte accounted for in the ledger. Cache and reads of a target together held at most ",
           bytes_text(run.peak), " of a hard cap of ", bytes_text(run.cap),
           ". Speed: median read against the median exact read through the same kernel, in turns, one thread."));

  Bars bars{"Where reads stop", {std::begin(attention_levels), std::end(attention_levels)}, {}};
  for (const AttentionSeries& series : run.series) bars.rows.push_back({"ε " + series.label, Row::of(series).released});
  report.section(bars.title, "Share of reads that were released at each level.").bars(bars);

  PageMap map{"Which pages were promoted", {std::begin(page_levels), std::end(page_levels)}, {}};
  for (const AttentionSeries& series : run.series)
    for (std::size_t h = 0; h < series.map.size(); ++h)
      map.rows.push_back({text("ε ", series.label, ", head ", h), series.map[h]});
  report.section(map.title,
                 "The context from its first page to the newest, one strip per KV head: the most that any read of the "
                 "stream had of each page.");
  report.pages(map);
  report.section("By kind of read", "How far certificates and true errors are apart.").table(by_focus(run));
  return report;
}

}  // namespace mpp::examples
