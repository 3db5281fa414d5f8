#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <mpp/core/memory/bytes.hpp>

namespace mpp {

/// Where bytes live. `device` is accelerator memory, `host` the machine's memory, `disk` a mapped or spilled file.
enum class MemorySpace : std::uint8_t { device, host, disk };
inline constexpr std::array memory_spaces{MemorySpace::device, MemorySpace::host, MemorySpace::disk};

constexpr std::string_view name(MemorySpace space) noexcept {
  constexpr std::array<std::string_view, 3> names{"device", "host", "disk"};
  return names[static_cast<std::size_t>(space)];
}

/// Bytes per memory space: what a level needs, what a cap allows, what an account holds.
struct Footprint {
  std::array<Bytes, memory_spaces.size()> per_space{};

  static constexpr Footprint of(MemorySpace space, Bytes bytes) noexcept {
    Footprint f;
    f[space] = bytes;
    return f;
  }
  static constexpr Footprint device(Bytes bytes) noexcept { return of(MemorySpace::device, bytes); }
  static constexpr Footprint host(Bytes bytes) noexcept { return of(MemorySpace::host, bytes); }
  static constexpr Footprint disk(Bytes bytes) noexcept { return of(MemorySpace::disk, bytes); }
  static constexpr Footprint unlimited() noexcept { return {{Bytes::max(), Bytes::max(), Bytes::max()}}; }

  constexpr Bytes& operator[](MemorySpace space) noexcept { return per_space[static_cast<std::size_t>(space)]; }
  constexpr Bytes operator[](MemorySpace space) const noexcept { return per_space[static_cast<std::size_t>(space)]; }
  constexpr Bytes total() const noexcept { return per_space[0] + per_space[1] + per_space[2]; }
  constexpr bool empty() const noexcept { return total() == Bytes{}; }

  /// True when every space fits: a partial order, so `!a.within(b)` does not mean `b.within(a)`.
  constexpr bool within(const Footprint& other) const noexcept {
    for (std::size_t i = 0; i < per_space.size(); ++i)
      if (per_space[i] > other.per_space[i]) return false;
    return true;
  }
  friend constexpr bool operator==(const Footprint&, const Footprint&) noexcept = default;
  constexpr Footprint& operator+=(const Footprint& other) noexcept {
    for (std::size_t i = 0; i < per_space.size(); ++i) per_space[i] += other.per_space[i];
    return *this;
  }
  constexpr Footprint& operator-=(const Footprint& other) noexcept {
    for (std::size_t i = 0; i < per_space.size(); ++i) per_space[i] -= other.per_space[i];
    return *this;
  }
  friend constexpr Footprint operator+(Footprint a, const Footprint& b) noexcept { return a += b; }
  friend constexpr Footprint operator-(Footprint a, const Footprint& b) noexcept { return a -= b; }
};

}  // namespace mpp
