// How close to the speed of its memory does decode attention on a GPU come, and what do pages of codes save? attend_paged()
// through its public interface, with statistics and without, beside a plain copy in the same run.
//
// Times are of calls as a caller makes them: launch, work and the wait for it. Bytes are those of the pages that a read cannot
// avoid. All reads of a call together are several times the second-level cache. Before anything is timed, the first pages of
// every configuration are read on the CPU as well, and the results must agree within what attend_rounding() promises.
#include <array>
#include <random>

#include <mpp/kernels/attend_paged.hpp>
#include <mpp/kernels/certificate_sums.hpp>
#include <mpp/kernels/paged_copy.hpp>
#include <mpp/kernels/quantize_page.hpp>

#include "bench_json.hpp"
#include "device_copy.hpp"

namespace {

using namespace mpp;
using namespace mpp::bench;
using namespace mpp::kernels;

struct Levels {
  const char* name;
  PageLevel key, value;
};
constexpr Levels levels_of[] = {{"k8v4", PageLevel::bits8, PageLevel::bits4},
                                {"k8v8", PageLevel::bits8, PageLevel::bits8},
                                {"k4v4", PageLevel::bits4, PageLevel::bits4},
                                {"k12v8", PageLevel::bits12, PageLevel::bits8},
                                {"exact", PageLevel::exact, PageLevel::exact}};
constexpr std::size_t head_dim = 128;
constexpr std::size_t distinct_pages = 64;  // that all others are made of

/// Bytes of a page that a read at these levels needs.
double page_bytes(const Levels& levels) {
  const auto planes = [](PageLevel level) { return static_cast<double>(level); };
  const auto part = [&](PageLevel level) {
    return level == PageLevel::exact ? static_cast<double>(page_exact_bytes(head_dim))
                                     : planes(level) * static_cast<double>(page_plane_bytes(head_dim));
  };
  const double metadata = levels.key == PageLevel::exact
                              ? static_cast<double>(page_summary_bytes + page_tokens * sizeof(Half))
                              : static_cast<double>(page_metadata_bytes(head_dim));
  return part(levels.key) + part(levels.value) + metadata;
}

/// Pages in the memory of one device, each with metadata, all planes and its exact numbers.
class Pages {
 public:
  static constexpr std::size_t plane = page_plane_bytes(head_dim), exact = page_exact_bytes(head_dim);
  static constexpr std::size_t metadata = page_metadata_bytes(head_dim);
  static constexpr std::size_t stride = (metadata + 5 * plane + 2 * exact + 255) / 256 * 256;

  Pages(const Context& context, std::size_t count) : count_(count), memory_(context, count * stride) {}
  /// Codes the numbers of `from`, [distinct_pages][2][tokens][head_dim], over and over.
  void fill(const Context& context, const std::uint16_t* from) {
    std::vector<PageToQuantize> work;
    std::vector<CopyItem> copies;
    for (std::size_t p = 0; p < count_; ++p) {
      const KvPage page = view(p, {"", PageLevel::exact, PageLevel::exact});
      const std::uint16_t* keys = from + p % distinct_pages * (exact / sizeof(std::uint16_t)) * 2;
      const std::uint16_t* values = keys + exact / sizeof(std::uint16_t);
      PageToQuantize item{keys, values, at(p), {}, {}};
      for (int i = 0; i < 3; ++i) item.key_planes[i] = const_cast<std::uint32_t*>(page.key_planes[i]);
      for (int i = 0; i < 2; ++i) item.value_planes[i] = const_cast<std::uint32_t*>(page.value_planes[i]);
      work.push_back(item);
      copies.push_back({reinterpret_cast<const std::byte*>(keys), at(p) + metadata + 5 * plane, 2 * exact});
    }
    quantize_page(context, KvType::float16, head_dim, work);
    paged_copy(context, copies);
  }
  KvPage view(std::size_t p, const Levels& levels) const {
    KvPage page;
    page.metadata = at(p);
    std::byte* next = at(p) + metadata;
    for (auto& words : page.key_planes) words = reinterpret_cast<const std::uint32_t*>(next), next += plane;
    for (auto& words : page.value_planes) words = reinterpret_cast<const std::uint32_t*>(next), next += plane;
    page.exact_keys = reinterpret_cast<const std::uint16_t*>(next);
    page.exact_values = reinterpret_cast<const std::uint16_t*>(next + exact);
    page.tokens = page_tokens;
    page.key_level = levels.key;
    page.value_level = levels.value;
    return page;
  }
  std::size_t count() const { return count_; }

