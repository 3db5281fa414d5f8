#pragma once
#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <mpp/core/control/tier.hpp>
#include <mpp/core/guarantees/e_process.hpp>
#include <mpp/core/guarantees/sampling_coin.hpp>
#include <mpp/core/guarantees/shiryaev_roberts.hpp>

namespace mpp::guarantees {

/// What is calibrated, and therefore audited, on its own.
struct AuditKey {
  std::string workload;       ///< 1 to 256 bytes
  Level level{};              ///< at which results are released
  std::string service_class;  ///< 0 to 256 bytes

  auto operator<=>(const AuditKey&) const = default;
};

/// Fixed for the life of an auditor: whoever changes them after looking at the data voids the false-alarm rates.
struct AuditSettings {
  double sampling_rate = 0.01;            ///< of released requests that run again at the exact level; in (0, 1]
  Seed seed{};                            ///< of the coin: random, unknown to who sends requests; not 0, 0 below rate 1
  Delta lifetime_alpha{0.01};             ///< chance that the lifetime alarm is ever false, per calibration; in (0, 1)
  double mean_time_to_false_drift = 1e5;  ///< audited requests to a false drift alarm, on average; in [1, 2^900]

  /// @throws ValueError naming the field
  void validate() const;
};

/// Why a key is closed.
enum class Alarm : std::uint8_t {
  none,
  lifetime,  ///< the rate since calibration is above the allowed one (e-process)
  drift,     ///< the rate has risen above the allowed one (Shiryaev-Roberts)
};
std::string_view name(Alarm alarm) noexcept;

struct AuditStatus {
  Alarm alarm = Alarm::none;
  std::string record;         ///< id of the calibration record under which the key runs
  Delta allowed{};            ///< rate of violations that the record promises
  std::uint64_t audited = 0;  ///< losses observed under this record
  double loss = 0.0;          ///< their sum, to the nearest double
  double log_e_value = 0.0;   ///< evidence against the lifetime claim; alarm at -log(lifetime_alpha)
  double drift = 0.0;         ///< evidence of a rise; alarm at mean_time_to_false_drift

  [[nodiscard]] bool open() const noexcept { return alarm == Alarm::none; }
};

/// Watches released requests: a coin picks some to run again at the exact level, their losses feed an e-process and a
/// Shiryaev-Roberts detector per key, and an alarm closes the key until it is recalibrated.
///
///   Auditor auditor = Auditor::load("audit.state");               // or Auditor(settings), on the first day only
///   if (auditor.may_release(key)) ...                             // else: a deterministic bound or the exact level
///   if (auditor.selects(key, request)) {                          // decided by the number alone
///     auditor.observe(key, request, error > epsilon);             // after the run at the exact level
///     auditor.save("audit.state");
///   }
///
/// Guarantee, for a key whose losses each have, given those before, a mean of at most the allowed rate: the lifetime alarm
/// is raised at any time with probability at most lifetime_alpha, and the drift alarm after mean_time_to_false_drift
/// audited requests on average, or later. It needs every selected request to be observed, once, in any order that does
/// not depend on the losses; an audit that could not be finished counts as loss 1. The sampling rate is one fixed
/// number: an audit whose rate depends on the request needs weights, docs/guarantees_audit.md.
///
/// Fails closed: a key never calibrated, or alarmed, may not release. Thread-safe. Keys are never removed.
class Auditor {
 public:
  static constexpr std::size_t max_keys = 65536;
  static constexpr std::size_t max_name_bytes = 256;
  static constexpr std::uint64_t max_audits = std::uint64_t{1} << 49;  ///< of a key under one record
  static constexpr std::size_t max_past_records = 4096;                ///< under which a key has run before

  /// Knows no key.
  /// @throws ValueError for settings outside their domain
  explicit Auditor(const AuditSettings& settings);

  /// Reads back what bytes() wrote, to the last bit. Safe on any input.
  /// @throws FormatError naming the field, what came and what was expected
  static Auditor parse(std::span<const std::byte> bytes);
  /// @throws FormatError for a damaged file; std::filesystem::filesystem_error if there is none
  static Auditor load(const std::filesystem::path& file);

  /// The whole state; equal states give equal bytes. They hold the seed.
  [[nodiscard]] std::vector<std::byte> bytes() const;
  /// Replaces the file so that a crash at any moment leaves the old state or the new one (durable_file.hpp). Saving after
  /// every observe() loses at most the last one. A new file is for its owner alone: it holds the seed. Calls follow one another, so an older state never overtakes.
  void save(const std::filesystem::path& file) const;

  [[nodiscard]] const AuditSettings& settings() const noexcept { return settings_; }

  /// Opens a key, new or alarmed, under a record: the evidence starts anew. A record opens a key once: it would
  /// otherwise return with its evidence forgotten, by way of another one. So a key that is closed under a record stays so.
  /// @param record   1 to 256 bytes
  /// @param allowed  rate of violations that the record promises, in [min_allowed_rate, 1)
  /// @throws ValueError for a name outside its length, a rate outside its domain, a record under which the key runs or has
  ///         run (that is no new calibration), the key after max_keys, or more than max_past_records; nothing changes then
  void recalibrated(const AuditKey& key, std::string_view record, Delta allowed);

  /// A calibrated bound of this key may release. False for a key that is not known.
  [[nodiscard]] bool may_release(const AuditKey& key) const;
  /// The same, for bounds that rest on this record and promise this rate: false also if the key runs under another record,
  /// or if its audit allows more than the promise.
  [[nodiscard]] bool may_release(const AuditKey& key, std::string_view record, Delta promised) const;
  /// The coin of a request of this key. False for a key that is not known: there is nothing to audit.
  [[nodiscard]] bool selects(const AuditKey& key, std::uint64_t request) const;
  /// Adds the loss of a selected request. After an alarm it is counted, and the evidence stays what it was at the alarm.
  /// @param loss  in [0, 1]; 1: violated
  /// @throws ValueError for a key that is not known, a loss outside [0, 1], or a request that selects() does not name: who
  ///         could add others would choose by the outcome; nothing changes then
  AuditStatus observe(const AuditKey& key, std::uint64_t request, double loss);

  /// @throws ValueError for a key that is not known
  [[nodiscard]] AuditStatus status(const AuditKey& key) const;
  /// All keys in ascending order.
  [[nodiscard]] std::vector<AuditKey> keys() const;

 private:
  struct Entry {
    Entry(std::string_view record_id, Delta rate) : record(record_id), allowed(rate), lifetime(rate), drift(rate) {}

    std::string record;
    Delta allowed;
    EProcess lifetime;
    ShiryaevRoberts drift;
    Alarm alarm = Alarm::none;
    std::uint64_t audited = 0;
    double loss = 0.0;
    std::uint64_t coins = 0;          // the key's stream of coins
    std::vector<std::uint64_t> past;  // fingerprints of the records before this one, ascending
  };
  using Entries = std::map<AuditKey, Entry>;
  class Reader;
  class Writer;

  Auditor(const AuditSettings& settings, Entries entries);
  Alarm verdict(const Entry& entry) const;
  AuditStatus describe(const Entry& entry) const;

  AuditSettings settings_;
  SamplingCoin coin_;
  Entries entries_;
  mutable std::mutex mutex_;       // of entries_
  mutable std::mutex save_mutex_;  // taken before mutex_
};

}  // namespace mpp::guarantees
