// Long-context attention reads for a stream of queries, each with no more precision than its own certificate needs.
//
// A KV cache holds keys and values of every page in 8 and 4 bits, and the exact numbers in host memory. A read starts from what
// is there, and brings in single planes of the pages that its bound depends on until the bound is within epsilon; they stay for
// the reads that follow. Here every answer is also compared with attention in double precision: a bound that does not hold
// ends in exit code 1.
#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <mpp/llm/kv_tier.hpp>

#include "support/attention_check.hpp"
#include "support/attention_run.hpp"
#include "support/demo_main.hpp"
#include "support/progress_line.hpp"
#include "support/statistics.hpp"
#include "support/stopwatch.hpp"

namespace {

using namespace mpp;
using namespace mpp::examples;
using kernels::PageLevel;

struct Options {
  std::size_t kv_len = 8192;
  std::size_t kv_heads = 2;
  std::size_t group = 4;
  std::size_t head_dim = 128;
  std::size_t reads = 30;
  std::size_t repeat = 3;
  std::uint64_t seed = 1;
  std::vector<std::string> epsilon{"0.1", "0.05", "0.02", "0"};
  std::string metric = "attention_tv";
  bool forget = false;
  std::optional<double> cap_mb;
  std::string json, report;
  bool progress = false;
};

void describe(CLI::App& app, Options& o) {
  app.add_option("--kv-len", o.kv_len, "Tokens of the context")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--kv-heads", o.kv_heads, "KV heads")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--group", o.group, "Queries that share a KV head")->capture_default_str()->check(CLI::Range(1, 16));
  app.add_option("--head-dim", o.head_dim, "Channels of a head, a multiple of 32")
      ->capture_default_str()
      ->check(CLI::Range(32, 256));
  app.add_option("--reads", o.reads, "Reads to serve: sharp, flat and needle in turns")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--epsilon", o.epsilon,
                 "Error accepted, one or more, in the unit of the metric. 0 asks for the exact read")
      ->capture_default_str();
  app.add_option(
         "--metric", o.metric,
         "attention_tv: total variation of the weights; attention_output: error of the output relative to rms(v)")
      ->capture_default_str()
      ->check(CLI::IsMember({"attention_tv", "attention_output"}));
  app.add_flag("--forget", o.forget, "Do not keep what reads promote for the reads that follow");
  app.add_option("--seed", o.seed, "Of keys, values and queries")->capture_default_str();
  app.add_option("--cap-mb", o.cap_mb,
                 "Hard cap in MB on cache and reads, beside the exact pages; default: the size of the exact pages")
      ->check(CLI::Range(0.0, 1e9));
  app.add_option("--repeat", o.repeat, "Times each read is timed; the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--json", o.json, "Write the figures to this file");
  app.add_option("--report", o.report, "Write an HTML report to this file; other workloads' parts in it stay");
  app.add_flag("--progress", o.progress, "Say on stderr how far it is, also when that is not a terminal");
}

double epsilon_of(const std::string& word) {
  std::size_t used = 0;
  double value = -1.0;
  try {
    value = std::stod(word, &used);
  } catch (const std::exception&) {
  }
  expects<ValueError>(value >= 0.0 && used == word.size(), "--epsilon: \"", word,
                      "\", expected a number >= 0 such as 0.05");
  return value;
}

/// What a read at `level` had of every page.
PageLevels levels_of(const llm::PagedKvCache& cache, llm::SequenceId sequence, Level level,
                     const llm::AttentionResult& result) {
  PageLevels levels;
  std::size_t pages = 0;
  for (std::size_t h = 0; h < cache.geometry().num_kv_heads; ++h) {
    const auto table = cache.pages(sequence, 0, h);
    pages = table.size();
    for (const kernels::KvPage& page : table) {
      const bool open = page.key_level == PageLevel::exact && page.key_planes[0] == nullptr;
      const bool exact = open || level == llm::KvTier::exact;
      const bool draft = level == llm::KvTier::draft;
      levels.push_back(exact   ? std::array{PageLevel::exact, PageLevel::exact}
                       : draft ? std::array{PageLevel::bits4, PageLevel::bits4}
                               : std::array{page.key_level, page.value_level});
    }
  }
  if (level == llm::KvTier::promoted || level == llm::KvTier::promoted_again)
    for (const llm::Promotion& promotion : result.promotions)
      levels[promotion.page.kv_head * pages + promotion.page.page] = {promotion.keys, promotion.values};
  return levels;
}

