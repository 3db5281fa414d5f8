#pragma once
#include "domains/llm/attention_case.hpp"

namespace mpp::llm {

/// Looks for the worst exact cache that radii and spreads of pages allow. What it finds is allowed, so a bound below it is
/// false; whether there is worse, it does not know.
//
// For a set S of tokens p(S) is largest with d >= 0 on S and d <= 0 off it, and the change along a direction grows with d times
// its own sign. To first order either is a sum of gain times |d|, whose largest value AttentionCase::allotted() knows; the
// gains at that d give the next one.
class SpreadAdversary {
 public:
  explicit SpreadAdversary(const AttentionCase& read) : read_(read), size_(read.tokens.size()) {
    for (const OmittedPage& page : read.omitted) {
      const long double weight = static_cast<long double>(page.tokens) * std::exp(page.logit - read.log_sum_exp);
      outside_ += weight;
      outside_value_ += weight * page.value_norm;
    }
  }

  Realised worst() {
    for (const bool with_omitted : {false, true}) {
      if (with_omitted && read_.omitted.empty()) break;
      for (std::uint32_t set = 0; set < (1U << size_); ++set)
        if (size_ <= few || (set * 2654435761U >> 16) % (1U << (size_ - few)) == 0) raise(set, with_omitted);
      constexpr int directions = 8;
      for (int i = 0; i < directions; ++i) {
        const double angle = 6.283185307179586 / directions * i;
        const Vector along = read_.direction, across{-along[1], along[0]};
        push({std::cos(angle) * along[0] + std::sin(angle) * across[0],
              std::cos(angle) * along[1] + std::sin(angle) * across[1]},
             with_omitted);
      }
    }
    return most_;
  }

 private:
  static constexpr std::size_t few = 5;
  static constexpr int rounds = 4;

  /// Towards the largest p(S) - p~(S).
  void raise(std::uint32_t set, bool with_omitted) {
    std::vector<long double> d(size_), gain(size_);
    for (int round = 0; round < rounds; ++round) {
      long double in = with_omitted ? outside_ : 0.0L, out = 0.0L;
      for (std::size_t i = 0; i < size_; ++i) {
        gain[i] = read_.weight[i] * std::exp(d[i]);
        (set >> i & 1U ? in : out) += gain[i];
      }
      if (in == 0.0L || out == 0.0L) break;
      for (std::size_t i = 0; i < size_; ++i) gain[i] /= set >> i & 1U ? in : out;
      d = read_.allotted(gain, read_.radius, read_.spread);
      for (std::size_t i = 0; i < size_; ++i)
        if (!(set >> i & 1U)) d[i] = -d[i];
      note(d, with_omitted);
    }
  }

  /// Towards an output that is off along a direction, which then turns to where the output went.
  void push(Vector direction, bool with_omitted) {
    std::vector<long double> d(size_), gain(size_);
    for (int round = 0; round < rounds; ++round) {
      long double z = with_omitted ? outside_ : 0.0L, mean = 0.0L;
      for (std::size_t i = 0; i < size_; ++i) {
        gain[i] = read_.weight[i] * std::exp(d[i]);
        z += gain[i];
        mean += gain[i] * dot(read_.tokens[i].value, direction);
      }
      mean /= z;
      std::vector<long double> size(size_);
      for (std::size_t i = 0; i < size_; ++i) {
        gain[i] *= dot(read_.tokens[i].value, direction) - mean;
        size[i] = std::abs(gain[i]);
      }
      d = read_.allotted(size, read_.radius, read_.spread);
      for (std::size_t i = 0; i < size_; ++i) d[i] = std::copysign(d[i], gain[i]);
      const Vector moved = note(d, with_omitted);
      if (norm(moved) > 0.0L) direction = {moved[0] / norm(moved), moved[1] / norm(moved)};
    }
  }

  static long double dot(Vector a, Vector b) { return a[0] * b[0] + a[1] * b[1]; }

  /// Keeps the errors of one exact cache, rounded down by what long double may have lost. @return o - o~ of the tokens read
  Vector note(const std::vector<long double>& d, bool with_omitted) {
    const long double outside = with_omitted ? outside_ : 0.0L;
    long double shift = outside, z = outside, widest = 0.0L;  // z - 1 and z
    for (std::size_t i = 0; i < size_; ++i) {
      shift += read_.weight[i] * std::expm1(d[i]);
      z += read_.weight[i] * std::exp(d[i]);
      widest = std::max(widest, std::abs(std::expm1(d[i])));
    }
    long double distance = outside / z;
    Vector moved = read_.lost;
    for (std::size_t i = 0; i < size_; ++i) {
      // the first form loses nothing for small errors, the second nothing for large ones
      const long double ratio = widest < 0.5L ? (std::expm1(d[i]) - shift) / z : std::exp(d[i]) / z - 1.0L;
      const long double difference = read_.weight[i] * ratio;
      distance += std::abs(difference);
      for (std::size_t k = 0; k < 2; ++k) moved[k] += difference * read_.tokens[i].value[k];
    }
    // values left out point where the rest has moved
    const long double tv = 0.5L * distance, error = norm(moved) + (with_omitted ? outside_value_ / z : 0.0L);
    const long double scale = std::min(1.0L, widest + outside);
    most_.tv = std::max(most_.tv, tv - 0x1p-58L * (tv + 0.01L * scale));
    most_.error = std::max(most_.error, error - 0x1p-56L * (error + scale));
    return moved;
  }

  const AttentionCase& read_;
  std::size_t size_;
  long double outside_ = 0.0L, outside_value_ = 0.0L;
  Realised most_;
};
inline Realised worst_together(const AttentionCase& read) { return SpreadAdversary(read).worst(); }

}  // namespace mpp::llm
