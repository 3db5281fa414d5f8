// The state of an auditor as bytes: once to write and once to read. What is read is checked as if it were hostile; what
// passes is written back to the same bytes.
#include <bit>
#include <cmath>
#include <utility>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/auditor.hpp>
#include <mpp/core/guarantees/durable_file.hpp>

#include "src/guarantees/audit_bytes.hpp"

namespace mpp::guarantees {
namespace {

constexpr std::uint64_t magic = 0x54494455412D504D;  // "MP-AUDIT"
constexpr std::uint64_t version = 2;

void write(AuditBytes& out, const AuditSettings& settings) {
  out.add(settings.sampling_rate);
  for (const std::uint64_t word : settings.seed) out.add(word);
  out.add(settings.lifetime_alpha.value);
  out.add(settings.mean_time_to_false_drift);
}

AuditSettings read_settings(AuditCursor& in) {
  AuditSettings settings;
  settings.sampling_rate = in.real("sampling_rate");
  for (std::uint64_t& word : settings.seed) word = in.word("seed");
  settings.lifetime_alpha = {in.real("lifetime_alpha")};
  settings.mean_time_to_false_drift = in.real("mean_time_to_false_drift");
  try {
    settings.validate();
  } catch (const ValueError& error) {
    throw FormatError(text("Auditor: ", error.what()));
  }
  return settings;
}

// A state of another set of alternatives would go on as evidence about rates that it was not collected for.
void read_alternatives(AuditCursor& in) {
  in.word("alternatives", alternative_count, alternative_count);
  for (const double ratio : odds_ratios)
    if (const double came = in.real("odds ratio"); came != ratio) in.fail("odds ratio", text(came), text(ratio));
}

PerAlternative read_evidence(AuditCursor& in, const char* field, double least, double most) {
  PerAlternative values;
  for (double& value : values) {
    value = in.real(field);
    if (!(value >= least && value <= most)) in.fail(field, text(value), text("from ", least, " to ", most));
    if (value == 0.0 && std::signbit(value)) in.fail(field, "-0", "0");
  }
  return values;
}

}  // namespace

class Auditor::Writer {
 public:
  static void write(AuditBytes& out, const AuditKey& key, const Entry& entry) {
    out.add(key.workload);
    out.add(static_cast<std::uint64_t>(key.level));
    out.add(key.service_class);
    out.add(entry.record);
    out.add(entry.allowed.value);
    out.add(static_cast<std::uint64_t>(entry.alarm));
    out.add(entry.audited);
    out.add(entry.loss);
    for (const double value : entry.lifetime.log_wealth()) out.add(value);
    for (const double value : entry.drift.sums()) out.add(value);
    out.add(std::uint64_t{entry.past.size()});
    for (const std::uint64_t mark : entry.past) out.add(mark);
  }
};

class Auditor::Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : in_(bytes) {}

  Auditor read() {
    if (const std::uint64_t came = in_.word("magic"); came != magic)
      in_.fail("magic", text(came), text(magic, ": this is no audit state"));
    in_.word("version", version, version);
    read_alternatives(in_);
    const AuditSettings settings = read_settings(in_);
    Entries entries;
    for (std::uint64_t left = in_.word("keys", 0, max_keys); left > 0; --left) {
      AuditKey key = read_key();
      if (!entries.empty() && key <= entries.rbegin()->first) in_.fail("key", key.workload, "keys in ascending order");
      const Entry& entry = entries.emplace_hint(entries.end(), std::move(key), read_entry())->second;
      check_open(settings, entry);
    }
    in_.end();
    return Auditor(settings, std::move(entries));
  }

 private:
  AuditKey read_key() {
    AuditKey key;
    key.workload = in_.words("workload", 1, max_name_bytes);
    key.level = static_cast<Level>(in_.word("level"));
    key.service_class = in_.words("service_class", 0, max_name_bytes);
    return key;
  }

  Entry read_entry() {
    const std::string record = in_.words("record", 1, max_name_bytes);
    const Delta allowed{in_.real("allowed")};
    if (!(allowed.value >= min_allowed_rate && allowed.value < 1.0))
      in_.fail("allowed", text(allowed.value), text("in [", min_allowed_rate, ", 1)"));
    Entry entry(record, allowed);
    entry.alarm = static_cast<Alarm>(in_.word("alarm", 0, 2));
    entry.audited = in_.word("audited", entry.alarm == Alarm::none ? 0 : 1, max_audits);
    const auto audited = static_cast<double>(entry.audited);
    entry.loss = in_.real("loss");
    if (!(entry.loss >= 0.0 && entry.loss <= audited) || std::signbit(entry.loss))
      in_.fail("loss", text(entry.loss), text("from 0 to ", entry.audited));
    // One audit moves a logarithm by less than log 12 = 2.48 and its rounding, and nothing moves before the first.
    entry.lifetime = EProcess(allowed, read_evidence(in_, "log_wealth", -3.0 * audited, 3.0 * audited));
    const double most = entry.audited == 0 ? 0.0 : ShiryaevRoberts::max_sum;
    entry.drift = ShiryaevRoberts(allowed, read_evidence(in_, "drift", 0.0, most));
    read_past(entry);
    return entry;
  }

  void read_past(Entry& entry) {
    for (std::uint64_t left = in_.word("past records", 0, max_past_records); left > 0; --left) {
      const std::uint64_t mark = in_.word("past record");
      if (!entry.past.empty() && mark <= entry.past.back()) in_.fail("past record", text(mark), "ascending ones");
      entry.past.push_back(mark);
    }
  }

  // No run leaves a key open over evidence that calls for an alarm.
  void check_open(const AuditSettings& settings, const Entry& entry) const {
    if (entry.alarm == Alarm::none &&
        (entry.lifetime.alarm(settings.lifetime_alpha) || entry.drift.alarm(settings.mean_time_to_false_drift)))
      in_.fail("alarm", "none", "an alarm: the evidence has reached its limit");
  }

  AuditCursor in_;
};

std::vector<std::byte> Auditor::bytes() const {
  const std::scoped_lock lock(mutex_);
  AuditBytes out;
  out.add(magic);
  out.add(version);
  out.add(std::uint64_t{alternative_count});
  for (const double ratio : odds_ratios) out.add(ratio);
  write(out, settings_);
  out.add(std::uint64_t{entries_.size()});
  for (const auto& [key, entry] : entries_) Writer::write(out, key, entry);
  return out.take();
}

Auditor Auditor::parse(std::span<const std::byte> bytes) { return Reader(bytes).read(); }

Auditor Auditor::load(const std::filesystem::path& file) { return parse(read_durably(file)); }

void Auditor::save(const std::filesystem::path& file) const {
  const std::scoped_lock lock(save_mutex_);
  write_durably(file, bytes(), 0600);  // it holds the seed of the coin
}

}  // namespace mpp::guarantees