std::size_t map_level(const std::array<PageLevel, 2>& page) {
  const auto [keys, values] = page;
  if (keys == PageLevel::exact && values == PageLevel::exact) return 4;
  if (keys == PageLevel::exact || values == PageLevel::exact) return 3;
  if (keys == PageLevel::bits12 && values == PageLevel::bits8) return 2;
  return keys == PageLevel::bits12 || values == PageLevel::bits8 ? 1 : 0;
}

double bytes(const Footprint& footprint) { return static_cast<double>(footprint.total().count); }

/// The stream of reads under one target, on a cache and a ledger of its own.
class Stream {
 public:
  Stream(const AttentionScene& scene, const AttentionCheck& check, const Options& o, Footprint cap)
      : scene_(scene), check_(check), options_(o), ledger_(cap), requests_(ledger_.open(ledger_.root(), "reads")),
        cache_({}, {.layers = 1, .num_kv_heads = scene.num_kv_heads, .head_dim = scene.head_dim},
               ledger_.open(ledger_.root(), "cache")),
        controller_(tier_, estimator_, requests_) {
    auto sequence = cache_.open();
    expects<std::runtime_error>(std::holds_alternative<llm::SequenceId>(sequence),
                                "--cap-mb: no room for an empty cache");
    sequence_ = std::get<llm::SequenceId>(sequence);
    const auto denial = cache_.append(sequence_, 0, scene.keys, scene.values);
    expects<std::runtime_error>(!denial, "--cap-mb: the cache does not fit under the cap");
  }

  AttentionSeries serve(const std::string& label, ProgressLine& line, std::size_t done, std::size_t all) {
    AttentionSeries series{label, epsilon_of(label)};
    series.map.assign(scene_.num_kv_heads, std::vector<std::size_t>(check_.pages(), 0));
    series.cache_before = touched();
    for (const AttentionScene::Read& read : scene_.reads) {
      series.reads.push_back(serve(read, series.epsilon, series.map));
      line(++done, all);
    }
    series.cache_after = touched();
    return series;
  }

  [[nodiscard]] double peak() { return bytes(ledger_.root().peak()); }

 private:
  [[nodiscard]] llm::AttentionRequest request(const AttentionScene::Read& read, double epsilon) const {
    llm::AttentionRequest request;
    request.cache = &cache_;
    request.sequence = sequence_;
    request.queries = read.queries;
    request.metric =
        options_.metric == "attention_tv" ? llm::AttentionMetric::attention_tv : llm::AttentionMetric::attention_output;
    request.epsilon = {epsilon};
    return request;
  }

