#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace mpp::guarantees {

/// Sum of losses in [0, 1], counted in units of 2^-63: an integer, so nothing depends on their order.
///
/// Multiples of a unit (all losses 0 or 1, all losses >= 2^-10) are counted exactly, others to the next unit outward.
/// By integer arithmetic on the bits, so that a thread that flushes subnormal numbers to zero still rounds them up.
struct LossSum {
  enum class Round : std::uint8_t { down, up };

  std::uint64_t whole = 0;
  std::uint64_t units = 0;  ///< below 2^63
  std::uint64_t n = 0;

  LossSum(std::span<const double> losses, Round round) : n(losses.size()) {
    for (const double loss : losses) add(loss, round);
  }

  std::uint64_t ceiling() const { return whole + (units > 0 ? 1 : 0); }
  /// The mean with a relative error of at most 2^-51; 0 is exact.
  double mean() const {
    return (static_cast<double>(whole) + static_cast<double>(units) * 0x1p-63) / static_cast<double>(n);
  }
  double mean_up() const { return std::min(1.0, mean() * (1.0 + 0x1p-50)); }
  double mean_down() const { return whole == n ? 1.0 : mean() * (1.0 - 0x1p-50); }

 private:
  void add(double loss, Round round) {
    constexpr std::uint64_t one = std::uint64_t{1} << 63;
    auto loss_units = static_cast<std::uint64_t>(loss * 0x1p63);
    const auto back = std::bit_cast<std::uint64_t>(static_cast<double>(loss_units) * 0x1p-63);
    const auto given = std::bit_cast<std::uint64_t>(loss) & ~one;  // -0 is 0
    if (round == Round::up && back != given) ++loss_units;
    units += loss_units;
    if (units >= one) {
      units -= one;
      ++whole;
    }
  }
};

}  // namespace mpp::guarantees
