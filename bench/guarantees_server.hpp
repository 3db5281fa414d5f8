#pragma once
// The side of bench_guarantees that bench/peers/guarantees.py drives: our limits for the samples it makes.
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/guarantees/calibrate.hpp>
#include <mpp/core/guarantees/limits.hpp>
#include <mpp/core/guarantees/sample_size.hpp>

namespace mpp::bench {

/// One question: {"call": name, ...arguments by name}.
inline double answer_guarantees(const nlohmann::json& question) {
  using namespace guarantees;
  const std::string call = question.at("call");
  const auto number = [&](const char* name) { return question.at(name).get<double>(); };
  const auto whole = [&](const char* name) { return question.at(name).get<std::uint64_t>(); };
  if (call == "minimum_samples")
    return static_cast<double>(minimum_samples({number("risk")}, {number("beta")}, whole("violations")));
  if (question.contains("n")) {
    const Count count{whole("violations"), whole("n")};
    if (call == "clopper_pearson_upper") return clopper_pearson_upper(count, {number("beta")});
    if (call == "clopper_pearson_lower") return clopper_pearson_lower(count, {number("beta")});
    if (call == "binomial_p") return binomial_p(count, number("risk"));
  }
  if (question.contains("losses")) {
    const auto losses = question.at("losses").get<std::vector<double>>();
    if (call == "hoeffding_bentkus_upper") return hoeffding_bentkus_upper(losses, {number("beta")});
    if (call == "hoeffding_bentkus_lower") return hoeffding_bentkus_lower(losses, {number("beta")});
    if (call == "empirical_bernstein_upper") return empirical_bernstein_upper(losses, {number("beta")});
    if (call == "empirical_bernstein_lower") return empirical_bernstein_lower(losses, {number("beta")});
    if (call == "betting_upper") return betting_upper(losses, {number("beta")});
    if (call == "betting_lower") return betting_lower(losses, {number("beta")});
    if (call == "hoeffding_bentkus_p") return hoeffding_bentkus_p(losses, number("risk"));
    if (call == "betting_p") return betting_p(losses, number("risk"));
  }
  if (question.contains("scores")) {
    const auto scores = question.at("scores").get<std::vector<double>>();
    if (call == "split_conformal") return calibrate_ratio(scores, {.risk = {number("risk")}, .beta = {}}).kappa;
    if (call == "tolerance")
      return calibrate_ratio(scores, {.risk = {number("risk")}, .beta = Delta{number("beta")}}).kappa;
  }
  throw ValueError("bench_guarantees --serve: no call '" + call + "' with these arguments; see bench/README.md");
}

/// Says {"ready": true}, then answers each line of stdin with {"value": x} or {"error": sentence}; "quit" ends.
inline int serve_guarantees() {
  std::cout << nlohmann::json{{"ready", true}}.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    nlohmann::json answer;
    try {
      answer["value"] = answer_guarantees(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace mpp::bench
