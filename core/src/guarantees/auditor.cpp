#include <mpp/core/guarantees/auditor.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <mpp/core/error.hpp>

#include "src/guarantees/audit_bytes.hpp"
#include "src/guarantees/audit_rounding.hpp"

namespace mpp::guarantees {
namespace {

void check_name(const char* what, std::string_view name, std::size_t least) {
  expects<ValueError>(name.size() >= least && name.size() <= Auditor::max_name_bytes, "Auditor: ", what, " has ",
                      name.size(), " bytes, expected ", least, " to ", Auditor::max_name_bytes);
}

std::string print(const AuditKey& key) {
  return text("workload '", key.workload, "', level ", key.level, ", service class '", key.service_class, "'");
}

// One number for a key under a seed, so that keys whose requests have the same numbers do not share their coins.
std::uint64_t stream(Seed seed, const AuditKey& key) {
  AuditBytes bytes;
  bytes.add(key.workload);
  bytes.add(static_cast<std::uint64_t>(key.level));
  bytes.add(key.service_class);
  return siphash(seed, bytes.view());
}

// Of a record under which a key has run. Two records that share it make a new one look old, which only keeps a key closed.
std::uint64_t fingerprint(Seed seed, std::string_view record) {
  return siphash(seed, std::as_bytes(std::span(record)));
}

template <class Entries>
auto& known(Entries& entries, const char* operation, const AuditKey& key) {
  const auto found = entries.find(key);
  expects<ValueError>(found != entries.end(), "Auditor::", operation, ": no calibration for ", print(key),
                      ", expected recalibrated() first");
  return found->second;
}

}  // namespace

std::string_view name(Alarm alarm) noexcept {
  constexpr std::array<std::string_view, 3> names{"none", "lifetime", "drift"};
  return names[static_cast<std::size_t>(alarm)];
}

void AuditSettings::validate() const {
  expects<ValueError>(sampling_rate > 0.0 && sampling_rate <= 1.0, "AuditSettings: sampling_rate is ", sampling_rate,
                      ", expected in (0, 1]");
  expects<ValueError>(lifetime_alpha.value > 0.0 && lifetime_alpha.value < 1.0, "AuditSettings: lifetime_alpha is ",
                      lifetime_alpha.value, ", expected in (0, 1)");
  expects<ValueError>(mean_time_to_false_drift >= 1.0 && mean_time_to_false_drift <= ShiryaevRoberts::max_threshold,
                      "AuditSettings: mean_time_to_false_drift is ", mean_time_to_false_drift, ", expected in [1, ",
                      ShiryaevRoberts::max_threshold, "]");
  expects<ValueError>(sampling_rate == 1.0 || seed != Seed{},
                      "AuditSettings: seed is 0, 0, expected random words: "
                      "who knows the seed knows which requests are audited");
}

Auditor::Auditor(const AuditSettings& settings) : Auditor(settings, {}) {}

Auditor::Auditor(const AuditSettings& settings, Entries entries)
    : settings_((settings.validate(), settings)), coin_(settings.sampling_rate, settings.seed),
      entries_(std::move(entries)) {
  for (auto& [key, entry] : entries_) entry.coins = stream(settings_.seed, key);
}

void Auditor::recalibrated(const AuditKey& key, std::string_view record, Delta allowed) {
  check_name("the workload", key.workload, 1);
  check_name("the service class", key.service_class, 0);
  check_name("the record", record, 1);
  Entry fresh(record, allowed);
  fresh.coins = stream(settings_.seed, key);
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    expects<ValueError>(entries_.size() < max_keys, "Auditor: there are ", max_keys, " keys, expected no further one");
    entries_.emplace(key, std::move(fresh));
    return;
  }
  fresh.past = found->second.past;
  const std::uint64_t last = fingerprint(settings_.seed, found->second.record);
  fresh.past.insert(std::lower_bound(fresh.past.begin(), fresh.past.end(), last), last);
  expects<ValueError>(!std::binary_search(fresh.past.begin(), fresh.past.end(), fingerprint(settings_.seed, record)),
                      "Auditor: ", print(key), " has run under record '", record,
                      "' already, expected a new calibration");
  expects<ValueError>(fresh.past.size() <= max_past_records, "Auditor: ", print(key), " has run under ",
                      fresh.past.size(), " records, expected no further one");
  found->second = std::move(fresh);
}

bool Auditor::may_release(const AuditKey& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(key);
  return found != entries_.end() && found->second.alarm == Alarm::none;
}

bool Auditor::may_release(const AuditKey& key, std::string_view record, Delta promised) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(key);
  return found != entries_.end() && found->second.alarm == Alarm::none && found->second.record == record &&
         found->second.allowed.value <= promised.value;
}

bool Auditor::selects(const AuditKey& key, std::uint64_t request) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(key);
  return found != entries_.end() && coin_.heads(found->second.coins, request);
}

AuditStatus Auditor::observe(const AuditKey& key, std::uint64_t request, double loss) {
  check_loss("Auditor", loss);
  const std::scoped_lock lock(mutex_);
  Entry& entry = known(entries_, "observe", key);
  expects<ValueError>(coin_.heads(entry.coins, request), "Auditor: request ", request, " of ", print(key),
                      " was not selected, expected one that selects() names");
  expects<ValueError>(entry.audited < max_audits, "Auditor: ", print(key), " has ", entry.audited,
                      " audits, expected a new calibration before more");
  ++entry.audited;
  entry.loss += loss;
  if (entry.alarm == Alarm::none) {
    entry.lifetime.observe(loss);
    entry.drift.observe(loss);
    entry.alarm = verdict(entry);
  }
  return describe(entry);
}

AuditStatus Auditor::status(const AuditKey& key) const {
  const std::scoped_lock lock(mutex_);
  return describe(known(entries_, "status", key));
}

std::vector<AuditKey> Auditor::keys() const {
  const std::scoped_lock lock(mutex_);
  std::vector<AuditKey> keys;
  keys.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) keys.push_back(key);
  return keys;
}

Alarm Auditor::verdict(const Entry& entry) const {
  if (entry.lifetime.alarm(settings_.lifetime_alpha)) return Alarm::lifetime;
  return entry.drift.alarm(settings_.mean_time_to_false_drift) ? Alarm::drift : Alarm::none;
}

AuditStatus Auditor::describe(const Entry& entry) const {
  return {.alarm = entry.alarm,
          .record = entry.record,
          .allowed = entry.allowed,
          .audited = entry.audited,
          .loss = entry.loss,
          .log_e_value = entry.lifetime.log_value(),
          .drift = entry.drift.value()};
}

}  // namespace mpp::guarantees
