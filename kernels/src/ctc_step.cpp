#include <mpp/kernels/ctc_step.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/ctc/board.hpp"
#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

void expects_utterance(std::size_t u, const CtcUtterance& one, const CtcProgress& progress, std::size_t tokens) {
  const auto size = [u](const char* view, std::size_t came, const auto& expected) {
    return text("ctc_step: utterances[", u, "].", view, " has ", came, " values, expected ", expected);
  };
  const std::size_t cap = one.live.size(), frames = one.log_probs.size() / tokens;
  expects<ShapeError>(cap >= 1 && cap <= most_ctc_cap, "ctc_step: cap is ", cap, " (utterances[", u,
                      "].live), expected at least 1 and at most ", most_ctc_cap);
  if (one.log_probs.size() % tokens != 0)
    throw ShapeError(size("log_probs", one.log_probs.size(), text("a multiple of ", tokens, " tokens")));
  expects<ShapeError>(frames < ctc::none - progress.frames, "ctc_step: utterances[", u, "] has ", frames,
                      " frames after ", progress.frames, ", expected less than 2^32 in all");
  if (one.nodes.empty() || one.nodes.size() > most_ctc_nodes)
    throw ShapeError(size("nodes", one.nodes.size(), text("at least 1 and at most ", most_ctc_nodes)));
  if (one.scratch.size() < ctc_scratch_words(cap, tokens))
    throw ShapeError(size("scratch", one.scratch.size(), text("at least ", ctc_scratch_words(cap, tokens))));
  const bool charged = !one.charges.empty();
  if (one.after.size() != (charged ? frames : 0))
    throw ShapeError(size("after", one.after.size(), charged ? text(frames, " (frames)") : "none without charges"));
  if (charged && one.charges.size() != one.nodes.size())
    throw ShapeError(size("charges", one.charges.size(), text(one.nodes.size(), " (nodes) or none")));
  expects<ShapeError>(progress.live <= cap && progress.nodes <= one.nodes.size(), "ctc_step: progress[", u, "] has ",
                      progress.live, " live, ", progress.nodes, " nodes, expected at most ", cap, " and ",
                      one.nodes.size());
  expects<ValueError>(progress.dropped >= 0.0, "ctc_step: progress[", u, "].dropped is ", progress.dropped,
                      ", expected at least 0");
}

// The row is looked at again, on the host, for what is wrong with it.
[[noreturn]] void refuse(const Context& context, std::size_t u, std::uint32_t frame, std::span<const float> row) {
  std::vector<float> values(row.size());
  dispatch(
      context, [&] { std::ranges::copy(row, values.begin()); },
      [&] { cuda::copy_to_host(context, row.data(), values.data(), row.size_bytes()); });
  double sum = 0.0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    expects<ValueError>(!std::isnan(values[k]), "ctc_step: utterances[", u, "], frame ", frame, ", token ", k,
                        " is NaN, expected a logarithm or -infinity");
    sum += std::exp(static_cast<double>(values[k]));
  }
  throw ValueError(text("ctc_step: utterances[", u, "], frame ", frame, ": the probabilities sum to ", sum,
                        ", expected 1 within 0.001"));
}

}  // namespace

ctc::Work ctc::work_of(const CtcUtterance& one, const CtcProgress& progress, std::size_t tokens, std::size_t blank) {
  const std::size_t cap = one.live.size();
  std::uint64_t* const keys = one.scratch.data() + tokens;
  return {.log_probs = one.log_probs.data(),
          .after = one.charges.empty() ? nullptr : one.after.data(),
          .live = one.live.data(),
          .nodes = one.nodes.data(),
          .charges = one.charges.empty() ? nullptr : one.charges.data(),
          .probability = reinterpret_cast<double*>(one.scratch.data()),
          .keys = keys,
          .child = reinterpret_cast<std::uint32_t*>(keys + cap * tokens),
          .frames = static_cast<std::uint32_t>(one.log_probs.size() / tokens),
          .tokens = static_cast<std::uint32_t>(tokens),
          .blank = static_cast<std::uint32_t>(blank),
          .cap = static_cast<std::uint32_t>(cap),
          .capacity = static_cast<std::uint32_t>(one.nodes.size()),
          .unit = one.unit,
          .refused = none,
          .progress = progress};
}

void ctc_step(const Context& context, std::size_t tokens, std::size_t blank, std::span<const CtcUtterance> utterances,
              std::span<CtcProgress> progress) {
  expects<ShapeError>(tokens >= 1 && tokens <= most_ctc_tokens, "ctc_step: tokens is ", tokens,
                      ", expected at least 1 and at most ", most_ctc_tokens);
  expects<ValueError>(blank < tokens, "ctc_step: blank is ", blank, ", expected below tokens = ", tokens);
  expects<ShapeError>(progress.size() == utterances.size(), "ctc_step: progress has ", progress.size(),
                      " values, expected ", utterances.size(), " (utterances)");
  std::vector<ctc::Work> work;
  work.reserve(utterances.size());
  for (std::size_t u = 0; u < utterances.size(); ++u) {
    expects_utterance(u, utterances[u], progress[u], tokens);
    work.push_back(ctc::work_of(utterances[u], progress[u], tokens, blank));
  }
  dispatch(
      context, [&] { cpu::ctc_step(context, work); }, [&] { cuda::ctc_step(context, work); });
  for (std::size_t u = 0; u < work.size(); ++u)
    if (const std::uint32_t frame = work[u].refused; frame != ctc::none)
      refuse(context, u, frame, utterances[u].log_probs.subspan(frame * tokens, tokens));
  for (std::size_t u = 0; u < work.size(); ++u) progress[u] = work[u].progress;
}

double ctc_mass_gap(const CtcProgress& progress, std::span<const CtcHypothesis> live) {
  expects<ShapeError>(live.size() == progress.live, "ctc_mass_gap: live has ", live.size(), " values, expected ",
                      progress.live);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (live.empty()) return infinity;
  const auto mass = [](const CtcHypothesis& h) {
    return static_cast<double>(h.blank_mass) + static_cast<double>(h.label_mass);
  };
  double second = 0.0;
  for (const CtcHypothesis& h : live.subspan(1)) second = std::max(second, mass(h));
  // P(first) is at least its mass, another P at most its own mass and all that was dropped; each errs by the rounding of
  // the search, which ends in `spread` twice. 2^-48 covers the few roundings here and the error of log().
  const double spread = 2.0 * (static_cast<double>(progress.frames) + 2.0) * (0x1p-24 + 0x1p-46);
  const double ratio = (second + progress.dropped) / mass(live.front());
  const double gap = (ratio > 0.0 ? std::log(ratio) : -infinity) + spread;
  if (gap == infinity) return gap;
  return std::max(0.0, gap + (std::abs(gap) + 1.0) * 0x1p-48);
}

}  // namespace mpp::kernels