  ServedRead serve(const AttentionScene::Read& read, double epsilon, std::vector<std::vector<std::size_t>>& map) {
    const llm::AttentionRequest wanted = request(read, epsilon);
    Outcome<llm::AttentionResult> outcome;
    const llm::AttentionRequest exact = request(read, 0.0);
    std::vector<double> times, exact_times;
    for (std::size_t i = 0; i < options_.repeat; ++i) {
      exact_times.push_back(seconds([&] { (void)controller_.serve(exact, {}); }));
      times.push_back(seconds([&] { outcome = controller_.serve(wanted, {.epsilon = {epsilon}}); }));
    }
    ServedRead served{read.focus,          outcome.verdict, outcome.level,
                      bytes(outcome.peak), median(times),   median(exact_times)};
    if (!outcome.certified()) return served;
    const llm::AttentionResult& result = outcome.value();
    const PageLevels levels = levels_of(cache_, sequence_, outcome.level, result);
    const AttentionError error = check_.error(read, levels, result.output);
    served.certified = outcome.bound.value();
    served.realised = wanted.metric == llm::AttentionMetric::attention_tv ? error.attention_tv : error.attention_output;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      std::size_t& most = map[i / check_.pages()][i % check_.pages()];
      most = std::max(most, map_level(levels[i]));
    }
    served.promoted = result.promotions.size();
    // No room to keep them is no failure: the next read makes its own.
    if (!options_.forget) (void)keep_promotions(cache_, sequence_, result);
    return served;
  }

  // What reads touch: everything but the exact numbers of sealed pages that wait.
  [[nodiscard]] double touched() const {
    const llm::KvUsage usage = cache_.usage();
    llm::KvUsage without = usage;
    without.host_exact = 0;
    double open = 0.0, promoted = 0.0;
    for (std::size_t h = 0; h < scene_.num_kv_heads; ++h)
      for (const kernels::KvPage& page : cache_.pages(sequence_, 0, h)) {
        const auto half = static_cast<double>(kernels::page_exact_bytes(scene_.head_dim));
        (page.key_planes[0] == nullptr ? open : promoted) +=
            half * ((page.key_level == PageLevel::exact) + (page.value_level == PageLevel::exact));
      }
    return bytes(llm::kv_data_bytes(kernels::Device::cpu, cache_.geometry(), without)) + open + promoted;
  }

  const AttentionScene& scene_;
  const AttentionCheck& check_;
  const Options& options_;
  Ledger ledger_;
  Account requests_;
  llm::PagedKvCache cache_;
  llm::SequenceId sequence_;
  llm::KvTier tier_;
  llm::AttentionBound estimator_;
  llm::AttentionController controller_;
};

AttentionRun measure(const Options& o) {
  for (const std::string& word : o.epsilon) (void)epsilon_of(word);  // before the work, not after
  const AttentionScene scene = make_scene(o.kv_len, o.kv_heads, o.group, o.head_dim, o.reads, o.seed);
  const AttentionCheck check(scene);
  const double exact_bytes = 2.0 * 2.0 * static_cast<double>(scene.keys.size());
  const double cap = o.cap_mb ? *o.cap_mb * 1e6 : std::max(exact_bytes, 4e6);
  AttentionRun run{.kv_len = o.kv_len,
                   .num_kv_heads = o.kv_heads,
                   .group = o.group,
                   .head_dim = o.head_dim,
                   .metric = o.metric == "attention_tv" ? llm::AttentionMetric::attention_tv
                                                        : llm::AttentionMetric::attention_output,
                   .exact_bytes = exact_bytes,
                   .cap = cap};
  // On the CPU the exact pages are in the same memory, and the ledger counts them too.
  const auto limit = Footprint::host({static_cast<std::uint64_t>(cap + exact_bytes)});
  ProgressLine line("serving reads", o.progress);
  for (std::size_t i = 0; i < o.epsilon.size(); ++i) {
    Stream stream(scene, check, o, limit);
    run.series.push_back(stream.serve(o.epsilon[i], line, i * o.reads, o.epsilon.size() * o.reads));
    run.peak = std::max(run.peak, stream.peak() - exact_bytes);
  }
  return run;
}

void print(const AttentionRun& run) {
  std::cout
      << grouped(run.kv_len) << " tokens, " << run.num_kv_heads << " KV heads x " << run.group << " queries, head_dim "
      << run.head_dim << ", " << grouped(run.series.front().reads.size()) << " reads, metric " << name(run.metric)
      << "\n"
      << "exact keys and values: " << bytes_text(run.exact_bytes) << "; cap beside them: " << bytes_text(run.cap)
      << ", most held: " << bytes_text(run.peak) << "\n"
      << "vs exact: reads of exact pages through the same kernel, in turns with ours, one thread\n\n"
      << summary(run)
      << "\ncache: what reads touch, before the first and after the last read; certified and realised: the largest of "
         "all reads and heads\n";
}

}  // namespace

int main(int argc, char** argv) {
  return demo_main<Options>(argc, argv, "llm_attention",
                            "Certified attention reads of a long context: memory, speed and error beside exact reads.",
                            describe, measure, print);
}
