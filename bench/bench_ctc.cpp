// How many utterances a second does one device search, and how many of its answers prove themselves? CTC prefix search
// (ctc_step) of seeded, peaked emissions of 371 frames x 29 tokens, the size of a ten-second utterance with characters.
// Emissions lie in memory of the device when the clock starts, except where a name says with_upload.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <mpp/kernels/ctc_step.hpp>
#include <mpp/kernels/device_array.hpp>

#include "bench_json.hpp"
#include "reference/ctc_step_reference.hpp"

namespace {

using namespace mpp;
using namespace mpp::kernels;

constexpr std::size_t frames = 371, tokens = 29, blank = 0;

/// A spoken letter peaks for one to three frames, blanks lie between; between none and six frames of an utterance are
/// torn between two tokens.
std::vector<float> emissions(std::size_t utterances) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> noise;
  std::vector<float> rows(utterances * frames * tokens);
  for (std::size_t u = 0; u < utterances; ++u) {
    const std::size_t torn = random() % 7;
    std::size_t peak = blank, left = 0;
    for (std::size_t t = 0; t < frames; ++t) {
      if (left-- == 0) {
        peak = peak == blank ? 1 + random() % (tokens - 1) : blank;
        left = random() % 3;
      }
      float* const row = &rows[(u * frames + t) * tokens];
      for (std::size_t k = 0; k < tokens; ++k) row[k] = noise(random);
      row[peak] += 14.0F;
      if (random() % frames < torn) row[random() % tokens] += 13.0F;
      double sum = 0.0;
      for (std::size_t k = 0; k < tokens; ++k) sum += std::exp(static_cast<double>(row[k]));
      for (std::size_t k = 0; k < tokens; ++k) row[k] -= static_cast<float>(std::log(sum));
    }
  }
  return rows;
}

/// A batch of searches in memory of one device.
class Batch {
 public:
  Batch(const Context& context, std::span<const float> rows, std::size_t utterances, std::size_t cap)
      : context_(context), rows_(rows), capacity_(1 + frames * cap), cap_(cap), progress_(utterances),
        log_probs_(context, rows.subspan(0, std::min(rows.size(), utterances * frames * tokens))),
        live_(context, utterances * cap), nodes_(context, utterances * capacity_),
        scratch_(context, utterances * ctc_scratch_words(cap, tokens)) {
    const std::size_t distinct = log_probs_.size() / (frames * tokens), words = ctc_scratch_words(cap, tokens);
    for (std::size_t u = 0; u < utterances; ++u)
      views_.push_back(
          {.log_probs = std::as_const(log_probs_).span().subspan(u % distinct * frames * tokens, frames * tokens),
           .live = live_.span().subspan(u * cap, cap),
           .nodes = nodes_.span().subspan(u * capacity_, capacity_),
           .scratch = scratch_.span().subspan(u * words, words)});
  }

  void upload() { log_probs_.copy_from(rows_.first(log_probs_.size())); }
  void run() {
    std::fill(progress_.begin(), progress_.end(), CtcProgress{});
    ctc_step(context_, tokens, blank, views_, progress_);
  }

  std::size_t size() const { return views_.size(); }
  double bytes_each() const {
    const std::size_t each = cap_ * sizeof(CtcHypothesis) + capacity_ * sizeof(CtcNode) +
                             ctc_scratch_words(cap_, tokens) * sizeof(std::uint64_t) + frames * tokens * sizeof(float);
    return static_cast<double>(each);
  }
  const std::vector<CtcProgress>& progress() const { return progress_; }
  std::vector<CtcHypothesis> live() const { return live_.to_host(); }
  std::vector<CtcNode> nodes() const { return nodes_.to_host(); }

  double certified() const {
    const auto all = live_.to_host();
    std::size_t proven = 0;
    for (std::size_t u = 0; u < size(); ++u)
      proven += ctc_mass_gap(progress_[u], std::span(all).subspan(u * cap_, progress_[u].live)) == 0.0 ? 1 : 0;
    return static_cast<double>(proven) / static_cast<double>(size());
  }
  double nodes_most() const {
    std::uint32_t most = 0;
    for (const CtcProgress& p : progress_) most = std::max(most, p.nodes);
    return most;
  }

