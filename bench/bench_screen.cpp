// How close to the speed of its memory does a device screen coded rows? Each operation of the kernels alone, beside a
// plain copy in the same run, and a whole "threshold first" pass over planes 0 and 1.
//
// Times are of calls as a caller makes them: launch, work and the wait for it. Bytes are those an operation cannot avoid,
// read and written; a part that fits the caches of the device may well beat the copy.
#include <bit>
#include <functional>
#include <numeric>

#include "bench_json.hpp"
#include "device_copy.hpp"
#include "screen_check.hpp"

namespace {

using namespace mpp;
using namespace mpp::bench;
using kernels::Device;

struct Options {
  std::string device = "cpu";
  std::size_t rows = 0;  // 0: by device and --quick
  std::size_t dims = 128;
};

constexpr std::size_t query_count = 64;
constexpr std::size_t in_turn = 8;  // queries that single-query operations rotate over

/// One line of the report: what is called, and what one call moves and answers.
struct Operation {
  std::string name;
  double bytes;                                     // read and written by one call
  std::function<void(std::size_t)> call;            // the argument counts calls
  std::function<void()> before_repetition = [] {};  // not timed
  std::size_t queries = 0;                          // answered by one call; 0: queries per second say nothing
  double most_calls = 10'000.0;                     // in one repetition
};

class Bench {
 public:
  Bench(const Context& context, Report& report, std::size_t rows, std::size_t dims)
      : context_(context), report_(report), seeded_(rows, dims), exact_(rows * dims), coded_(context, seeded_),
        pass_(context, coded_, exact_, dims) {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < dims; ++j) exact_[i * dims + j] = seeded_.value(i, j);
    for (std::size_t q = 0; q < query_count; ++q) queries_.emplace_back(context, seeded_, q);
  }

  void check() {
    SampleCheck(context_, seeded_, queries_).run();
    for (std::size_t q = 0; q < 2; ++q) {
      pass_.run(std::span(queries_).subspan(q, 1));
      check_pass(exact_, queries_[q]);
    }
    double open = 0.0;
    double blocks = 0.0;
    pass_.run(queries_);
    check_pass(exact_, queries_.back());
    thresholds_ = pass_.threshold;
    for (const CodedQuery& query : queries_)
      for (const std::uint64_t word : query.open.to_host()) {
        open += std::popcount(word);
        blocks += word != 0 ? 1.0 : 0.0;
      }
    report_.set("screen.rows", static_cast<double>(n()));
    report_.set("screen.dims", static_cast<double>(dims()));
    report_.set("screen.pass_open_fraction", open / static_cast<double>(n() * query_count));
    report_.set("screen.pass_open_blocks_fraction", blocks / static_cast<double>(blocks_() * query_count));
  }

  void run() {
    measure_copy();
    measure_call();
    measure_coding();
    for (const std::size_t batch : {1, 2, 4, 8, 64}) measure_screen(batch);
    measure_selection();
    measure_survivors();
    measure_refine_blocks();
    for (const std::size_t batch : {std::size_t{1}, query_count}) measure_pass(batch);
  }

 private:
  std::size_t n() const { return seeded_.rows(); }
  std::size_t dims() const { return seeded_.dims(); }
  std::size_t blocks_() const { return n() / block_rows; }
  double plane_bytes() const { return static_cast<double>(n() * dims() / 8); }
  std::span<CodedQuery> batch_of(std::size_t call, std::size_t batch) {
    return std::span(queries_).subspan(call * batch % query_count, batch);
  }

  /// Seconds per call of each repetition; a repetition takes long enough for the clock.
  std::vector<double> seconds_per_call(const Operation& operation) const {
    const double least = report_.quick() ? 0.005 : 0.02;
    const int repetitions = report_.quick() ? 7 : 15;
    operation.before_repetition();
    operation.call(0);  // warm-up: code is loaded, memory is mapped
    operation.before_repetition();
    const Stopwatch once;
    operation.call(1);
    const auto calls = static_cast<std::size_t>(std::clamp(least / once.seconds(), 1.0, operation.most_calls));
    std::vector<double> samples;
    for (int r = 0; r < repetitions; ++r) {
      operation.before_repetition();
      const Stopwatch watch;
      for (std::size_t i = 0; i < calls; ++i) operation.call(i);
      samples.push_back(watch.seconds() / static_cast<double>(calls));
    }
    return samples;
  }

