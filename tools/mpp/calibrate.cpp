#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include <mpp/core/guarantees/record.hpp>
#include <mpp/core/guarantees/sample_size.hpp>
#include <mpp/core/guarantees/sampling_coin.hpp>

#include "mpp/commands.hpp"
#include "mpp/random_word.hpp"
#include "mpp/table.hpp"

namespace mpp::tools {
namespace {

using namespace guarantees;
using Json = nlohmann::json;

struct Options {
  std::string input;
  std::string method = "policy";
  std::vector<double> thresholds;
  std::vector<std::string> losses;
  double epsilon = std::nan("");
  double risk = 0.01;
  double beta = 0.05;
  bool graded = false;
  PolicyIds ids;
  std::uint64_t seed = 0;
  std::string record;
  bool json = false;
};

struct Answer {
  std::optional<CalibrationRecord> record;  ///< of what is certified; its ids are checked only if it is kept
  Json figures;
  std::string sentence;
};

// error_0, error_1, ... with signal_0, signal_1, ...: the levels below the exact one. A column like these that fits no
// level is refused: a level misspelt would be a level left out, and its violations with it.
struct Levels {
  explicit Levels(const Table& table) {
    for (std::size_t level = 0; table.has(text("error_", level)) || level == 0; ++level) {
      errors.push_back(&table.column(text("error_", level)));
      signals.push_back(&table.column(text("signal_", level)));
      for (std::size_t row = 0; row < table.rows(); ++row)
        expects<ValueError>((*errors[level])[row] >= 0.0, "row ", row + 1, ": error_", level, " is ",
                            (*errors[level])[row], ", expected >= 0");
    }
    for (const std::string& name : table.names())
      expects<ValueError>(known(name), "column '", name, "' belongs to none of the ", errors.size(),
                          " levels, expected error_0, signal_0, error_1, signal_1 ... without a gap");
  }
  std::vector<const std::vector<double>*> errors, signals;

