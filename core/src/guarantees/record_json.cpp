// The schema of docs/guarantees_calibration.md, once to write and once to read.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <limits>

#include <mpp/core/guarantees/record.hpp>

#include "src/guarantees/policy_ids.hpp"
#include "src/telemetry/json_values.hpp"

namespace mpp::guarantees {
namespace {

using telemetry::JsonCursor;

// ---- time ----

int number_at(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = c >= '0' && c <= '9' && value >= 0 ? 10 * value + (c - '0') : -1;
  return value;
}

std::chrono::sys_seconds read_time(JsonCursor& in) {
  using namespace std::chrono;
  const std::string_view came = in.string();
  const auto part = [&](std::size_t from, std::size_t size) { return number_at(came.substr(from, size)); };
  if (came.size() == 20 && came[4] == '-' && came[7] == '-' && came[10] == 'T' && came[13] == ':' && came[16] == ':' &&
      came[19] == 'Z') {
    const int y = part(0, 4), mo = part(5, 2), d = part(8, 2), h = part(11, 2), mi = part(14, 2), s = part(17, 2);
    const bool digits = std::min({y, mo, d, h, mi, s}) >= 0;
    if (digits && y >= 1970 && h < 24 && mi < 60 && s < 60) {
      const year_month_day date(year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d)));
      if (date.ok()) return sys_days(date) + hours(h) + minutes(mi) + seconds(s);
    }
  }
  in.fail_at(came, "a time like 2026-01-31T09:05:00Z, year 1970 or later");
}

// ---- writing ----

class Object {
 public:
  void add(std::string_view name, const std::string& value) {
    out_.append(out_.empty() ? "{\"" : ",\"").append(name).append("\":").append(value);
  }
  void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
  void add(std::string_view name, double value) {
    char buffer[32];
    add(name, std::string(buffer, telemetry::write_real(std::begin(buffer), std::end(buffer), value)));
  }
  template <class Number>
  void add(std::string_view name, const std::optional<Number>& value) {
    value ? add(name, value->value) : add(name, std::string("null"));
  }
  std::string done() { return out_ + "}\n"; }

 private:
  std::string out_;
};

// ---- reading ----

constexpr std::array<std::string_view, 10> other_fields{"schema",    "method", "epsilon", "delta", "beta",
                                                        "threshold", "kappa",  "n",       "k",     "seed"};

CalibrationMethod read_method(JsonCursor& in) {
  const std::string_view came = in.string();
  std::string expected = "one of";
  for (std::size_t i = 0; i < 4; ++i) {
    const auto method = static_cast<CalibrationMethod>(i);
    if (came == name(method)) return method;
    expected += text(" ", name(method));
  }
  in.fail_at(came, expected);
}

template <class Number>
std::optional<Number> read_optional(JsonCursor& in) {
  if (in.take_null()) return std::nullopt;
  return Number{telemetry::real(in)};
}

class Reader {
 public:
  explicit Reader(std::string_view json) : in_("CalibrationRecord", json, 1) {}

  CalibrationRecord read(std::string_view json) {
    if (!telemetry::is_utf8(json)) in_.fail("UTF-8");
    in_.need('{');
    do {
      const std::string_view field = in_.string();
      in_.enter_field(field);
      in_.need(':');
      if (std::find(seen_.begin(), seen_.end(), field) != seen_.end()) in_.fail("the field only once");
      read_field(field);
      seen_.push_back(field);
      in_.enter_field({});
    } while (in_.take(','));
    in_.need('}');
    if (!in_.at_end()) in_.fail("nothing after the record");
    for (const auto& [field, id] : id_fields) need(field);
    for (const std::string_view field : other_fields)
      if (field != (record_.is_ratio() ? "threshold" : "kappa")) need(field);
    need("created");
    if (seen_.size() != id_fields.size() + other_fields.size())
      in_.fail_at("both", "threshold or kappa, as the method has it");
    return std::move(record_);
  }

 private:
  void need(std::string_view field) {
    in_.enter_field(field);
    if (std::find(seen_.begin(), seen_.end(), field) == seen_.end()) in_.fail_at("no such field", "one");
  }

  void read_field(std::string_view field) {
    for (const auto& [name, id] : id_fields)
      if (field == name) {
        record_.ids.*id = telemetry::resolved_string(in_);
        return;
      }
    if (field == "schema") {
      if (const auto came = telemetry::integer<std::uint64_t>(in_); came != CalibrationRecord::schema)
        in_.fail_at(std::to_string(came), text("schema ", CalibrationRecord::schema));
    } else if (field == "method") {
      record_.method = read_method(in_);
    } else if (field == "epsilon") {
      record_.epsilon = read_optional<Epsilon>(in_);
    } else if (field == "delta") {
      record_.delta = {telemetry::real(in_)};
    } else if (field == "beta") {
      record_.beta = read_optional<Delta>(in_);
    } else if (field == "threshold" || field == "kappa") {
      record_.value = telemetry::real_or_word(in_);
    } else if (field == "n") {
      record_.n = telemetry::integer<std::uint64_t>(in_);
    } else if (field == "k") {
      record_.k = telemetry::real(in_);
    } else if (field == "seed") {
      record_.seed = telemetry::integer<std::uint64_t>(in_);
    } else if (field == "created") {
      record_.created = read_time(in_);
    } else {
      in_.fail("no field of this name");  // whoever wrote it meant something by it
    }
  }

  JsonCursor in_;
  CalibrationRecord record_;
  std::vector<std::string_view> seen_;
};

}  // namespace

std::string utc_text(std::chrono::sys_seconds time) {
  using namespace std::chrono;
  constexpr sys_seconds first{}, end = sys_days(year(10000) / 1 / 1);
  expects<ValueError>(time >= first && time < end, "utc_text: the time is ", time.time_since_epoch().count(),
                      " s after 1970, expected a year from 1970 to 9999");
  const auto day_start = floor<days>(time);
  const year_month_day date(day_start);
  const auto in_day = static_cast<int>((time - day_start).count());
  char out[64];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), in_day / 3600, in_day / 60 % 60,
                in_day % 60);
  return out;
}

std::string CalibrationRecord::json() const {
  validate();
  Object out;
  out.add("schema", schema);
  for (const auto& [field, id] : id_fields) out.add(field, telemetry::quoted_string(ids.*id));
  out.add("method", telemetry::quoted_string(guarantees::name(method)));
  out.add("epsilon", epsilon);
  out.add("delta", delta.value);
  out.add("beta", beta);
  out.add(is_ratio() ? "kappa" : "threshold", value);
  out.add("n", n);
  out.add("k", k);
  out.add("seed", seed);
  out.add("created", telemetry::quoted_string(utc_text(created)));
  return out.done();
}

CalibrationRecord CalibrationRecord::parse(std::string_view json) {
  expects<FormatError>(json.size() <= max_json_bytes, "CalibrationRecord: ", json.size(), " bytes, expected at most ",
                       max_json_bytes);
  CalibrationRecord record = Reader(json).read(json);
  try {
    record.validate();
  } catch (const ValueError& error) {
    throw FormatError(error.what());
  }
  return record;
}

}  // namespace mpp::guarantees
