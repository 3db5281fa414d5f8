#include <mpp/core/telemetry/counters.hpp>
#include <mpp/core/telemetry/json_lines_sink.hpp>
#include <mpp/core/telemetry/trace_reader.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <limits>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <mpp/core/control/controller.hpp>

#include "core/tiers.hpp"
#include "fuzz/trace_reader_property.hpp"

namespace mpp {
namespace {

using namespace mpp::test;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

Footprint footprint(std::uint64_t device, std::uint64_t host, std::uint64_t disk) {
  return {{Bytes{device}, Bytes{host}, Bytes{disk}}};
}

TraceRecord example() {
  return {1700000000123456,
          {.request = 7,
           .level = 2,
           .decision = Decision::escalate,
           .held = footprint(1, 2, 3),
           .increment = footprint(4, 5, 6),
           .bound = ErrorBound::randomized(0.1, {0.025}),
           .elapsed_us = 12.5}};
}
const std::string example_line =
    R"({"schema":1,"unix_time_us":1700000000123456,"request":7,"level":2,"decision":"escalate",)"
    R"("held_device_bytes":1,"held_host_bytes":2,"held_disk_bytes":3,)"
    R"("added_device_bytes":4,"added_host_bytes":5,"added_disk_bytes":6,)"
    R"("bound":0.1,"kind":"randomized","delta":0.025,"elapsed_us":12.5})"
    "\n";

std::string with(std::string from, std::string to) {
  std::string line = example_line;
  const auto at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return line.replace(at, from.size(), to);
}

std::string error_of(const std::string& input) {
  std::istringstream in(input);
  try {
    (void)read_trace(in);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TraceLine, IsTheDocumentedOne) { EXPECT_EQ(to_line(example()), example_line); }

TEST(TraceLine, EveryFieldSurvivesAtItsExtremes) {
  const double tiny = std::numeric_limits<double>::denorm_min(), huge = std::numeric_limits<double>::max();
  std::vector<ErrorBound> bounds{ErrorBound::none(), ErrorBound::exact()};
  for (const double value : {nan, inf, -inf, -1.0, -0.0, tiny, huge, 0.1, 1.0 / 3.0, 0x1.fffffffffffffp-1}) {
    bounds.push_back(ErrorBound::deterministic(value));
    bounds.push_back(ErrorBound::randomized(value, {tiny}));
    bounds.push_back(ErrorBound::calibrated(value, {1.0}));
  }
  for (const ErrorBound& bound : bounds)
    for (const Decision decision : {Decision::release, Decision::escalate, Decision::deny, Decision::refuse})
      for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1} << 53, most})
        for (const double elapsed : {0.0, tiny, huge, 1e-5, 1e22}) {
          const TraceRecord record{
              n == 0 ? std::numeric_limits<std::int64_t>::min() : 0,
              {n, static_cast<Level>(n), decision, footprint(n, 0, n), footprint(0, n, n), bound, elapsed}};
          const std::string line = to_line(record);
          ASSERT_TRUE(same(parse_line(line), record)) << line;
          ASSERT_LT(line.size(), max_trace_line);
        }
}

TEST(TraceLine, RandomDoublesSurviveToTheLastBit) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    TraceRecord record = example();
    record.step.bound = ErrorBound::deterministic(std::bit_cast<double>(random()));
    ASSERT_TRUE(same(parse_line(to_line(record)), record));
  }
}

TEST(TraceLine, ATooSmallBufferIsAnError) {
  std::array<char, max_trace_line - 1> buffer;
  EXPECT_THROW((void)write_line(example(), buffer), ShapeError);
}

TEST(TraceReader, TakesFieldsInAnyOrderAndSkipsUnknownOnes) {
  EXPECT_TRUE(same(parse_line(with(R"("schema":1,)", "").insert(1, R"("schema":1,)")), example()));
  EXPECT_TRUE(
      same(parse_line(with(R"("elapsed_us":12.5})", R"("new":{"a":[1,{"b":[]},"\u00e9\"x"],"c":null},"t":true , )"
                                                    R"("elapsed_us" : 12.5 })")),
           example()));
  std::string reversed = with(R"("request":7,"level":2)", R"("level":2,"request":7)");
  EXPECT_TRUE(same(parse_line(reversed), example()));
}

