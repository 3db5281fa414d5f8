#include "mpp/llm/dithered_page.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "mpp/core/error.hpp"

namespace mpp::llm {
namespace {

constexpr double largest_code = 240.0;  // and a dither below 16 on top

/// Covers the range with 240 steps. One number is in the middle of steps that are as small as normal floats are.
float step_above(double range) noexcept {
  const double least = range / largest_code * (1.0 + 0x1p-50);
  float step = std::max(static_cast<float>(least), std::numeric_limits<float>::min());
  if (static_cast<double>(step) < least) step = std::nextafter(step, std::numeric_limits<float>::infinity());
  return step;
}

}  // namespace

DitheredPage::DitheredPage(std::span<const float> numbers, std::size_t channels, DitherCounter counter,
                           std::pmr::memory_resource* memory)
    : counter_(counter), zero_(memory), step_(memory), code_(memory) {
  expects<ShapeError>(channels > 0 && !numbers.empty() && numbers.size() % channels == 0, "DitheredPage: numbers has ",
                      numbers.size(), " entries, expected at least one row of ", channels, " channels");
  for (std::size_t i = 0; i < numbers.size(); ++i)
    expects<ValueError>(std::isfinite(numbers[i]), "DitheredPage: token ", i / channels, ", channel ", i % channels,
                        " is ", numbers[i], ", expected a finite number");
  zero_.assign(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(channels));
  std::pmr::vector<float> most(zero_, memory);
  for (std::size_t i = channels; i < numbers.size(); ++i) {
    zero_[i % channels] = std::min(zero_[i % channels], numbers[i]);
    most[i % channels] = std::max(most[i % channels], numbers[i]);
  }
  step_.resize(channels);
  for (std::size_t j = 0; j < channels; ++j)
    step_[j] = step_above(static_cast<double>(most[j]) - static_cast<double>(zero_[j]));
  code_.resize(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t j = i % channels;
    const double x = (static_cast<double>(numbers[i]) - static_cast<double>(zero_[j])) / static_cast<double>(step_[j]);
    code_[i] = static_cast<std::uint8_t>(std::min(255.0, std::floor(x + dither(i / channels, j))));
  }
}

// 36 bits of a hash, in the middle of 2^-32 steps each: with 8 bits in front exact in double.
double DitheredPage::dither(std::size_t token, std::size_t channel) const noexcept {
  const std::array<std::uint64_t, 3> number{counter_.matrix, token, channel};
  const std::uint64_t bits = guarantees::siphash(counter_.seed, std::as_bytes(std::span(number))) >> 28U;
  return (static_cast<double>(bits) + 0.5) * 0x1p-32;
}

double DitheredPage::number(std::size_t token, std::size_t channel, DitherLevel level) const noexcept {
  const unsigned code = code_[token * channels() + channel];
  const double middle = level == DitherLevel::bits8 ? code + 0.5 : 16.0 * ((code >> 4U) + 0.5);
  return static_cast<double>(zero_[channel]) + static_cast<double>(step_[channel]) * (middle - dither(token, channel));
}

double DitheredPage::reach(std::size_t channel) const noexcept {
  return std::abs(static_cast<double>(zero_[channel])) + 256.0 * static_cast<double>(step_[channel]);
}

}  // namespace mpp::llm