 private:
  std::byte* at(std::size_t p) const { return static_cast<std::byte*>(memory_.data()) + p * stride; }
  std::size_t count_;
  DeviceBytes memory_;
};

/// Reads of one call, cut out of one block table, and all that they write.
class Call {
 public:
  Call(const Context& context, const Pages& pages, const Levels& levels, std::size_t pages_per_read, std::size_t reads,
       std::size_t group)
      : context_(context), shape_{head_dim, group, KvType::float16, 0.0883883F}, per_read_(pages_per_read),
        sums_(reads * group) {
    std::vector<KvPage> table;
    for (std::size_t p = 0; p < pages_per_read * reads; ++p) table.push_back(pages.view(p % pages.count(), levels));
    table_ = DeviceArray<KvPage>(context, table);
    std::vector<float> queries(reads * group * head_dim);
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (float& q : queries) q = normal(random);
    queries_ = DeviceArray<float>(context, queries);
    output_ = DeviceArray<float>(context, queries.size());
    log_sum_exp_ = DeviceArray<double>(context, reads * group);
    for (auto& array : per_head_) array = DeviceArray<float>(context, table.size() * group);
    for (auto& array : per_page_) array = DeviceArray<float>(context, table.size());
    for (std::size_t r = 0; r < reads; ++r) {
      const auto of_head = [&](std::size_t i) { return per_head_[i].span().data() + r * pages_per_read * group; };
      const auto of_page = [&](std::size_t i) { return per_page_[i].span().data() + r * pages_per_read; };
      plain_.push_back({table_.span().data() + r * pages_per_read,
                        pages_per_read,
                        queries_.span().data() + r * group * head_dim,
                        output_.span().data() + r * group * head_dim,
                        log_sum_exp_.span().data() + r * group,
                        {}});
      with_statistics_.push_back(plain_.back());
      with_statistics_.back().statistics = {of_head(0), of_head(1), of_head(2), of_head(3),
                                            of_head(4), of_page(0), of_page(1), of_page(2)};
    }
  }
  void attend(bool statistics) { attend_paged(context_, shape_, statistics ? with_statistics_ : plain_); }
  void certify() { certificate_sums(context_, shape_, with_statistics_, sums_); }

  std::vector<float> output() const { return output_.to_host(); }
  std::vector<float> radius() const { return per_head_[2].to_host(); }
  /// What attend_rounding() allows the output of each head to be off.
  std::vector<double> allowed() const {
    const AttendRounding rounding = attend_rounding(per_read_);
    const auto max_logit = per_head_[0].to_host(), mass = per_head_[1].to_host(), reach = per_page_[2].to_host();
    const auto log_sum_exp = log_sum_exp_.to_host();
    std::vector<double> allowed(log_sum_exp.size(), 0.0);
    for (std::size_t h = 0; h < allowed.size(); ++h)
      for (std::size_t p = 0; p < per_read_; ++p) {
        const double share = std::exp(static_cast<double>(max_logit[h * per_read_ + p]) - log_sum_exp[h]);
        allowed[h] += share *
                      (rounding.page_weight * static_cast<double>(mass[h * per_read_ + p]) + rounding.token_weight) *
                      static_cast<double>(reach[h / shape_.group * per_read_ + p]);
      }
    return allowed;
  }

 private:
  Context context_;
  AttendShape shape_;
  std::size_t per_read_;
  DeviceArray<KvPage> table_;
  DeviceArray<float> queries_, output_, per_head_[5], per_page_[3];
  DeviceArray<double> log_sum_exp_;
  std::vector<KvRead> plain_, with_statistics_;
  std::vector<CertificateSums> sums_;
};

class Bench {
 public:
  Bench(const Context& context, Report& report, std::size_t tokens)
      : context_(context), report_(report), pages_(context, tokens / page_tokens), host_pages_({}, distinct_pages) {
    std::vector<std::uint16_t> numbers(2 * distinct_pages * page_tokens * head_dim);
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (std::uint16_t& bits : numbers) bits = nearest_half(normal(random)).bits;
    host_pages_.fill({}, numbers.data());
    const DeviceArray<std::uint16_t> device(context, numbers);
    const Stopwatch watch;
    pages_.fill(context, device.span().data());
    report_.set("attend.quantize_pages_per_s", static_cast<double>(pages_.count()) / watch.seconds());
  }

  void run(std::span<const std::size_t> contexts) {
    measure_copy("copy_before");
    for (const Levels& levels : levels_of)
      for (const std::size_t group : {1, 4, 8}) check(levels, group);
    for (const std::size_t tokens : contexts)
      for (const std::size_t group : {1, 4, 8}) {
        double exact_us = 0.0, k8v4_us = 0.0;
        for (const Levels& levels : levels_of) {
          const double us = measure(levels, tokens, group);
          if (levels.key == PageLevel::exact) exact_us = us;
          if (std::string_view(levels.name) == "k8v4") k8v4_us = us;
        }
        report_.set("attend.speedup_k8v4_" + name_of(tokens, group), exact_us / k8v4_us);
      }
    Call one(context_, pages_, levels_of[0], 1, 1, 1);
    time("one_page", 0.0, [&] { one.attend(true); });
    measure_copy("copy_after");
  }