TEST(TraceReader, SkipsBlankLinesAndNeedsNoLastLineFeed) {
  std::istringstream in("\n  \r\n" + example_line + "\n" + example_line.substr(0, example_line.size() - 1));
  EXPECT_EQ(read_trace(in).size(), 2u);
  std::istringstream empty;
  EXPECT_TRUE(read_trace(empty).empty());
}

TEST(TraceReader, HandsOverTheRecordsBeforeABadLine) {
  std::istringstream in(example_line + example_line + "x\n");
  int records = 0;
  EXPECT_THROW(read_trace(in, [&](const TraceRecord&) { ++records; }), FormatError);
  EXPECT_EQ(records, 2);
}

TEST(TraceReader, NamesTheLineTheFieldWhatCameAndWhatWasExpected) {
  EXPECT_EQ(error_of(example_line + with(R"("request":7)", R"("request":-7)")),
            "read_trace: line 2, field 'request': came '-7', expected an integer from 0 to 18446744073709551615");
  EXPECT_EQ(error_of(with(R"("schema":1)", R"("schema":2)")),
            "read_trace: line 1, field 'schema': came '2', expected schema 1");
  EXPECT_EQ(error_of(with(R"("level":2,)", "")),
            "read_trace: line 1, field 'level': came 'no such field', expected one");
  EXPECT_EQ(error_of(with("escalate", "explode")),
            "read_trace: line 1, field 'decision': came 'explode', expected one of release escalate deny refuse");
  EXPECT_EQ(error_of(with("randomized", "deterministic")),
            "read_trace: line 1, field 'delta': came '0.025', expected 0 for a deterministic bound");
}

TEST(TraceReader, RefusesEveryTruncationOfALine) {
  for (std::size_t n = 1; n + 1 < example_line.size(); ++n)
    EXPECT_NE(error_of(example_line.substr(0, n)), "no error") << n;
}

