#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

#include <mpp/core/guarantees/auditor.hpp>
#include <mpp/core/guarantees/record.hpp>

#include "mpp/commands.hpp"
#include "mpp/random_word.hpp"
#include "mpp/state_lock.hpp"
#include "mpp/table.hpp"

namespace mpp::tools {
namespace {

using namespace guarantees;
using Json = nlohmann::json;

struct Options {
  std::string state;
  std::string input;
  std::string record;
  Level level = 0;
  std::string column = "loss";
  bool create = false;
  bool open = false;
  bool select = false;
  double rate = 1.0;
  double alpha = AuditSettings{}.lifetime_alpha.value;
  double mean_time = AuditSettings{}.mean_time_to_false_drift;
  bool json = false;
};

Auditor auditor(const std::filesystem::path& state, const Options& o) {
  if (!o.create) return Auditor::load(state);
  expects<ValueError>(!std::filesystem::exists(state), "--create: ", o.state, " is there already");
  return Auditor({.sampling_rate = o.rate,
                  .seed = {random_word(), random_word()},
                  .lifetime_alpha = {o.alpha},
                  .mean_time_to_false_drift = o.mean_time});
}

std::vector<std::uint64_t> requests(const Table& table) {
  std::vector<std::uint64_t> requests;
  for (const double number : table.column("request")) {
    expects<ValueError>(number >= 0.0 && number <= 0x1p53 && number == std::floor(number), "row ", requests.size() + 1,
                        ": request is ", number, ", expected an integer from 0 to 2^53");
    requests.push_back(static_cast<std::uint64_t>(number));
  }
  return requests;
}

// Without a column of that name, rows are numbered on from what was audited.
std::vector<std::uint64_t> audited_requests(const Table& table, std::uint64_t next) {
  if (!table.has("request")) {
    std::vector<std::uint64_t> counted(table.rows());
    std::iota(counted.begin(), counted.end(), next);
    return counted;
  }
  std::vector<std::uint64_t> named = requests(table);
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t row = 0; row < named.size(); ++row)
    expects<ValueError>(seen.insert(named[row]).second, "row ", row + 1, ": request ", named[row],
                        " comes twice, expected each once");
  return named;
}

// Row by row; an observe() that throws leaves the file as it was, because nothing has been saved.
void observe(Auditor& auditor, const AuditKey& key, const CalibrationRecord& record, const Table& table,
             const Options& o) {
  const std::vector<double>& losses = table.column(o.column);
  const std::vector<std::uint64_t> request = audited_requests(table, auditor.status(key).audited);
  const bool graded = record.method == CalibrationMethod::fixed_sequence_betting;
  for (std::size_t row = 0; row < losses.size(); ++row) {
    // A mean of small violations may be low where the rate of violations, which the record promises, is 1.
    expects<ValueError>(graded || losses[row] == 0.0 || losses[row] == 1.0, "row ", row + 1, ": ", o.column, " is ",
                        losses[row], ", expected 0 or 1, because the record is of violations");
    auditor.observe(key, request[row], losses[row]);
  }
}

int run(const Options& o) {
  const CalibrationRecord record = CalibrationRecord::load(o.record);
  const AuditKey key{record.ids.workload, o.level, record.ids.service_class};
  std::optional<Table> input;  // whole, before the lock: a slow pipe must not hold up the others
  if (!o.input.empty()) input = Table::read(o.input);
  // One file has one lock, and stays one file, whatever links lead to it.
  const std::filesystem::path state = std::filesystem::weakly_canonical(o.state);
  // From before the state is read until it is written: what another command adds in between, an alarm, would be lost.
  std::optional<StateLock> lock;
  const bool changes = (input && !o.select) || o.open || o.create;
  if (changes) lock.emplace(state);
  Auditor audit = auditor(state, o);
  if (o.open) audit.recalibrated(key, record.id(), record.delta);
  const std::string running = audit.status(key).record;
  expects<ValueError>(running == record.id(), "the key runs under record ", running, ", expected ", record.id(),
                      ": --open opens it under the new one");
  if (o.select) {
    expects<ValueError>(input.has_value(), "--select needs input: the numbers of requests");
    for (const std::uint64_t request : requests(*input)) std::cout << audit.selects(key, request) << '\n';
    return done;
  }
  if (input) observe(audit, key, record, *input, o);
  if (changes) audit.save(state);

  const AuditStatus status = audit.status(key);
  const double alarm_at = -std::log(audit.settings().lifetime_alpha.value);
  if (o.json) {
    std::cout << Json{{"workload", key.workload},
                      {"level", key.level},
                      {"service_class", key.service_class},
                      {"record_id", status.record},
                      {"status", status.open() ? "open" : "closed"},
                      {"alarm", name(status.alarm)},
                      {"allowed", status.allowed.value},
                      {"audited", status.audited},
                      {"loss", status.loss},
                      {"log_e_value", status.log_e_value},
                      {"log_e_value_alarm", alarm_at},
                      {"drift", status.drift},
                      {"drift_alarm", audit.settings().mean_time_to_false_drift}}
                     .dump()
              << '\n';
  } else {
    std::cout << "audited " << status.audited << " requests, loss " << status.loss << ", allowed rate "
              << status.allowed.value << "\nlifetime: log e-value " << status.log_e_value << ", alarm at " << alarm_at
              << "\ndrift: Shiryaev-Roberts " << status.drift << ", alarm at "
              << audit.settings().mean_time_to_false_drift << '\n'
              << (status.open() ? "open: the promise of the record stands\n"
                                : text("closed by the ", name(status.alarm), " alarm: calibrate again\n"));
  }
  return status.open() ? done : alarm;
}

}  // namespace

