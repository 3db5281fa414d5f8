#pragma once
// The side of bench_attention that bench/peers/attention.py drives, so that peers take turns with us.
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>

#include <nlohmann/json.hpp>

#include "attention_timings.hpp"
#include "npy.hpp"

namespace mpp::bench {

/// Answers lines of stdin with one line of JSON each; bench/README.md describes them.
class AttentionServer {
 public:
  explicit AttentionServer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  int serve() {
    std::cout << nlohmann::json{{"ready", true}}.dump() << std::endl;
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
      std::istringstream words(line);
      std::string command, levels;
      words >> command >> levels;
      if (command == "free") {
        timed_.clear();
        std::cout << nlohmann::json{{"free", true}}.dump() << std::endl;
        continue;
      }
      expects<ValueError>(command == "read" || command == "time", "bench_attention --serve: command is '", command,
                          "', expected read, time or free");
      std::cout << (command == "read" ? read(named(levels)) : time(named(levels), words)).dump() << std::endl;
    }
    return 0;
  }

 private:
  struct Timed {
    PagePool pool;
    std::vector<float> queries;
    PoolPass pass;
    Timed(PageLevels levels, std::size_t context, std::size_t head_dim, std::size_t group)
        : pool(timed_head(head_dim), levels, context / page_tokens), queries(timed_queries(head_dim)),
          pass(pool, head_dim, context / page_tokens, group, queries) {}
  };

  static PageLevels named(const std::string& name) {
    for (const PageLevels levels : timed_levels)
      if (name == levels.name) return levels;
    throw ValueError(text("bench_attention --serve: levels are '", name, "', expected k4v4 ... exact"));
  }

  /// Outputs and certificates of the queries in the folder.
  nlohmann::json read(PageLevels levels) const {
    const auto keys = read_npy<std::uint16_t>(folder_ / "keys.npy"),
               values = read_npy<std::uint16_t>(folder_ / "values.npy");
    const auto queries = read_npy(folder_ / "queries.npy");
    const CodedHead head({KvType::float16, keys.dims, keys.values, values.values});
    std::vector<KvPage> pages;
    for (std::size_t p = 0; p < head.pages(); ++p) pages.push_back(head.view(p, levels.key, levels.value));
    GroupRead read(head, queries.rows, 1.0F / std::sqrt(static_cast<float>(keys.dims)));
    read.levels(std::move(pages));
    read.run(queries.values);
    nlohmann::json found = {
        {"output", nlohmann::json::array()}, {"tv", nlohmann::json::array()}, {"error", nlohmann::json::array()}};
    for (std::size_t h = 0; h < queries.rows; ++h) {
      found["output"].push_back(std::vector<float>(read.output(h).begin(), read.output(h).end()));
      found["tv"].push_back(read.certificate(h).attention_tv);
      found["error"].push_back(read.certificate(h).output_error);
    }
    return found;
  }

  /// One pass over a pool larger than the last cache; pools are kept until `free`.
  nlohmann::json time(PageLevels levels, std::istream& words) {
    std::size_t context = 0, head_dim = 0, group = 0;
    words >> context >> head_dim >> group;
    expects<ValueError>(!words.fail() && context >= page_tokens, "bench_attention --serve: time ", levels.name,
                        " is not followed by context, head_dim and group");
    const std::string key = text(levels.name, ' ', context, ' ', head_dim, ' ', group);
    if (!timed_.contains(key)) timed_.emplace(key, std::make_unique<Timed>(levels, context, head_dim, group));
    PoolPass& pass = timed_.at(key)->pass;
    const double plain = pass.seconds(false), certified = pass.seconds(true);
    return {{"us", plain * 1e6},
            {"certified_us", certified * 1e6},
            {"reads", pass.reads()},
            {"bytes_per_token", static_cast<double>(timed_.at(key)->pool.page_bytes()) / page_tokens}};
  }

  std::filesystem::path folder_;
  std::map<std::string, std::unique_ptr<Timed>> timed_;
};

}  // namespace mpp::bench