TEST(TraceReader, RefusesHostileLines) {
  const std::string deep(1000, '[');
  const std::vector<std::string> hostile{"null",
                                         "[]",
                                         "{",
                                         "{}",
                                         "{}{}",
                                         example_line.substr(0, example_line.size() - 1) + "x",
                                         "{,}",
                                         R"({"a"})",
                                         R"({"a":})",
                                         with(R"("level":2)", R"("level":2,"level":2)"),           // twice
                                         with(R"("level":2)", R"("level":18446744073709551616)"),  // one too large
                                         with(R"("level":2)", R"("level":2.0)"),
                                         with(R"("level":2)", R"("level":2e0)"),
                                         with(R"("level":2)", R"("level":02)"),
                                         with(R"("level":2)", R"("level":+2)"),
                                         with(R"("level":2)", R"("level":"2")"),
                                         with(R"("level":2)", R"("level":null)"),
                                         with(R"("bound":0.1)", R"("bound":1e999)"),
                                         with(R"("bound":0.1)", R"("bound":NaN)"),
                                         with(R"("bound":0.1)", R"("bound":"nan")"),
                                         with(R"("bound":0.1)", R"("bound":.1)"),
                                         with(R"("bound":0.1)", R"("bound":1.)"),
                                         with(R"("bound":0.1)", R"("bound":0x1)"),
                                         with(R"("bound":0.1)", R"("bound":)" + std::string(5000, '9')),
                                         with(R"("delta":0.025)", R"("delta":1.5)"),
                                         with(R"("delta":0.025)", R"("delta":-0.1)"),
                                         with(R"("delta":0.025)", R"("delta":null)"),
                                         with(R"("elapsed_us":12.5)", R"("elapsed_us":-1)"),
                                         with("\"level\":2", "\"level\":2,\"x\":" + deep),
                                         with("\"level\":2", "\"level\":2,\"x\":[1,]"),
                                         with("\"level\":2", "\"level\":2,\"x\":{\"a\" 1}"),
                                         with("\"level\":2", "\"level\":2,\"x\":[}"),
                                         with("\"level\":2", R"("level":2,"\q":1)"),
                                         with("\"level\":2", R"("level":2,"\u12g4":1)"),
                                         with("\"level\":2", "\"level\":2,\"a\tb\":1"),
                                         with("\"level\":2", std::string("\"level\":2\0,", 11)),
                                         with("escalate", "\xff"),
                                         with("\"level\":2", "\"level\":2,\"\xc0\xaf\":1"),
                                         with("\"level\":2", "\"level\":2,\"\xed\xa0\x80\":1"),
                                         with("\"level\":2", "\"level\":2,\"\xf4\x90\x80\x80\":1"),
                                         with("\"level\":2", "\"level\":2,\"\xe2\x82\":1"),
                                         std::string(max_read_line + 1, ' ') + example_line,
                                         "\xef\xbb\xbf" + example_line};
  for (const std::string& line : hostile) {
    const std::string error = error_of(line);
    EXPECT_EQ(error.rfind("read_trace: line 1", 0), 0u) << line.substr(0, 400) << " -> " << error;
    EXPECT_LT(error.size(), 300u);  // an error quotes, it does not repeat
    for (const char c : error) EXPECT_TRUE(c >= 0x20 && c <= 0x7e) << error;
  }
  EXPECT_EQ(error_of(with("\"level\":2", "\"level\":2,\"x\":" + std::string(16, '[') + std::string(16, ']'))),
            "no error");
  EXPECT_EQ(error_of(with("\"level\":2", "\"level\":2,\"caf\xc3\xa9 \xf0\x9f\x98\x80\":1")), "no error");
}

TEST(TraceReader, AStreamThatCannotBeReadIsAnError) {
  std::istringstream in(example_line);
  in.setstate(std::ios::failbit);
  EXPECT_THROW((void)read_trace(in), FormatError);
}

TEST(TraceReader, MutatedTracesAreRefusedOrSurvive) {
  std::mt19937 random(3);
  const std::string alphabet = "{}[]\",:\\u0123456789.eE+-nulltrue \n\t\xff\xc3\xa9" + std::string(1, '\0');
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string input = example_line + example_line;
    for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % input.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          input[at] = c;
          break;
        case 1:
          input.insert(at, 1, c);
          break;
        case 2:
          input.erase(at, 1 + random() % 8);
          break;
        default:
          input.insert(at, input.substr(random() % input.size(), random() % 40));
          break;
      }
    }
    ASSERT_TRUE(refused_or_survives(input)) << input;
    refused += error_of(input) != "no error";
  }
  EXPECT_GT(refused, 10000);  // the mutations do reach the errors
  EXPECT_LT(refused, 20000);  // and the lines behind them
}

// ---- sinks ----

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

TEST(JsonLinesSink, WritesWhatTheOutcomeTraces) {
  Ledger ledger(Footprint::host({250}));
  const LadderTier tier{};
  const Scripted estimator{[](Level, Delta share) { return ErrorBound::randomized(0.5, share); }};
  std::stringstream file;
  JsonLinesSink sink(file);
  const std::int64_t before = now_us();
  const auto outcome = Controller(tier, estimator, ledger.root(), &sink).serve(Ask{}, {.delta = {0.3}});
  const auto records = read_trace(file);
  ASSERT_EQ(records.size(), outcome.trace.size());
  ASSERT_EQ(records.size(), 3u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_TRUE(same(records[i], {records[i].unix_time_us, outcome.trace[i]}));
    EXPECT_GE(records[i].unix_time_us, before);
    EXPECT_LE(records[i].unix_time_us, now_us());
  }
  EXPECT_TRUE(sink.good());
  EXPECT_EQ(sink.error(), "");
}

