// The schema of docs/telemetry.md, once to write and once to read.
#include <mpp/core/telemetry/trace_record.hpp>

#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>

#include <mpp/core/error.hpp>

#include "src/telemetry/json_cursor.hpp"
#include "src/telemetry/json_values.hpp"

namespace mpp {
namespace {

using telemetry::integer;
using telemetry::JsonCursor;
using telemetry::real;
using telemetry::real_or_word;

// clang-format off
// In the order in which they are written.
enum Field : std::size_t {
  schema, unix_time_us, request, level, decision,
  held_device_bytes, held_host_bytes, held_disk_bytes,
  added_device_bytes, added_host_bytes, added_disk_bytes,
  bound, kind, delta, elapsed_us, field_count
};
constexpr std::string_view field_names[field_count] = {
  "schema", "unix_time_us", "request", "level", "decision",
  "held_device_bytes", "held_host_bytes", "held_disk_bytes",
  "added_device_bytes", "added_host_bytes", "added_disk_bytes",
  "bound", "kind", "delta", "elapsed_us"
};
// clang-format on
static_assert(memory_spaces.size() == 3, "a new memory space needs two new fields");

// ---- writing ----

class Line {
 public:
  explicit Line(std::span<char> buffer) : begin_(buffer.data()), end_(buffer.data()), limit_(begin_ + buffer.size()) {}

  Line& operator<<(std::string_view s) {
    end_ += s.copy(end_, static_cast<std::size_t>(limit_ - end_));
    return *this;
  }
  Line& operator<<(std::integral auto n) {
    end_ = std::to_chars(end_, limit_, n).ptr;
    return *this;
  }
  // Null stands for "no bound", a word for "a bound that says nothing".
  Line& operator<<(double x) {
    end_ = telemetry::write_real(end_, limit_, x);
    return *this;
  }
  Line& key(Field field) { return *this << (field == schema ? "{\"" : ",\"") << field_names[field] << "\":"; }
  Line& number(Field field, auto value) { return key(field) << value; }
  Line& word(Field field, std::string_view value) { return key(field) << "\"" << value << "\""; }
  Line& bytes(Field first, const Footprint& footprint) {
    for (std::size_t i = 0; i < memory_spaces.size(); ++i)
      number(static_cast<Field>(first + i), footprint.per_space[i].count);
    return *this;
  }
  std::string_view done() {
    *this << "}\n";
    return {begin_, static_cast<std::size_t>(end_ - begin_)};
  }

 private:
  char* begin_;
  char* end_;
  char* limit_;
};

// ---- reading ----

// The enumerator whose name comes next.
template <class Enum, std::size_t count>
Enum word(JsonCursor& in) {
  const std::string_view came = in.string();
  std::string expected = "one of";
  for (std::size_t i = 0; i < count; ++i) {
    if (came == name(static_cast<Enum>(i))) return static_cast<Enum>(i);
    expected += text(" ", name(static_cast<Enum>(i)));
  }
  in.fail_at(came, expected);
}

ErrorBound make_bound(BoundKind promise, double value, Delta spent) {
  switch (promise) {
    case BoundKind::randomized:
      return ErrorBound::randomized(value, spent);
    case BoundKind::calibrated:
      return ErrorBound::calibrated(value, spent);
    case BoundKind::deterministic:
      break;
  }
  return ErrorBound::deterministic(value);
}

struct Fields {
  TraceRecord record;
  double bound_value{};
  Delta spent{};
  BoundKind bound_kind{};

  void read(JsonCursor& in, std::size_t field) {
    TraceStep& step = record.step;
    switch (field) {
      case schema:
        if (const auto version = integer<std::uint64_t>(in); version != trace_schema)
          in.fail_at(std::to_string(version), text("schema ", trace_schema));
        return;
      case unix_time_us:
        record.unix_time_us = integer(in, std::numeric_limits<std::int64_t>::min());
        return;
      case request:
        step.request = integer<std::uint64_t>(in);
        return;
      case level:
        step.level = integer<Level>(in);
        return;
      case decision:
        step.decision = word<Decision, 4>(in);
        return;
      case bound:
        bound_value = real_or_word(in);
        return;
      case kind:
        bound_kind = word<BoundKind, 3>(in);
        return;
      case delta:
        spent = {real(in)};
        if (!(spent.value >= 0.0 && spent.value <= 1.0)) in.fail_at(text(spent.value), "a probability from 0 to 1");
        return;
      case elapsed_us:
        step.elapsed_us = real(in);
        if (!(step.elapsed_us >= 0.0)) in.fail_at(text(step.elapsed_us), "a time of at least 0");
        return;
      default: {
        const bool held = field < added_device_bytes;
        Footprint& bytes = held ? step.held : step.increment;
        bytes.per_space[field - (held ? held_device_bytes : added_device_bytes)] = {integer<std::uint64_t>(in)};
      }
    }
  }
};

}  // namespace

std::string_view write_line(const TraceRecord& record, std::span<char> buffer) {
  expects<ShapeError>(buffer.size() >= max_trace_line, "write_line: buffer has ", buffer.size(),
                      " characters, expected at least ", max_trace_line);
  const TraceStep& step = record.step;
  return Line(buffer)
      .number(schema, trace_schema)
      .number(unix_time_us, record.unix_time_us)
      .number(request, step.request)
      .number(level, step.level)
      .word(decision, name(step.decision))
      .bytes(held_device_bytes, step.held)
      .bytes(added_device_bytes, step.increment)
      .number(bound, step.bound.value())
      .word(kind, name(step.bound.kind()))
      .number(delta, step.bound.delta().value)
      .number(elapsed_us, step.elapsed_us)
      .done();
}

TraceRecord parse_line(std::string_view line, std::uint64_t line_number) {
  JsonCursor in("read_trace", line, line_number);
  if (!telemetry::is_utf8(line)) in.fail("UTF-8");
  Fields fields;
  bool seen[field_count] = {};
  in.need('{');
  if (!in.take('}')) {
    do {
      const std::string_view key = in.string();
      in.enter_field(key);
      in.need(':');
      std::size_t field = 0;
      while (field < field_count && field_names[field] != key) ++field;
      if (field == field_count) {
        in.skip_value();
      } else {
        if (seen[field]) in.fail("the field only once");
        seen[field] = true;
        fields.read(in, field);
      }
      in.enter_field({});
    } while (in.take(','));
    in.need('}');
  }
  if (!in.at_end()) in.fail("the end of the line");
  for (std::size_t field = 0; field < field_count; ++field) {
    in.enter_field(field_names[field]);
    if (!seen[field]) in.fail_at("no such field", "one");
  }
  in.enter_field(field_names[delta]);
  if (fields.bound_kind == BoundKind::deterministic && fields.spent.value != 0.0)
    in.fail_at(text(fields.spent.value), "0 for a deterministic bound");
  fields.record.step.bound = make_bound(fields.bound_kind, fields.bound_value, fields.spent);
  return fields.record;
}

}  // namespace mpp