void add_audit(CLI::App& app, int& code) {
  const auto o = std::make_shared<Options>();
  CLI::App& c =
      *app.add_subcommand("audit", "Adds losses of audited requests to a state file and says whether it holds");
  c.add_option("state", o->state,
               "State file; replaced as a whole or not at all, by one command at a time (a lock on STATE.lock)")
      ->required();
  c.add_option(
      "input", o->input,
      "CSV or JSON lines, - for the standard input: one row per audited request, each once, those that the exact level "
      "released with loss 0, those whose audit could not be finished with loss 1. A column 'request' "
      "holds its number, needed if the rate is below 1. Without input: the status. Fields besides these do no harm: "
      "lines "
      "of our trace are read once they have a loss, which the trace itself does not know");
  c.add_option("--record", o->record, "Record of mpp calibrate under which the key runs")->required();
  c.add_option("--level", o->level, "Of the key; one key for all levels audits what a record promises")
      ->check(whole_number)
      ->capture_default_str();
  c.add_option("--column", o->column, "Column of the losses: 0 or 1; in [0, 1] if the record is of graded losses")
      ->capture_default_str();
  CLI::Option* create = c.add_flag("--create", o->create, "Make the state file; it must not exist");
  CLI::Option* open =
      c.add_flag("--open", o->open, "Open the key under this record: new, or after an alarm and a new calibration");
  c.add_option("--rate", o->rate, "Of requests that are audited, those that --select names; with --create")
      ->needs(create)
      ->capture_default_str();
  c.add_option("--alpha", o->alpha, "Chance that the lifetime alarm is ever false; with --create")
      ->needs(create)
      ->capture_default_str();
  c.add_option("--mean-time", o->mean_time, "Audits to a false drift alarm; with --create")
      ->needs(create)
      ->capture_default_str();
  CLI::Option* json = c.add_flag("--json", o->json, "Print JSON");
  c.add_flag(
       "--select", o->select,
       "Only say which requests to audit: per row of the input, 1 or 0 for the number in its column 'request'. The "
       "coin depends on the number alone, so ask before they run or after")
      ->excludes(create)
      ->excludes(open)
      ->excludes(json);
  c.callback([o, &code] { code = run(*o); });
}

}  // namespace mpp::tools
