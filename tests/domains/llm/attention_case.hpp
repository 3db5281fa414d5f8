#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "mpp/llm/attention_bound.hpp"

namespace mpp::llm {

using Vector = std::array<long double, 2>;
inline long double norm(Vector v) { return std::hypot(v[0], v[1]); }

/// A read of a few tokens of which everything is known, so that the worst exact cache can be found by trying them all, or,
/// where pages have a spread, be searched for (spread_adversary.hpp).
struct AttentionCase {
  struct Token {
    std::size_t page = 0;
    double logit = 0.0;  // compressed; the exact one is within the radius of the page
    Vector value{};      // exact; the compressed one differs along `direction`, by what moves the output most
  };
  std::vector<Token> tokens;
  std::vector<double> radius, residual;      // per page
  std::vector<double> spread, value_spread;  // per page; empty: unknown
  Vector direction{1.0L, 0.0L};              // of v - v~
  std::vector<OmittedPage> omitted;

  // what the read reports, from the tokens in long double
  std::vector<long double> weight;  // p~ per token
  std::vector<AttentionPage> pages;
  Vector output{};  // sum p~ v~
  Vector lost{};    // sum p~ (v - v~)
  long double log_sum_exp = 0.0L;
  AttentionRounding rounding;

  void finish() {
    long double total = 0.0L;
    for (const Token& token : tokens) total += std::exp(static_cast<long double>(token.logit));
    log_sum_exp = std::log(total);
    spread.resize(radius.size(), infinity), value_spread.resize(radius.size(), infinity);
    std::vector<long double> mass(radius.size()), energy(radius.size()), heaviest(radius.size());
    output = lost = {};
    weight.clear();
    for (const Token& token : tokens) {
      const long double p = std::exp(static_cast<long double>(token.logit)) / total;
      weight.push_back(p);
      mass[token.page] += p;
      heaviest[token.page] = std::max(heaviest[token.page], p);
      energy[token.page] += p * norm(token.value) * norm(token.value);
    }
    const std::vector<long double> off = allotted(weight, residual, value_spread);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      for (std::size_t d = 0; d < 2; ++d) {
        const long double gone = weight[i] * off[i] * direction[d];
        lost[d] += gone;
        output[d] += weight[i] * tokens[i].value[d] - gone;
      }
    pages.clear();
    for (std::size_t i = 0; i < radius.size(); ++i)
      pages.push_back({static_cast<double>(mass[i]), radius[i], static_cast<double>(energy[i]), residual[i], spread[i],
                       value_spread[i], std::nextafter(static_cast<double>(heaviest[i]), infinity)});
    rounding = {};
    rounding.mass = rounding.energy = {0x1p-52, 0x1p-1074};  // of the conversions to double
    rounding.log_sum_exp = 0x1p-52 * (1.0 + std::abs(static_cast<double>(log_sum_exp)));
    rounding.output = 0x1p-51 * static_cast<double>(norm(output) + norm(lost));
  }
  AttentionRead read() const {
    return {pages, omitted, static_cast<double>(log_sum_exp), static_cast<double>(norm(output)), rounding};
  }

  /// The x with 0 <= x_i <= most of its page, and a sum of x_i^2 over each page of at most root^2, for which sum gain_i x_i is
  /// largest: x_i = min(most, t gain_i). gain: per token, >= 0.
  std::vector<long double> allotted(const std::vector<long double>& gain, const std::vector<double>& most,
                                    const std::vector<double>& root) const {
    std::vector<long double> x(tokens.size());
    for (std::size_t page = 0; page < radius.size(); ++page) {
      const long double end = most[page];
      long double rest = static_cast<long double>(root[page]) * root[page] * (1.0L - 0x1p-60L);  // not spent yet
      for (long double least = infinity;;) {  // gains from this one on get all they may have
        long double square = 0.0L, largest = 0.0L;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          if (tokens[i].page != page || gain[i] >= least) continue;
          square += gain[i] * gain[i];
          largest = std::max(largest, gain[i]);
        }
        if (largest == 0.0L) break;
        const long double t = std::sqrt(std::max(0.0L, rest) / square);
        const bool full = t * largest >= end;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          if (tokens[i].page != page || gain[i] >= least || (full && gain[i] < largest)) continue;
          x[i] = full ? end : t * gain[i];
          if (full) rest -= end * end;
        }
        if (!full) break;
        least = largest;
      }
    }
    return x;
  }
};

struct Realised {
  long double tv = 0.0L;
  long double error = 0.0L;
};

/// Every exact cache whose logits differ from the compressed ones by +radius or -radius, token by token, and whose omitted
/// pages have all of their weight or none. The largest errors are at such corners: both are quasi-convex in the weights.
class Corners {
 public:
  explicit Corners(const AttentionCase& read) : read_(read) {
    for (std::size_t i = 0; i < read.tokens.size(); ++i) {
      const long double c = read.radius[read.tokens[i].page];
      change_[i] = {std::expm1(-c), std::expm1(c)};
      factor_[i] = {std::exp(-c), std::exp(c)};
      widest_ = std::max(widest_, change_[i][1]);
    }
    for (const OmittedPage& page : read.omitted) {
      const long double weight = static_cast<long double>(page.tokens) * std::exp(page.logit - read.log_sum_exp);
      outside_ += weight;
      outside_value_ += weight * page.value_norm;
    }
  }

  Realised worst() const {
    Realised most;
    for (std::uint32_t signs = 0; signs < (1U << read_.tokens.size()); ++signs)
      for (const bool with_omitted : {false, true}) {
        if (with_omitted && read_.omitted.empty()) break;
        const Realised one = corner(signs, with_omitted);
        most = {std::max(most.tv, one.tv), std::max(most.error, one.error)};
      }
    return most;
  }

