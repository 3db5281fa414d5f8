#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/math/distributions/binomial.hpp>

#include <mpp/core/error.hpp>
#include <mpp/llm/attention_bound.hpp>
#include <mpp/llm/dithered_attention.hpp>

#include "support/message_of.hpp"

namespace mpp::llm {
namespace {

using test::message_of;

constexpr double inf = std::numeric_limits<double>::infinity();

/// Exact keys and values of one head: pages that get a dither, and a tail.
struct Head {
  std::size_t head_dim = 16;
  std::vector<std::vector<float>> keys, values;  // per page
  std::vector<float> tail_keys, tail_values, query;
  double scale = 0.25;
};

/// Flat and sharp softmaxes, few tokens and many, values around zero and around a mean.
Head head(std::uint64_t seed, std::size_t head_dim = 16, std::size_t page_tokens = 24) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  const auto matrix = [&](std::size_t tokens, float size, float mean) {
    std::vector<float> numbers(tokens * head_dim);
    for (float& x : numbers) x = size * normal(engine) + mean;
    return numbers;
  };
  Head made;
  made.head_dim = head_dim;
  made.scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  const float size = seed % 3 == 0 ? 0.3F : seed % 3 == 1 ? 1.0F : 3.0F, mean = seed % 2 == 0 ? 0.0F : 2.0F;
  const std::size_t tokens = seed % 5 == 0 ? 2 : page_tokens;
  for (std::size_t p = 0; p < 1 + seed % 2; ++p) {
    made.keys.push_back(matrix(tokens, size, mean));
    made.values.push_back(matrix(tokens, 1.0F, mean));
  }
  if (seed % 4 == 1) made.tail_keys = matrix(3, size, mean), made.tail_values = matrix(3, 1.0F, mean);
  made.query = matrix(1, 1.0F, 0.0F);
  return made;
}

struct Dithered {
  std::vector<DitheredPage> keys, values;
  std::vector<DitheredKv> pages;
  DitheredRead read;

