#include <mpp/speech/look_ahead.hpp>

#include <algorithm>
#include <array>

#include <mpp/core/error.hpp>

namespace mpp::speech {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::uint32_t code_shift = 7;  // of a quantum: 1/32 nat a code, 1024 nats in all

// The emissions of a frame, relative to the best token that a path can use, in units of the graph, rounded up.
class FrameLoss {
 public:
  FrameLoss(const FoldedGraph& graph, const Emissions& emissions)
      : graph_(graph), words_(graph.words()), emissions_(emissions), blank_(graph.tokens() - 1) {}

  // Returns the best emission, -infinity when a path cannot use the frame at all.
  double write(std::size_t frame, std::int32_t* loss) const {
    const auto row = emissions_.row(frame);
    double best = static_cast<double>(row[emissions_.blank]);
    for (std::size_t k = 0; k < blank_; ++k)
      if (used(k)) best = std::max(best, words_.emission(row, static_cast<Token>(k)));
    for (std::size_t k = 0; k < blank_; ++k)
      loss[k] = used(k) ? units(words_.emission(row, static_cast<Token>(k)), best) : -kernels::backward_step;
    loss[blank_] = units(static_cast<double>(row[emissions_.blank]), best);
    return best;
  }

 private:
  bool used(std::size_t token) const {
    return words_.spells(static_cast<Token>(token)) || words_.is_silence(static_cast<Token>(token));
  }
  std::int32_t units(double emission, double best) const {
    if (emission == best) return 0;
    return graph_.units(std::min(0.0, std::nextafter(emission - best, infinity)));
  }

  const FoldedGraph& graph_;
  const WordGraph& words_;
  const Emissions& emissions_;
  std::size_t blank_;
};

void check(const FoldedGraph& graph, const Emissions& emissions, const LookAheadOptions& options) {
  check_emissions(emissions);
  expects<ValueError>(graph.tokens() - 1 <= emissions.tokens, "LookAhead: emissions have ", emissions.tokens,
                      " tokens, the lexicon (or the silence) needs ", graph.tokens() - 1);
  const auto blank = static_cast<Token>(emissions.blank);
  expects<ValueError>(!graph.words().spells(blank) && !graph.words().is_silence(blank),
                      "LookAhead: the blank is token ", blank, ", which spells words or is the silence");
  expects<ValueError>(!options.follow || *options.follow >= 0.0, "LookAhead: follow is ", options.follow.value_or(0.0),
                      ", expected at least 0");
}

}  // namespace

LookAhead::LookAhead(const FoldedGraph& graph, const Emissions& emissions, std::pmr::memory_resource* memory,
                     const LookAheadOptions& options)
    : graph_(&graph), base_(memory), code_(memory), inside_(memory) {
  check(graph, emissions, options);
  const std::size_t frames = emissions.frames;
  const kernels::BackwardGraph arrays = graph.arrays();
  width_ = arrays.width();
  step_ = std::ldexp(graph.quantum(), code_shift);
  base_.resize(frames + 1);
  code_.resize((frames + 1) * width_);
  inside_.resize((frames + 1) * graph.tokens());

  Buffer<std::int32_t> loss(frames * graph.tokens(), memory), scratch(kernels::backward_scratch(arrays), memory);
  Buffer<std::int64_t> offset(frames + 1, memory);
  const FrameLoss frame_loss(graph, emissions);
  double sum = 0.0;  // of the best emissions from t on, rounded up
  base_[frames] = 0.0;
  for (std::size_t t = frames; t-- > 0;) {
    const double best = frame_loss.write(t, loss.data() + t * graph.tokens());
    sum = std::isinf(best) || std::isinf(sum) ? -infinity : std::nextafter(sum + best, infinity);
    base_[t] = sum;
  }
  const double follow = options.follow.value_or(std::max(0.72 * graph.spread(), 8.0));
  const kernels::BackwardOptions backward{
      .last = options.open_end ? 0 : graph.end(),
      .follow = static_cast<std::int32_t>(
          std::min(std::floor(follow / graph.quantum()), static_cast<double>(kernels::backward_all))),
      .shift = code_shift,
      .open_end = options.open_end};
  const std::array frame_begin{std::uint32_t{0}, static_cast<std::uint32_t>(frames)};
  kernels::backward_bound({}, arrays, loss, frame_begin, backward, scratch, code_, offset);
  // Weights of words are relative to their smear in units, which is above the smear itself by less than one: one more
  // unit makes up for it. The bracket covers the rounding of these sums.
  for (std::size_t t = 0; t <= frames; ++t) {
    if (std::isinf(base_[t])) {  // no path gets past one of the frames
      std::fill_n(code_.begin() + static_cast<std::ptrdiff_t>(t * width_), width_, kernels::backward_dead);
      base_[t] = 0.0;
      continue;
    }
    const double units = static_cast<double>(offset[t] + 1) * graph.quantum();
    base_[t] += units + 0x1p-50 * (std::abs(base_[t]) + std::abs(units));
  }
  for (std::size_t t = 0; t <= frames; ++t)
    for (Token k = 0; k < graph.tokens(); ++k) {
      const auto [first, last] = graph.columns_of(k);
      std::int16_t best = kernels::backward_dead;
      for (std::size_t c = first; c < last; ++c) best = std::max(best, code_[t * width_ + c]);
      inside_[t * graph.tokens() + k] = best;
    }
}

Bytes LookAhead::bytes(const FoldedGraph& graph, std::size_t frames) {
  return bytes_of<double>(frames + 1) + bytes_of<std::int16_t>(graph.arrays().width() + graph.tokens()) * (frames + 1);
}

Bytes LookAhead::building_bytes(const FoldedGraph& graph, std::size_t frames) {
  return bytes_of<std::int32_t>(graph.tokens()) * frames + bytes_of<std::int64_t>(frames + 1) +
         bytes_of<std::int32_t>(kernels::backward_scratch(graph.arrays()));
}

}  // namespace mpp::speech