 private:
  [[nodiscard]] bool known(const std::string& name) const {
    if (!name.starts_with("error_") && !name.starts_with("signal_")) return true;
    for (std::size_t level = 0; level < errors.size(); ++level)
      if (name == text("error_", level) || name == text("signal_", level)) return true;
    return false;
  }
};

// The rows in an order that the seed alone decides: a bet on graded losses holds only if their order does not depend on
// their values, and files come sorted.
std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed) {
  std::vector<std::pair<std::uint64_t, std::size_t>> keyed;
  for (std::size_t row = 0; row < rows; ++row)
    keyed.emplace_back(siphash({seed, 0}, std::as_bytes(std::span(&row, 1))), row);
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::size_t> order;
  for (const auto& [key, row] : keyed) order.push_back(row);
  return order;
}

std::vector<double> losses(const Table& table, const Options& o) {
  std::vector<double> losses;
  if (!o.losses.empty()) {
    expects<ValueError>(o.losses.size() == o.thresholds.size(), "--losses names ", o.losses.size(),
                        " columns, expected ", o.thresholds.size(), ", one per threshold");
    const std::vector<std::size_t> order = shuffled_rows(table.rows(), o.seed);
    for (const std::string& name : o.losses)
      for (const std::size_t row : order) losses.push_back(table.column(name)[row]);
    return losses;
  }
  expects<ValueError>(!o.graded, "--graded needs --losses: what is computed from errors and signals is 0 or 1");
  const Levels levels(table);
  for (const double threshold : o.thresholds)
    for (std::size_t row = 0; row < table.rows(); ++row) {
      std::size_t level = 0;
      while (level < levels.signals.size() && !((*levels.signals[level])[row] >= threshold)) ++level;
      losses.push_back(level < levels.errors.size() && (*levels.errors[level])[row] > o.epsilon ? 1.0 : 0.0);
    }
  return losses;
}

// Ids that were not given stand as "unnamed" until a record is asked for.
PolicyIds named(PolicyIds ids, bool kept) {
  for (std::string PolicyIds::*id :
       {&PolicyIds::model, &PolicyIds::kernel, &PolicyIds::estimator, &PolicyIds::policy, &PolicyIds::workload})
    if (!kept && (ids.*id).empty()) ids.*id = "unnamed";
  return ids;
}
std::chrono::sys_seconds now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

Answer policy(const Table& table, const Options& o) {
  expects<ValueError>(!o.thresholds.empty(), "--thresholds is missing: fix them before looking at the data");
  // Graded losses were computed with whatever epsilon they have; without one the record holds 0.
  const double epsilon = o.graded && std::isnan(o.epsilon) ? 0.0 : o.epsilon;
  expects<ValueError>(epsilon >= 0.0, "--epsilon is ", epsilon, ", expected >= 0 for a policy");
  const PolicyClaim claim{.risk = {o.risk}, .beta = {o.beta}, .kind = o.graded ? LossKind::graded : LossKind::binary};
  std::vector<double> order = o.thresholds;
  const auto result = calibrate_policy(losses(table, o), order, claim);
  Answer answer;
  answer.figures = {{"method", "policy"},
                    {"risk", o.risk},
                    {"beta", o.beta},
                    {"requests", result.n},
                    {"seed", o.seed},
                    {"last_mean_loss", result.last_mean_loss},
                    {"least_escalation", result.least_escalation},
                    {"p_values", result.p_values},
                    {"certified", result.index.has_value()}};
  answer.sentence = text("pre-check: the last threshold has mean loss ", result.last_mean_loss,
                         "; if it releases everything, at least ", 100.0 * result.least_escalation,
                         " % of the requests must go up\n");
  if (!result.index) {
    answer.sentence += text("nothing is certified: the first threshold, ", order[0], ", has p = ", result.p_values[0],
                            ", expected at most ", o.beta, "\n");
    return answer;
  }
  answer.figures.update({{"threshold", result.threshold}, {"k", result.loss}, {"limit", result.limit}});
  answer.sentence += text("threshold ", result.threshold, " (", *result.index + 1, " of ", order.size(),
                          "): ", result.loss, o.graded ? " summed loss in " : " violations in ", result.n,
                          " requests, limit ", result.limit, "\ncertified: ", o.graded ? "mean loss" : "violation rate",
                          " at most ", o.risk, ", with confidence ", 1.0 - o.beta, "\n");
  answer.record = make_record(named(o.ids, !o.record.empty()), Epsilon{epsilon}, claim, result, o.seed, now());
  return answer;
}

Answer ratio(const Table& table, const Options& o) {
  const Levels levels(table);
  std::vector<double> scores, errors(levels.errors.size()), estimates(levels.errors.size());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    for (std::size_t level = 0; level < errors.size(); ++level) {
      errors[level] = (*levels.errors[level])[row];
      estimates[level] = (*levels.signals[level])[row];
      expects<ValueError>(estimates[level] >= 0.0, "row ", row + 1, ": signal_", level, " is ", estimates[level],
                          ", expected an estimate of the error, >= 0");
    }
    scores.push_back(ratio_score(errors, estimates));
  }
  RatioClaim claim{.risk = {o.risk}, .beta = std::nullopt};
  if (o.method == "ratio") claim.beta = Delta{o.beta};
  const auto result = calibrate_ratio(scores, claim);
  const bool certified = std::isfinite(result.kappa);
  Answer answer;
  answer.figures = {{"method", o.method},     {"risk", o.risk},
                    {"requests", result.n},   {"rank", result.rank},
                    {"certified", certified}, {"kappa", certified ? Json(result.kappa) : Json("inf")}};
  if (claim.beta) answer.figures["beta"] = o.beta;
  answer.sentence = text("kappa ", result.kappa, ", score ", result.rank, " of ", result.n, "\n");
  if (!certified) {
    answer.sentence += "nothing is certified: too many requests have an error where the estimate is 0\n";
    return answer;
  }
  answer.sentence += text("certified: error at most kappa times the estimate at every level, except for ", o.risk,
                          claim.beta ? text(" of the requests, with confidence ", 1.0 - o.beta)
                                     : std::string(" of the requests, over calibrations on average"),
                          "\n");
  answer.record = make_record(named(o.ids, !o.record.empty()), claim, result, o.seed, now());
  return answer;
}

