#include <algorithm>
#include <array>
#include <cmath>
#include <memory_resource>

#include <mpp/core/error.hpp>
#include <mpp/speech/certificate.hpp>
#include <mpp/speech/ctc_search.hpp>
#include <mpp/speech/frame_tokens.hpp>
#include <mpp/speech/suffix_bound.hpp>

namespace mpp::speech {
namespace {

constexpr std::size_t most_ends = 66;  // segment lengths 1, 2, 4, ..., and the horizon

SearchLimits segment_limits(const SuffixOptions& o) {
  return {.live_cap = o.live_cap, .node_capacity = 8 * o.live_cap + o.horizon + 2, .relative_threshold = 1e-4};
}

void check(const SuffixOptions& o) {
  constexpr std::size_t most = std::size_t{1} << 20;
  expects<ValueError>(o.horizon <= most && o.live_cap <= most, "suffix_bounds: horizon ", o.horizon, ", live_cap ",
                      o.live_cap, ", expected at most ", most, " each");
  expects<ValueError>(o.horizon >= 1 && o.live_cap >= 1, "suffix_bounds: horizon ", o.horizon, ", live_cap ",
                      o.live_cap, ", expected at least 1 each");
}

/// Row sums from t on, rounded up, with rows below 1 counted as 1: not below the mass of any stretch that begins at t.
double stretch_up(double from_next, double row_sum) { return from_next * std::max(1.0, row_sum) * (1.0 + 0x1p-50); }

// The last `horizon` frames, prepared, and the search that runs over them.
class Segments {
 public:
  Segments(std::pmr::memory_resource* memory, const Emissions& e, const SuffixOptions& o)
      : emissions_(e), options_(o), search_(memory, e.tokens, segment_limits(o)), frames_(memory) {
    frames_.reserve(o.horizon);
    for (std::size_t i = 0; i < o.horizon; ++i) frames_.emplace_back(memory, e.tokens);
  }

  const FrameTokens& prepare(std::size_t t) {
    FrameTokens& f = frames_[t % options_.horizon];
    f.prepare(emissions_.row(t), emissions_.blank, options_.token_threshold);
    return f;
  }
  const FrameTokens& frame(std::size_t t) const { return frames_[t % options_.horizon]; }

  // Raises chains[i] to the largest chain of the segment [t, ends[i]) after `last`.
  void search(std::size_t t, std::span<const std::size_t> ends, std::uint32_t last, double stretch, double* chains) {
    search_.start(last);
    std::size_t v = t;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      for (; v < ends[i]; ++v) search_.step(frame(v), Scaled::up(stretch));
      chains[i] = std::max(chains[i], chain_of_segment());
    }
  }

 private:
  // Masses and charges along one chain of prefixes: what one labelling can collect at the end of the segment.
  double chain_of_segment() {
    const double kept = std::scalbn(largest_chain(search_, mass_of), static_cast<int>(search_.exponent()));
    return (kept + largest_charge(search_)) * std::exp(search_rounding(search_.frames())) * (1.0 + 0x1p-40);
  }

  const Emissions& emissions_;
  const SuffixOptions& options_;
  CtcSearch search_;
  std::pmr::vector<FrameTokens> frames_;
};

// Products of row sums below it would lose more to subnormal rounding than they are rounded up by.
constexpr double least_total = 0x1p-900;

std::size_t segment_ends(std::size_t t, std::size_t frames, std::size_t horizon,
                         std::array<std::size_t, most_ends>& ends) {
  std::size_t count = 0;
  const std::size_t last = std::min(frames, t + horizon);
  for (std::size_t length = 2; t + length < last; length *= 2) ends[count++] = t + length;
  if (last > t + 1) ends[count++] = last;
  return count;
}

}  // namespace

Bytes suffix_bound_bytes(std::size_t tokens, const SuffixOptions& options) {
  return CtcSearch::bytes(tokens, segment_limits(options)) +
         (bytes_of<FrameTokens>(1) + FrameTokens::bytes(tokens)) * options.horizon;
}

void suffix_bounds(const Emissions& e, const SuffixOptions& options, std::span<Scaled> bounds,
                   std::pmr::memory_resource* memory) {
  check(options);
  expects<ShapeError>(bounds.size() == e.frames + 1, "suffix_bounds: bounds has ", bounds.size(), " values, expected ",
                      e.frames + 1);
  Segments segments(memory, e, options);
  bounds[e.frames] = Scaled::up(1.0);
  double total = 1.0;  // mass of all paths from t on, rounded up
  for (std::size_t t = e.frames; t-- > 0;) {
    const FrameTokens& first = segments.prepare(t);
    total = std::max(total * first.sum() * (1.0 + 0x1p-50), least_total);  // larger is sound, subnormal is not
    // One frame: the empty labelling takes the blank and a repetition of s, and one label continues it.
    const double one = (first.blank_probability() + first.first_label() + first.second_label()) * (1.0 + 0x1p-50);
    Scaled best = std::min(Scaled::up(total),
                           Scaled::up(one * static_cast<double>(bounds[t + 1].mantissa), bounds[t + 1].exponent));
    std::array<std::size_t, most_ends> all_ends;
    const std::span ends(all_ends.data(), segment_ends(t, e.frames, options.horizon, all_ends));
    if (!ends.empty()) {
      double stretch = 1.0;
      for (std::size_t v = ends.back(); v-- > t;) stretch = stretch_up(stretch, segments.frame(v).sum());
      std::array<double, most_ends> blank{}, chains{};
      segments.search(t, ends, no_index, stretch, blank.data());
      const std::size_t named = std::min(options.start_symbols, first.labels().size());
      for (std::size_t i = 0; i < named; ++i) segments.search(t, ends, first.labels()[i], stretch, chains.data());
      // After any other label s: the paths that begin with s, whose mass is at most p(s), count beside those of the blank.
      const double other = named < first.labels().size() ? first.probability(first.labels()[named]) : first.rest();
      for (std::size_t i = 0; i < ends.size(); ++i) {
        const double chain = std::max(chains[i], (blank[i] + other * stretch) * (1.0 + 0x1p-50));
        const Scaled& after = bounds[ends[i]];
        best =
            std::min(best, Scaled::up(chain * static_cast<double>(after.mantissa) * (1.0 + 0x1p-50), after.exponent));
      }
    }
    bounds[t] = best;
  }
}

double mass_bounds(const Emissions& e, std::span<Scaled> bounds) {
  expects<ShapeError>(bounds.size() == e.frames + 1, "mass_bounds: bounds has ", bounds.size(), " values, expected ",
                      e.frames + 1);
  bounds[e.frames] = Scaled::up(1.0);
  double total = 1.0;
  for (std::size_t t = e.frames; t-- > 0;) {
    double sum = 0.0;
    for (const float value : e.row(t)) sum += std::exp(static_cast<double>(value));
    total *= sum * (1.0 + static_cast<double>(e.tokens + 4) * 0x1p-52);
    bounds[t] = Scaled::up(total);
  }
  expects<ValueError>(total >= least_total, "mass_bounds: the sums of ", e.frames, " rows multiply to ", total,
                      ", expected at least 2^-900; normalise the rows");
  return total;
}

}  // namespace mpp::speech