  void measure(const Operation& operation) {
    std::vector<double> samples = seconds_per_call(operation);
    const double seconds = median(samples);
    for (double& sample : samples) sample *= 1e6;
    const std::string name = "screen." + operation.name;
    report_.spread(name + "_us", samples);
    if (operation.bytes > 0.0) {
      report_.set(name + "_gbps", operation.bytes / seconds * 1e-9);
      if (copy_gbps_ > 0.0) report_.set(name + "_fraction", operation.bytes / seconds * 1e-9 / copy_gbps_);
    }
    if (operation.queries != 0) report_.set(name + "_queries_per_s", static_cast<double>(operation.queries) / seconds);
    last_seconds_ = seconds;
  }

  void measure_copy() {
    const std::size_t bytes = std::max<std::size_t>(n() * dims() / 8, 256 << 20);
    const kernels::DeviceBytes from(context_, bytes);
    kernels::DeviceBytes to(context_, bytes);
    const double moved = 2.0 * static_cast<double>(bytes);
    measure({"copy", moved, [&](std::size_t) { copy_on_device(context_.device, from, to); }});
    copy_gbps_ = moved / last_seconds_ * 1e-9;
  }

  // What a call costs that has next to nothing to do: one block.
  void measure_call() {
    const auto signs = coded_.plane[0].signs.span().first(block_rows * dims() / 8);
    const kernels::ScreenQuery view{queries_[0].table.span(), queries_[0].dots.span().first(block_rows)};
    measure({"call", 0.0, [&](std::size_t) { kernels::screen(context_, signs, dims(), std::span(&view, 1)); }});
  }

  void measure_coding() {
    const std::size_t m = std::min<std::size_t>(n(), 1 << (context_.device == Device::cpu ? 14 : 19));
    const DeviceArray<float> parts(context_, coded_parts(seeded_, 0, m));
    const DeviceCode code(context_, m, dims());
    const double coded = static_cast<double>(m * (dims() + kernels::planes * sizeof(kernels::PlaneFactors)));
    const double in = static_cast<double>(m * dims() * sizeof(float));
    measure({"quantize_nested", in + coded,
             [&](std::size_t) { kernels::quantize_nested(context_, parts.span(), dims(), 0, 1.0F, code.out); }});
    report_.set("screen.quantize_nested_rows_per_s", static_cast<double>(m) / last_seconds_);
    DeviceArray<std::uint8_t> packed(context_, kernels::blocked_bytes(m, dims()));
    measure({"pack_blocks", 2.0 * static_cast<double>(packed.size()),
             [&](std::size_t) { kernels::pack_blocks(context_, code.codes[0].span(), dims(), packed.span()); }});
  }

  void measure_screen(std::size_t batch) {
    const double dots = static_cast<double>(batch * n() * sizeof(std::int16_t));
    measure({"screen_b" + std::to_string(batch), plane_bytes() + dots,
             [&](std::size_t i) { pass_.screen(batch_of(i, batch)); }, [] {}, batch});
  }

  // The dot products are those of plane 0: measure_screen() left them.
  void measure_selection() {
    const double read = static_cast<double>(n() * 2 * sizeof(std::int16_t)) +
                        static_cast<double>(blocks_() * (sizeof(float) + sizeof(std::uint64_t)));
    measure({"best_midpoints", read + static_cast<double>(ThresholdPass::pilot * sizeof(kernels::Candidate)),
             [&](std::size_t i) { pass_.best_midpoints(queries_[i % in_turn]); }, [] {}, 1});
    measure({"mark_reaching",
             read + static_cast<double>(n() * sizeof(Half)) + static_cast<double>(blocks_() * sizeof(std::uint64_t)),
             [&](std::size_t i) { pass_.mark(queries_[i % in_turn], 0, pass_.live(), thresholds_[i % in_turn]); },
             [] {}, 1});
    std::vector<std::size_t> marked;
    for (std::size_t q = 0; q < in_turn; ++q)
      marked.push_back(pass_.mark(queries_[q], 0, pass_.live(), thresholds_[q]).rows);
    report_.set("screen.marked_fraction",
                std::accumulate(marked.begin(), marked.end(), 0.0) / static_cast<double>(in_turn * n()));
    std::vector<DeviceArray<std::uint32_t>> lists;
    for (const std::size_t count : marked) lists.emplace_back(context_, count);
    measure({"compact_marked",
             static_cast<double>(blocks_() * sizeof(std::uint64_t) + marked[0] * sizeof(std::uint32_t)),
             [&](std::size_t i) {
               kernels::compact_marked(context_, queries_[i % in_turn].open.span(), lists[i % in_turn].span());
             },
             [] {}, 1});
  }