TEST(JsonLinesSink, ConcurrentWritersProduceWholeLines) {
  std::stringstream file;
  JsonLinesSink sink(file);
  constexpr std::uint64_t threads = 4, lines = 500;
  {
    std::vector<std::jthread> pool;
    for (std::uint64_t t = 0; t < threads; ++t)
      pool.emplace_back([&, t] {
        TraceStep step = example().step;
        for (step.request = t * lines; step.request < (t + 1) * lines; ++step.request) sink.record(step);
      });
  }
  std::set<std::uint64_t> requests;
  std::int64_t last = 0;
  read_trace(file, [&](const TraceRecord& record) {
    requests.insert(record.step.request);
    EXPECT_GE(record.unix_time_us, last);
    last = record.unix_time_us;
  });
  EXPECT_EQ(requests.size(), threads * lines);
}

/// Takes `room` characters, then fails.
class FullDisk : public std::streambuf {
 public:
  explicit FullDisk(std::streamsize room) : room_(room) {}

 private:
  std::streamsize xsputn(const char*, std::streamsize n) override { return n <= room_ ? (room_ -= n, n) : 0; }
  std::streamsize room_;
};

TEST(JsonLinesSink, RemembersAFailureAndThrowsNothing) {
  for (const bool throwing : {false, true}) {
    FullDisk disk(static_cast<std::streamsize>(5 * example_line.size() / 2));  // room for two lines
    std::ostream file(&disk);
    if (throwing) file.exceptions(std::ios::badbit | std::ios::failbit);
    JsonLinesSink sink(file);
    for (int i = 0; i < 5; ++i) sink.record(example().step);
    EXPECT_FALSE(sink.good());
    EXPECT_FALSE(sink.flush());
    EXPECT_EQ(sink.error(), "JsonLinesSink: the stream failed after 2 lines, 3 lines were dropped");
  }
}

TEST(Counters, CountDecisionsLevelsAndPeakAndPassThemOn) {
  std::stringstream file;
  JsonLinesSink sink(file);
  Counters counters(&sink);
  const auto decide = [&](Decision decision, Level level, Footprint held) {
    counters.record({.request = 0, .level = level, .decision = decision, .held = held});
  };
  decide(Decision::escalate, 0, footprint(1, 30, 0));
  decide(Decision::release, 1, footprint(2, 20, 0));
  decide(Decision::release, 1, footprint(1, 10, 0));
  decide(Decision::release, 15, {});
  decide(Decision::release, 1'000'000, {});
  decide(Decision::deny, 3, {});
  decide(Decision::refuse, 2, {});
  const auto s = counters.snapshot();
  EXPECT_EQ(s[Decision::escalate], 1u);
  EXPECT_EQ(s[Decision::release], 4u);
  EXPECT_EQ(s[Decision::deny], 1u);
  EXPECT_EQ(s[Decision::refuse], 1u);
  EXPECT_EQ(s.released_at[0], 0u);
  EXPECT_EQ(s.released_at[1], 2u);
  EXPECT_EQ(s.released_at[15], 2u);
  EXPECT_EQ(s.peak, footprint(2, 30, 0));
  EXPECT_EQ(read_trace(file).size(), 7u);
}

TEST(Counters, LoseNothingAcrossThreads) {
  Counters counters;
  {
    std::vector<std::jthread> pool;
    for (std::uint64_t t = 1; t <= 4; ++t)
      pool.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < 5000; ++i)
          counters.record({.request = i, .level = 0, .decision = Decision::release, .held = footprint(t * i, 0, 0)});
      });
  }
  EXPECT_EQ(counters.snapshot()[Decision::release], 20000u);
  EXPECT_EQ(counters.snapshot().released_at[0], 20000u);
  EXPECT_EQ(counters.snapshot().peak, footprint(4 * 4999, 0, 0));
}

}  // namespace
}  // namespace mpp
