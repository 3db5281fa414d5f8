#pragma once
#include <compare>
#include <cstdint>
#include <limits>

namespace mpp {

/// A number of bytes. Unsigned, so an increment cannot be negative; arithmetic saturates, so a hostile size
/// becomes "more than any cap" and is denied instead of wrapping around to something small.
struct Bytes {
  std::uint64_t count{};

  static constexpr Bytes max() noexcept { return {std::numeric_limits<std::uint64_t>::max()}; }
  friend constexpr auto operator<=>(Bytes, Bytes) noexcept = default;

  friend constexpr Bytes operator+(Bytes a, Bytes b) noexcept {
    return a.count > max().count - b.count ? max() : Bytes{a.count + b.count};
  }
  /// a - b, or 0 when b is larger.
  friend constexpr Bytes operator-(Bytes a, Bytes b) noexcept {
    return a.count < b.count ? Bytes{} : Bytes{a.count - b.count};
  }
  friend constexpr Bytes operator*(Bytes a, std::uint64_t n) noexcept {
    return n != 0 && a.count > max().count / n ? max() : Bytes{a.count * n};
  }
  constexpr Bytes& operator+=(Bytes b) noexcept { return *this = *this + b; }
  constexpr Bytes& operator-=(Bytes b) noexcept { return *this = *this - b; }
};

/// Bytes of `n` values of type T.
template <class T>
constexpr Bytes bytes_of(std::uint64_t n) noexcept {
  return Bytes{sizeof(T)} * n;
}

}  // namespace mpp
