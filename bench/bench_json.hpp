#pragma once
// What every benchmark shares: the command line, a stopwatch, quantiles, and one JSON object at the end.
//
//   int main(int argc, char** argv) {
//     mpp::bench::Report report("ledger", "Cost of reserving and releasing bytes");
//     if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
//     report.spread("ledger.reserve_release_ns", samples);
//     return report.finish();
//   }
//
// --quick      few repetitions, under 50 seconds in all
// --json FILE  {"bench", "device", "commit", "metrics": {name: number}}; '-' is stdout, which then carries nothing else
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

namespace mpp::bench {

/// Time since construction or the last restart().
class Stopwatch {
 public:
  void restart() { start_ = Clock::now(); }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double nanoseconds() const { return seconds() * 1e9; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// The same of the calling thread alone: what others do on the machine does not count.
class ThreadStopwatch {
 public:
  double seconds() const { return now() - start_; }

 private:
  static double now() {
    timespec t{};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }
  double start_ = now();
};

/// Quantile q of the samples, linear between the two nearest order statistics (Hyndman-Fan type 7, as NumPy does).
/// @throws ValueError if there is no sample or q is outside [0, 1]
inline double quantile(std::span<const double> samples, double q) {
  expects<ValueError>(!samples.empty(), "quantile: no samples, expected at least 1");
  expects<ValueError>(q >= 0.0 && q <= 1.0, "quantile: q is ", q, ", expected a value in [0, 1]");
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

inline double median(std::span<const double> samples) { return quantile(samples, 0.5); }

/// Name of the processor, "unknown" where the system does not say.
inline std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      if (const auto value = line.find_first_not_of(" \t", line.find(':') + 1); value != std::string::npos)
        return line.substr(value);
  return "unknown";
}

/// Keeps freed memory in the process, as the allocators of servers do: otherwise every large request pays for fresh pages.
inline void keep_freed_memory() {
#ifdef __GLIBC__
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
  (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

/// Collects named numbers, prints them as a table and writes them as JSON.
class Report {
 public:
  Report(std::string name, const std::string& question) : name_(std::move(name)), app_(question, "bench_" + name_) {
    app_.add_flag("--quick", quick_, "Few repetitions, under 50 seconds");
    app_.add_option("--json", json_, "Write the metrics as JSON to this file; '-' is stdout");
  }

  /// For options of one benchmark alone; before parse().
  CLI::App& app() { return app_; }

  /// @return the exit code when the program should end here (--help, a wrong option)
  std::optional<int> parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error);
    }
    return std::nullopt;
  }

  bool quick() const { return quick_; }
  void device(std::string name) { device_ = std::move(name); }

  /// One number. @throws ValueError if it is not finite: JSON has no NaN.
  void set(const std::string& metric, double value) {
    expects<ValueError>(std::isfinite(value), "Report: metric ", metric, " is ", value, ", expected a finite number");
    metrics_[metric] = value;
  }

  /// The median under `metric`, and the spread as metric_p10 and metric_p90.
  void spread(const std::string& metric, std::span<const double> samples) {
    set(metric, median(samples));
    set(metric + "_p10", quantile(samples, 0.1));
    set(metric + "_p90", quantile(samples, 0.9));
  }

  /// Prints the table (to stderr when stdout carries the JSON), writes the JSON. @return the exit code
  int finish() const {
    std::ostream& table = json_ == "-" ? std::cerr : std::cout;
    table << "bench_" << name_ << " on " << device_ << ", commit " << commit() << '\n';
    for (const auto& [metric, value] : metrics_)
      table << "  " << std::left << std::setw(48) << metric << std::right << std::setw(14) << value << '\n';
    if (json_.empty()) return 0;

    const nlohmann::json object = {{"bench", name_}, {"device", device_}, {"commit", commit()}, {"metrics", metrics_}};
    if (json_ == "-") {
      std::cout << object.dump(2) << '\n';
      return std::cout.flush() ? 0 : 1;
    }
    std::ofstream file(json_);
    file << object.dump(2) << '\n';
    if (file.flush()) return 0;
    std::cerr << "bench_" << name_ << ": cannot write " << json_ << '\n';
    return 1;
  }

 private:
  static std::string commit() {
#ifdef MPP_COMMIT
    return MPP_COMMIT;
#else
    return "unknown";
#endif
  }

  std::string name_;
  CLI::App app_;
  bool quick_ = false;
  std::string json_;
  std::string device_ = cpu_name();
  std::map<std::string, double> metrics_;
};

}  // namespace mpp::bench