  // Rows of a pass that are left over, brought together: 4 slices of every sixteenth row, 4096 exact ones.
  void measure_survivors() {
    const std::size_t m = std::max<std::size_t>(block_rows, n() / 16);
    const std::size_t slices = kernels::plane_slices[3];
    std::vector<std::uint8_t> bits(m * kernels::plane_row_bytes(3, dims()));
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint8_t>(seeded_bits(5, i));
    const DeviceArray<std::uint8_t> rows(context_, bits);
    const DeviceArray<std::int16_t> code(context_, queries_[0].code);
    DeviceArray<std::int32_t> dots(context_, m);
    measure({"refine_dots", static_cast<double>(rows.size() + 2 * m * sizeof(std::int32_t)),
             [&](std::size_t) { kernels::refine_dots(context_, rows.span(), slices, code.span(), dots.span()); },
             [&] { dots.copy_from(std::vector<std::int32_t>(m, 0)); }, 1});

    const std::size_t gathered = std::min<std::size_t>(n(), 4096);
    const DeviceArray<float> exact(context_, std::span(exact_).first(gathered * dims()));
    const DeviceArray<float> query(context_, queries_[0].values);
    DeviceArray<double> scores(context_, gathered);
    measure({"rescore", static_cast<double>(gathered * (dims() * sizeof(float) + sizeof(double))),
             [&](std::size_t) {
               kernels::rescore(context_, exact.span(), query.span(), kernels::Metric::inner_product, scores.span());
             },
             [] {}, 1});

    std::vector<kernels::Scored> items(gathered);
    for (std::size_t i = 0; i < gathered; ++i) items[i] = {static_cast<double>(seeded_normal(6, i)), i};
    constexpr std::size_t sorts = 16;
    std::vector<DeviceArray<kernels::Scored>> copies;  // sorted in place, so every call gets a new one
    for (std::size_t i = 0; i < sorts; ++i) copies.emplace_back(context_, items);
    measure({"topk", static_cast<double>(2 * gathered * sizeof(kernels::Scored)),
             [&](std::size_t i) { kernels::topk(context_, copies[i % copies.size()].span(), ThresholdPass::k); },
             [&] {
               for (auto& copy : copies) copy.copy_from(items);
             },
             1});
  }

  // One block of 32 is open, 3.1 %.
  void measure_refine_blocks() {
    std::vector<std::uint64_t> open(blocks_(), 0);
    std::size_t count = 0;
    for (std::size_t b = 0; b < open.size(); ++b)
      if (seeded_bits(7, b) % 32 == 0) open[b] = seeded_bits(8, ++count) | 1U;
    const DeviceArray<std::uint64_t> words(context_, open);
    for (const std::size_t batch : {std::size_t{1}, query_count}) {
      const double dots = static_cast<double>(batch * count * block_rows * 2 * sizeof(std::int16_t));
      const double codes = static_cast<double>(count * block_rows * dims() / 8);
      measure({"refine_blocks_b" + std::to_string(batch),
               codes + dots + static_cast<double>(batch * open.size() * sizeof(std::uint64_t)),
               [&](std::size_t i) {
                 std::vector<kernels::RefineQuery> views;
                 for (CodedQuery& query : batch_of(i, batch))
                   views.push_back({query.table.span(), query.dots.span(), words.span()});
                 kernels::refine_blocks(context_, coded_.plane[1].signs.span(), dims(), views);
               },
               [] {}, batch});
    }
  }

  void measure_pass(std::size_t batch) {
    measure(
        {"pass_b" + std::to_string(batch), 0.0, [&](std::size_t i) { pass_.run(batch_of(i, batch)); }, [] {}, batch});
  }

  Context context_;
  Report& report_;
  SeededRows seeded_;
  std::vector<float> exact_;
  CodedRows coded_;
  ThresholdPass pass_;
  std::vector<CodedQuery> queries_;
  std::vector<float> thresholds_;  // of every query
  double copy_gbps_ = 0.0;
  double last_seconds_ = 0.0;
};

}  // namespace

int main(int argc, char** argv) {
  Report report("screen", "Speed of the screening operations beside a plain copy");
  Options options;
  report.app()
      .add_option("--device", options.device, "Where to run: cpu or cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  report.app().add_option("--rows", options.rows, "Coded rows, a multiple of 64; 0: 1 million, 10 million on cuda");
  report.app().add_option("--dims", options.dims, "Coordinates of a row, a multiple of 8");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  try {
    const Context context{.device = options.device == "cpu" ? Device::cpu : Device::cuda};
    const bool large = context.device == Device::cuda && !report.quick();
    if (options.rows == 0) options.rows = large ? 10'000'000 : 1'000'000;
    report.device(kernels::device_description(context.device) + " on " + cpu_name());
    Bench bench(context, report, options.rows, options.dims);
    bench.check();
    bench.run();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return report.finish();
}