 private:
  Context context_;
  std::span<const float> rows_;
  std::size_t capacity_, cap_;
  std::vector<CtcProgress> progress_;
  DeviceArray<float> log_probs_;
  DeviceArray<CtcHypothesis> live_;
  DeviceArray<CtcNode> nodes_;
  DeviceArray<std::uint64_t> scratch_;
  std::vector<CtcUtterance> views_;
};

// The CPU against the search as one would write it down, the device against the CPU bit by bit.
void check(const Context& context, std::span<const float> rows, std::size_t cap, std::size_t utterances) {
  Batch host(Context{}, rows, utterances, cap), device(context, rows, utterances, cap);
  host.run();
  device.run();
  expects<std::logic_error>(
      host.progress() == device.progress() && host.live() == device.live() && host.nodes() == device.nodes(),
      "bench_ctc: the devices disagree at cap ", cap);
  if (cap > 16) return;  // the tests go further; the reference is slow
  reference::CtcPrefixSearch expected;
  for (std::size_t t = 0; t < frames; ++t) expected.step(rows.subspan(t * tokens, tokens), blank, cap, 0.0L);
  const auto live = host.live();
  expects<std::logic_error>(host.progress()[0].live == expected.order.size(), "bench_ctc: wrong beam at cap ", cap);
  for (std::size_t i = 0; i < expected.order.size(); ++i) {
    const auto mass = expected.live.at(expected.order[i]);
    expects<std::logic_error>(live[i].blank_mass == mass.blank && live[i].label_mass == mass.label,
                              "bench_ctc: another mass than the reference's at cap ", cap, ", place ", i);
  }
}

std::vector<double> per_second(Batch& batch, int repetitions, bool with_upload) {
  std::vector<double> samples;
  batch.run();  // warm-up
  for (int i = 0; i < repetitions; ++i) {
    const bench::Stopwatch watch;
    if (with_upload) batch.upload();
    batch.run();
    samples.push_back(static_cast<double>(batch.size()) / watch.seconds());
  }
  return samples;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report("ctc", "CTC prefix search of batches of utterances");
  std::string device = "cpu";
  report.app().add_option("--device", device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  const bool cuda = device == "cuda";
  const Context context{.device = cuda ? Device::cuda : Device::cpu};
  if (!available(context.device)) {
    std::cerr << "bench_ctc: " << device << " is not built in, or there is no such device here\n";
    return 1;
  }
  report.device(device_description(context.device) + (cuda ? "" : ", " + bench::cpu_name()));

  // The CPU searches one utterance after the other: a larger batch would only take longer.
  const std::vector<std::size_t> batches =
      cuda ? std::vector<std::size_t>{1, 64, 1024, 4096} : std::vector<std::size_t>{1, 64};
  const std::vector<float> rows = emissions(std::min<std::size_t>(batches.back(), 1024));  // of 4096, each four times
  for (const std::size_t cap : {2, 16, 128}) {
    check(context, rows, cap, report.quick() ? 4 : 64);
    for (const std::size_t utterances : batches) {
      Batch batch(context, rows, utterances, cap);
      const int repetitions = cuda ? (report.quick() ? 5 : 21) : report.quick() ? 1 : 5;
      const std::string which = ".cap" + std::to_string(cap) + ".batch" + std::to_string(utterances);
      report.spread("ctc.utterances_per_s" + which, per_second(batch, repetitions, false));
      if (cuda) report.spread("ctc.with_upload_per_s" + which, per_second(batch, repetitions, true));
      if (utterances != batches.back()) continue;
      report.set("ctc.certified.cap" + std::to_string(cap), batch.certified());
      report.set("ctc.nodes_most.cap" + std::to_string(cap), batch.nodes_most());
      report.set("ctc.bytes_per_utterance.cap" + std::to_string(cap), batch.bytes_each());
    }
  }
  report.set("ctc.identical", 1.0);  // or check() has ended this
  return report.finish();
}