 private:
  /// Rounded down by what long double may have lost.
  Realised corner(std::uint32_t signs, bool with_omitted) const {
    const long double outside = with_omitted ? outside_ : 0.0L;
    long double shift = outside, z = outside;  // z - 1 and z
    for (std::size_t i = 0; i < read_.tokens.size(); ++i) {
      shift += read_.weight[i] * change_[i][signs >> i & 1U];
      z += read_.weight[i] * factor_[i][signs >> i & 1U];
    }
    long double distance = outside / z;
    Vector moved = read_.lost;
    for (std::size_t i = 0; i < read_.tokens.size(); ++i) {
      const std::size_t sign = signs >> i & 1U;
      // the first form loses nothing for small radii, the second nothing for large ones
      const long double ratio = widest_ < 0.5L ? (change_[i][sign] - shift) / z : factor_[i][sign] / z - 1.0L;
      const long double difference = read_.weight[i] * ratio;
      distance += std::abs(difference);
      for (std::size_t d = 0; d < 2; ++d) moved[d] += difference * read_.tokens[i].value[d];
    }
    // values left out point where the rest has moved
    const long double outside_value = with_omitted ? outside_value_ / z : 0.0L;
    const long double tv = 0.5L * distance, error = norm(moved) + outside_value;
    const long double scale = std::min(1.0L, widest_ + outside);
    return {tv - 0x1p-58L * (tv + 0.01L * scale), error - 0x1p-56L * (error + scale)};
  }

  const AttentionCase& read_;
  std::array<std::array<long double, 2>, 16> change_{}, factor_{};  // e^{-+c} - 1 and e^{-+c} per token
  long double widest_ = 0.0L, outside_ = 0.0L, outside_value_ = 0.0L;
};
inline Realised worst(const AttentionCase& read) { return Corners(read).worst(); }

/// Cases of every family that has broken a bound before, in turn.
class AttentionCases {
 public:
  enum Family {
    random,
    two_points,
    lumps,
    one_token,
    zero_radius,
    huge_radius,
    denormal_mass,
    equal,
    near_one,
    tiny,
    families
  };

  explicit AttentionCases(std::uint64_t seed, std::size_t most_tokens = 5) : engine_(seed), most_tokens_(most_tokens) {}

  AttentionCase next(bool omit = false) {
    const auto family = static_cast<Family>(count_++ % families);
    AttentionCase made;
    const std::size_t tokens = family == one_token ? 1 : family == two_points ? 2 : between(2, most_tokens_);
    const std::size_t pages = family == two_points ? between(1, 2) : between(1, tokens);
    const double scale = family == equal ? 0.0 : family == lumps ? 1.0 : uniform(0.1, 6.0);
    for (std::size_t i = 0; i < pages; ++i) {
      made.radius.push_back(radius(family));
      made.residual.push_back(between(0, 2) == 0 ? 0.0 : std::exp(uniform(-9.0, 0.0)));
    }
    if (family == two_points || family == equal) std::fill(made.radius.begin(), made.radius.end(), made.radius[0]);
    const bool offset = between(0, 1) == 0;  // values around a common mean, or around zero
    for (std::size_t i = 0; i < tokens; ++i) {
      AttentionCase::Token token;
      token.page = i < pages ? i : between(0, pages - 1);
      token.logit = scale * normal_(engine_);
      if (family == two_points) token.logit = i == 0 ? 0.0 : made.radius[0];
      if (family == denormal_mass && i != 0) token.logit = -uniform(690.0, 745.0);
      if (family == near_one && i != 0) token.logit = -uniform(8.0, 40.0);
      token.value = {normal_(engine_) + (offset ? 5.0 : 0.0), normal_(engine_)};
      made.tokens.push_back(token);
    }
    const double angle = uniform(0.0, 6.283185307179586);
    made.direction = {std::cos(angle), std::sin(angle)};
    made.direction = {made.direction[0] / norm(made.direction), made.direction[1] / norm(made.direction)};
    made.finish();
    if (omit)
      for (std::size_t i = between(1, 2); i-- > 0;)
        made.omitted.push_back(
            {between(1, 64), static_cast<double>(made.log_sum_exp) - uniform(2.0, 25.0), uniform(0.0, 8.0)});
    return made;
  }

  /// A case whose pages mostly know what their tokens are off by together.
  AttentionCase next_together(bool omit = false) {
    AttentionCase made = next(omit);
    for (std::size_t page = 0; page < made.radius.size(); ++page) {
      const auto root = [&](double each) {
        double tokens = 0.0;
        for (const auto& token : made.tokens) tokens += token.page == page ? 1.0 : 0.0;
        return between(0, 4) == 0 ? infinity : each * std::sqrt(tokens) * std::exp(uniform(-2.5, 0.3));
      };
      made.spread[page] = root(made.radius[page]);
      made.value_spread[page] = root(made.residual[page]);
    }
    made.finish();
    return made;
  }

 private:
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  std::size_t between(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(engine_);
  }
  double radius(Family family) {
    if (family == zero_radius && between(0, 2) != 0) return 0.0;
    if (family == huge_radius) return uniform(5.0, 1000.0);
    if (family == denormal_mass) return std::exp(uniform(-3.0, 6.6));
    if (family == tiny) return std::exp(-uniform(20.0, 700.0));
    return std::exp(uniform(-8.0, 1.5));
  }

  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::size_t most_tokens_, count_ = 0;
};

}  // namespace mpp::llm
