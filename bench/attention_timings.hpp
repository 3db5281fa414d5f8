#pragma once
// Which reads are timed, and what is reported of them.
#include "attention_speed.hpp"

namespace mpp::bench {

inline constexpr std::array timed_levels{k4v4, k8v4, k8v8, k12v8, exact_pages};

/// A head of Gaussian numbers to copy pages from.
inline CodedHead timed_head(std::size_t head_dim) {
  Random random(6);
  const Numbers number = [](Random& r, std::size_t, std::size_t) { return normal(r); };
  return CodedHead(rows_of(random, KvType::float16, 16 * page_tokens, head_dim, number, number));
}

inline std::vector<float> timed_queries(std::size_t head_dim) {
  Random random(7);
  std::vector<float> queries(kernels::max_group * head_dim);
  for (float& q : queries) q = static_cast<float>(normal(random));
  return queries;
}

/// All levels in turn, with and without certificate, so that whatever else the machine does hits all alike.
inline std::map<std::string, ReadTimes> time_reads(const std::map<std::string, PagePool>& pools, std::size_t head_dim,
                                                   std::size_t context, std::size_t group, std::size_t repetitions) {
  const std::vector<float> queries = timed_queries(head_dim);
  std::map<std::string, PoolPass> passes;
  for (const auto& [name, pool] : pools)
    passes.try_emplace(name, pool, head_dim, context / page_tokens, group, queries);
  std::map<std::string, ReadTimes> times;
  for (std::size_t repetition = 0; repetition <= repetitions; ++repetition)
    for (auto& [name, pass] : passes) {
      const bool plain_first = repetition % 2 == 1;  // what the first one leaves behind helps either as often
      const double first = pass.seconds(!plain_first), second = pass.seconds(plain_first);
      if (repetition == 0) continue;  // fresh memory of the outputs
      const double plain = plain_first ? first : second, certified = plain_first ? second : first;
      times[name].plain.push_back(plain);
      times[name].certified.push_back(certified);
      times[name].cost.push_back(certified / plain - 1.0);
    }
  return times;
}

inline std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

inline void measure_speed(Report& report) {
  report.set("llm.copy_gbps", copy_gbps());
  std::vector<double> cost;
  double log_speedup = 0.0;
  for (const std::size_t head_dim : {128, 64}) {
    if (report.quick() && head_dim != 128) continue;
    const CodedHead head = timed_head(head_dim);
    std::map<std::string, PagePool> pools;
    for (const PageLevels levels : timed_levels) {
      check_reads(head, timed_queries(head_dim), 8, levels);
      pools.try_emplace(levels.name, head, levels, 2048);
      report.set(text("llm.bytes_per_token.", levels.name, ".d", head_dim),
                 static_cast<double>(pools.at(levels.name).page_bytes()) / page_tokens);
    }
    for (const std::size_t kilo : {1, 8, 32, 128})
      for (const std::size_t group : {1, 4, 8}) {
        if (report.quick() && kilo != 32 && group != 4) continue;
        const bool summed_up = kilo == 32 && head_dim == 128;  // in one number each: not of a few noisy passes
        const std::size_t repetitions = summed_up ? 16 : report.quick() ? 2 : 8;
        const auto times = time_reads(pools, head_dim, kilo * 1024, group, repetitions);
        const std::string where = text(".", kilo, "k.d", head_dim, ".g", group);
        for (const auto& [name, taken] : times) {
          const double bytes = static_cast<double>(pools.at(name).page_bytes() * kilo * 1024 / page_tokens);
          report.spread("llm.us." + name + where, scaled(taken.certified, 1e6));
          report.set("llm.plain_us." + name + where, median(taken.plain) * 1e6);
          report.set("llm.gbps." + name + where, bytes / median(taken.certified) * 1e-9);
          report.set("llm.certificate_cost." + name + where, median(taken.cost));
        }
        if (!summed_up) continue;
        const ReadTimes& ours = times.at(k8v4.name);
        cost.insert(cost.end(), ours.cost.begin(), ours.cost.end());
        const double speedup = median(times.at(exact_pages.name).plain) / median(ours.certified);
        report.set(text("llm.speedup_k8v4_32k.g", group), speedup);
        log_speedup += std::log(speedup) / 3.0;
      }
  }
  report.spread("llm.certificate_cost", cost);
  report.set("llm.speedup_k8v4_32k", std::exp(log_speedup));
}

}  // namespace mpp::bench