  Dithered(const Head& of, std::uint64_t seed, DitherLevel key_level, DitherLevel value_level) {
    for (std::size_t p = 0; p < of.keys.size(); ++p) {
      keys.emplace_back(of.keys[p], of.head_dim, DitherCounter{{seed, 1}, 2 * p});
      values.emplace_back(of.values[p], of.head_dim, DitherCounter{{seed, 1}, 2 * p + 1});
    }
    for (std::size_t p = 0; p < of.keys.size(); ++p) pages.push_back({&keys[p], &values[p], key_level, value_level});
    read = {0, of.query, of.scale, pages, of.tail_keys, of.tail_values};
  }
};

DitheredAttention attention(double delta) {
  const std::uint32_t token = 0;
  return DitheredAttention(IndependentTokens::teacher_forced(std::span(&token, 1)), Delta{delta});
}

struct Realised {
  double tv = 0.0, error = 0.0;
};
Realised realised(const Head& of, const Dithered& dithered, const DitheredOutcome& outcome) {
  std::vector<double> exact, compressed;
  std::vector<const float*> values;
  const auto add = [&](const float* key, const float* value, auto&& number) {
    double s = 0.0, t = 0.0;
    for (std::size_t j = 0; j < of.head_dim; ++j) {
      s += of.scale * static_cast<double>(of.query[j]) * static_cast<double>(key[j]);
      t += of.scale * static_cast<double>(of.query[j]) * number(j);
    }
    exact.push_back(s);
    compressed.push_back(t);
    values.push_back(value);
  };
  for (std::size_t p = 0; p < of.keys.size(); ++p)
    for (std::size_t i = 0; i < of.keys[p].size() / of.head_dim; ++i)
      add(&of.keys[p][i * of.head_dim], &of.values[p][i * of.head_dim],
          [&](std::size_t j) { return dithered.keys[p].number(i, j, dithered.pages[p].key_level); });
  for (std::size_t i = 0; i < of.tail_keys.size() / of.head_dim; ++i) {
    const float* key = &of.tail_keys[i * of.head_dim];
    add(key, &of.tail_values[i * of.head_dim], [&](std::size_t j) { return static_cast<double>(key[j]); });
  }
  const auto softmax = [](std::vector<double>& logits) {
    double total = 0.0;
    const double largest = *std::max_element(logits.begin(), logits.end());
    for (double& x : logits) total += x = std::exp(x - largest);
    for (double& x : logits) x /= total;
  };
  softmax(exact);
  softmax(compressed);
  Realised found;
  for (std::size_t i = 0; i < exact.size(); ++i) found.tv += 0.5 * std::abs(exact[i] - compressed[i]);
  for (std::size_t j = 0; j < of.head_dim; ++j) {
    double o = 0.0;
    for (std::size_t i = 0; i < exact.size(); ++i) o += exact[i] * static_cast<double>(values[i][j]);
    found.error += std::pow(o - outcome.output[j], 2.0);
  }
  found.error = std::sqrt(found.error);
  return found;
}

/// More misses than this happen with probability 1e-9.
std::size_t binomial_limit(std::size_t n, double failure) {
  const boost::math::binomial_distribution<double> misses(static_cast<double>(n), failure);
  return static_cast<std::size_t>(boost::math::quantile(boost::math::complement(misses, 1e-9)));
}

/// Reads of which one of the two bounds, times `part`, does not hold.
std::size_t misses(std::size_t reads, double delta, double part = 1.0) {
  std::size_t missed = 0;
  for (std::size_t i = 0; i < reads; ++i) {
    const Head of = head(i);
    const DitherLevel keys = i % 7 < 5 ? DitherLevel::bits8 : DitherLevel::bits4;
    const DitherLevel values = i % 3 == 0 ? DitherLevel::bits4 : DitherLevel::bits8;
    const Dithered dithered(of, 1000 + i, keys, values);
    const DitheredOutcome outcome = attention(delta).read(dithered.read);
    const Realised found = realised(of, dithered, outcome);
    if (!(found.tv <= part * outcome.attention_tv.value() && found.error <= part * outcome.output_error.value()))
      ++missed;
  }
  return missed;
}

TEST(DitheredAttention, MissesNoMoreOftenThanDelta) {
  for (const double delta : {1e-3, 0.2}) EXPECT_LE(misses(6'000, delta), binomial_limit(6'000, delta)) << delta;
}
TEST(DitheredAttention, TheTestAboveCatchesABoundShrunkToHalf) {
  EXPECT_GT(misses(3'000, 1e-3, 0.5), binomial_limit(3'000, 1e-3));
}

// The direction in which a token's key is off is known to who has seen the codes and the key. A query along it has not the
// error of a sum of independent parts, but that of a sum of magnitudes.
TEST(DitheredAttention, AQueryThatHasSeenTheDitherBreaksIt) {
  constexpr std::size_t reads = 300, head_dim = 128;
  std::size_t missed = 0, missed_before = 0;
  for (std::size_t i = 0; i < reads; ++i) {
    Head of = head(5 * (2 * i + 1), head_dim);
    const auto found = [&](std::size_t& count) {
      const Dithered dithered(of, i, DitherLevel::bits8, DitherLevel::bits8);
      const DitheredOutcome outcome = attention(1e-3).read(dithered.read);
      if (!(realised(of, dithered, outcome).tv <= outcome.attention_tv.value())) ++count;
    };
    found(missed_before);
    const Dithered seen(of, i, DitherLevel::bits8, DitherLevel::bits8);
    const auto error = [&](std::size_t token, std::size_t j) {
      return static_cast<double>(of.keys[0][token * head_dim + j]) - seen.keys[0].number(token, j, DitherLevel::bits8);
    };
    for (std::size_t j = 0; j < head_dim; ++j) of.query[j] = static_cast<float>(20.0 * (error(0, j) - error(1, j)));
    found(missed);
  }
  EXPECT_EQ(missed_before, 0U);
  EXPECT_GT(missed, binomial_limit(reads, 1e-3));
}

TEST(DitheredAttention, IsSeveralTimesTighterThanTheDeterministicBound) {
  constexpr std::size_t head_dim = 64;
  double randomized = 0.0, deterministic = 0.0;
  for (const std::uint64_t seed : {3, 9, 21, 27}) {  // flat reads of two pages of 64 tokens
    const Head of = head(seed, head_dim, 64);
    const Dithered dithered(of, seed, DitherLevel::bits8, DitherLevel::bits8);
    const DitheredOutcome outcome = attention(1e-6).read(dithered.read);
    double radius = 0.0;
    for (std::size_t j = 0; j < head_dim; ++j)
      radius +=
          0.5 * of.scale * std::abs(static_cast<double>(of.query[j])) * dithered.keys[0].step(j, DitherLevel::bits8);
    const AttentionPage page{1.0, radius, 1.0, 0.0};
    deterministic += attention_tv_bound({std::span(&page, 1), {}, 0.0, 0.0, {}});
    randomized += outcome.attention_tv.value();
    EXPECT_LT(outcome.output_error.value(), 1.0);
    EXPECT_EQ(outcome.attention_tv.kind(), BoundKind::randomized);
    EXPECT_EQ(outcome.output_error.kind(), BoundKind::randomized);
    EXPECT_EQ(outcome.attention_tv.delta().value, 1e-6);
  }
  RecordProperty("deterministic_over_randomized", std::to_string(deterministic / randomized));
  EXPECT_LT(3.0 * randomized, deterministic);
}

TEST(DitheredAttention, AnExactTailHasNoErrorButThatOfDouble) {
  Head of = head(1);
  of.keys.clear();
  of.values.clear();
  const Dithered dithered(of, 1, DitherLevel::bits8, DitherLevel::bits8);
  const DitheredOutcome outcome = attention(1e-6).read(dithered.read);
  EXPECT_LT(outcome.attention_tv.value(), 1e-11);
  EXPECT_LT(outcome.output_error.value(), 1e-9);
  EXPECT_LE(realised(of, dithered, outcome).error, outcome.output_error.value());
}

TEST(DitheredAttention, ErrorsThatAreTooLargeCertifyNothing) {
  Head of = head(6);
  for (float& q : of.query) q *= 1e6F;
  const Dithered dithered(of, 1, DitherLevel::bits4, DitherLevel::bits4);
  const DitheredOutcome outcome = attention(1e-3).read(dithered.read);
  EXPECT_EQ(outcome.attention_tv.value(), 1.0);
  EXPECT_EQ(outcome.output_error.value(), inf);
}

static_assert(!std::is_constructible_v<DitheredAttention, Delta> &&
              !std::is_default_constructible_v<DitheredAttention>);

TEST(DitheredAttention, RefusesReadsItHasNoLicenceFor) {
  const Head of = head(1);
  Dithered dithered(of, 1, DitherLevel::bits8, DitherLevel::bits8);
  const auto refused = [](const DitheredRead& read) {
    return message_of<ValueError>([&] { static_cast<void>(attention(0.1).read(read)); });
  };
  const auto misshapen = [](const DitheredRead& read) {
    return message_of<ShapeError>([&] { static_cast<void>(attention(0.1).read(read)); });
  };
  EXPECT_EQ(refused(dithered.read), "no error");
  DitheredRead read = dithered.read;
  read.position = 1;
  EXPECT_NE(refused(read).find("position is 1, only 1 tokens"), std::string::npos);
  read = dithered.read;
  std::vector<DitheredKv> twice{dithered.pages[0], dithered.pages[0]};
  read.pages = twice;
  EXPECT_NE(refused(read).find("the same dither"), std::string::npos);
  read = dithered.read;
  read.scale = 0.0;
  EXPECT_NE(refused(read).find("scale is 0"), std::string::npos);
  std::vector<float> query(of.query);
  query[3] = std::numeric_limits<float>::quiet_NaN();
  read = dithered.read;
  read.query = query;
  EXPECT_NE(refused(read).find("query[3]"), std::string::npos);
  read.query = std::span(of.query).first(15);
  EXPECT_NE(misshapen(read).find("tail"), std::string::npos);
  read.tail_keys = read.tail_values = {};
  EXPECT_NE(misshapen(read).find("pages[0]"), std::string::npos);
  read.pages = {};
  EXPECT_NE(misshapen(read).find("nothing to read"), std::string::npos);
  for (const double delta : {0.0, 1.0, -0.5, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_NE(message_of<ValueError>([&] { attention(delta); }).find("delta is"), std::string::npos);
}

}  // namespace
}  // namespace mpp::llm