// An option that does nothing would be taken for one that does.
void refuse_unused(const CLI::App& command, const Options& o) {
  const auto refuse = [&](const char* option) {
    expects<ValueError>(command.count(option) == 0, option, " means nothing with --method ", o.method,
                        ", expected it to be left out");
  };
  if (o.method == "conformal") refuse("--beta");
  if (o.method != "policy")
    for (const char* option : {"--epsilon", "--thresholds", "--losses", "--graded"}) refuse(option);
}

int run(const Options& o) {
  const Table table = Table::read(o.input);
  const Answer answer = o.method == "policy" ? policy(table, o) : ratio(table, o);
  Json figures = answer.figures;
  std::string sentence = answer.sentence;
  if (answer.record && !o.record.empty()) {
    answer.record->save(o.record);
    figures["record_id"] = answer.record->id();
    sentence += text("record ", answer.record->id(), " in ", o.record, "\n");
  }
  std::cout << (o.json ? figures.dump() + "\n" : sentence);
  return answer.record ? done : nothing_certified;
}

}  // namespace

void add_calibrate(CLI::App& app, int& code) {
  const auto o = std::make_shared<Options>();
  CLI::App& c = *app.add_subcommand("calibrate", "From errors and signals of past requests to a threshold or a factor");
  c.add_option("input", o->input,
               "CSV with a header or JSON lines, - for the standard input: one row per request with error_0, signal_0, "
               "error_1, signal_1, ... of the levels below the exact one. Not the trace alone: it has no errors "
               "against the exact "
               "level, and a line per decision")
      ->required();
  c.add_option("--method", o->method,
               "policy: release signals of at least a threshold. ratio: error at most kappa times the signal, with "
               "confidence 1 - beta. conformal: the same, averaged over calibrations")
      ->check(CLI::IsMember({"policy", "ratio", "conformal"}))
      ->capture_default_str();
  c.add_option("--thresholds", o->thresholds, "Of the policy, falling; chosen before looking at these requests");
  c.add_option("--losses", o->losses,
               "Columns with the losses of the whole policy, one per threshold, instead of errors");
  c.add_flag("--graded", o->graded, "The losses are anything in [0, 1] instead of 0 or 1; certifies their mean");
  c.add_option("--epsilon", o->epsilon,
               "Error above which a released result violates; policy only, optional with --graded");
  c.add_option("--risk", o->risk, "Rate of violations to certify (delta)")->capture_default_str();
  c.add_option("--beta", o->beta, "Chance that the calibration is misled; not conformal")->capture_default_str();
  c.add_option("--record", o->record, "File to write the record of what is certified to");
  c.add_option("--model", o->ids.model, "Ids in the record: what it holds for");
  c.add_option("--kernel", o->ids.kernel);
  c.add_option("--estimator", o->ids.estimator);
  c.add_option("--policy", o->ids.policy);
  c.add_option("--workload", o->ids.workload);
  c.add_option("--service-class", o->ids.service_class);
  CLI::Option* seed = c.add_option(
      "--seed", o->seed,
      "Of the draw of these requests, for the record; with --graded also of the order in which their losses "
      "are bet on, which must not depend on the losses: the rows are shuffled by it. Choose it before looking "
      "at them. Default: random with --graded, else 0");
  c.add_flag("--json", o->json, "Print JSON");
  seed->check(whole_number);
  c.callback([o, seed, &c, &code] {
    refuse_unused(c, *o);
    if (o->graded && seed->empty()) o->seed = random_word();
    code = run(*o);
  });
}

}  // namespace mpp::tools