 private:
  static std::string name_of(std::size_t tokens, std::size_t group) {
    return std::to_string(tokens / 1024) + "k_g" + std::to_string(group);
  }

  template <class Work>
  double time(const std::string& name, double bytes, Work work) {
    const double least = report_.quick() ? 0.002 : 0.01;
    const int repetitions = report_.quick() ? 5 : 11;
    work();
    const Stopwatch once;
    work();
    const auto calls = static_cast<std::size_t>(std::clamp(least / once.seconds(), 1.0, 10'000.0));
    std::vector<double> samples;
    for (int r = 0; r < repetitions; ++r) {
      const Stopwatch watch;
      for (std::size_t i = 0; i < calls; ++i) work();
      samples.push_back(watch.seconds() / static_cast<double>(calls) * 1e6);
    }
    const double us = median(samples);
    report_.spread("attend." + name + "_us", samples);
    if (bytes > 0.0) report_.set("attend." + name + "_gbps", bytes / us * 1e-3);
    if (bytes > 0.0 && copy_gbps_ > 0.0) report_.set("attend." + name + "_fraction", bytes / us * 1e-3 / copy_gbps_);
    return us;
  }

  void measure_copy(const std::string& name) {
    constexpr std::size_t bytes = std::size_t{512} << 20;
    const DeviceBytes from(context_, bytes);
    DeviceBytes to(context_, bytes);
    copy_gbps_ = 0.0;
    const double moved = 2.0 * static_cast<double>(bytes);
    copy_gbps_ = moved / time(name, moved, [&] { copy_on_device(context_.device, from, to); }) * 1e-3;
  }

  /// Two reads of all distinct pages, on both devices.
  void check(const Levels& levels, std::size_t group) {
    constexpr std::size_t half = distinct_pages / 2;
    Call here({}, host_pages_, levels, half, 2, group), there(context_, pages_, levels, half, 2, group);
    here.attend(true);
    there.attend(true);
    const auto expected = here.output(), found = there.output();
    const auto allowed = here.allowed();
    double worst = 0.0;
    for (std::size_t h = 0; h < allowed.size(); ++h) {
      double square = 0.0;
      for (std::size_t c = 0; c < head_dim; ++c) {
        const double off =
            static_cast<double>(found[h * head_dim + c]) - static_cast<double>(expected[h * head_dim + c]);
        square += off * off;
      }
      worst = std::max(worst, std::sqrt(square) / (2.0 * allowed[h]));
    }
    const auto radius = here.radius(), radius_found = there.radius();
    for (std::size_t i = 0; i < radius.size(); ++i)
      expects<std::runtime_error>(levels.key == PageLevel::exact || radius_found[i] < radius[i] * 1.001F,
                                  "bench_attend_gpu: radius ", radius_found[i], " on the GPU, ", radius[i],
                                  " on the CPU");
    expects<std::runtime_error>(worst <= 1.0, "bench_attend_gpu: ", levels.name, ", group ", group,
                                ": outputs of GPU and CPU differ by ", worst, " of what rounding may do");
    report_.set("attend.check_" + std::string(levels.name) + "_g" + std::to_string(group), worst);
  }

  double measure(const Levels& levels, std::size_t tokens, std::size_t group) {
    const std::size_t per_read = tokens / page_tokens, reads = pages_.count() / per_read;
    Call call(context_, pages_, levels, per_read, reads, group);
    const double bytes = page_bytes(levels) * static_cast<double>(per_read * reads);
    const std::string name = std::string(levels.name) + "_" + name_of(tokens, group);
    time(name + "_bare", bytes, [&] { call.attend(false); });
    const double us = time(name, bytes, [&] { call.attend(true); });
    if (levels.key == PageLevel::bits8) time(name + "_sums", 0.0, [&] { call.certify(); });
    return us;
  }

  Context context_;
  Report& report_;
  Pages pages_, host_pages_;
  double copy_gbps_ = 0.0;
};

}  // namespace

int main(int argc, char** argv) {
  Report report("attend_gpu", "Speed of decode attention on a GPU beside a plain copy");
  std::size_t tokens = std::size_t{1} << 23;  // 1.8 GB at K8V4: what a call costs beside its work is then little
  std::vector<std::size_t> contexts{4096, 32768, 131072};
  report.app().add_option("--tokens", tokens, "Tokens of all reads of a call together, a multiple of the contexts");
  report.app().add_option("--contexts", contexts, "Tokens of a read");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  try {
    const Context context{.device = Device::cuda};
    report.device(device_description(context.device) + " on " + cpu_name());
    Bench(context, report, tokens).run(contexts);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return report.finish();
}
