#include <mpp/core/memory/reservation.hpp>

#include <algorithm>
#include <utility>

#include <mpp/core/error.hpp>

#include "account_node.hpp"

namespace mpp {
namespace {

using Counter = std::atomic<std::uint64_t> detail::SpaceCounters::*;

// Relaxed: these counters only report; what may be reserved is decided by `committed` alone.
void add(detail::AccountNode& node, Counter counter, const Footprint& bytes) noexcept {
  for (const MemorySpace space : memory_spaces)
    if (bytes[space] != Bytes{}) (node[space].*counter).fetch_add(bytes[space].count, std::memory_order_relaxed);
}

void subtract(detail::AccountNode& node, Counter counter, const Footprint& bytes) noexcept {
  for (const MemorySpace space : memory_spaces)
    if (bytes[space] != Bytes{}) (node[space].*counter).fetch_sub(bytes[space].count, std::memory_order_relaxed);
}

void require(const Footprint& asked, const Footprint& held, const char* operation, const char* kind,
             const detail::AccountNode& node) {
  for (const MemorySpace space : memory_spaces)
    expects<ValueError>(asked[space] <= held[space], "Reservation::", operation, ": ", asked[space].count, " B of ",
                        name(space), " asked for, but only ", held[space].count, " B are ", kind, " (account ",
                        node.path, ")");
}

}  // namespace

Reservation::Reservation(Reservation&& other) noexcept
    : account_(other.account_), reserved_(std::exchange(other.reserved_, {})), used_(std::exchange(other.used_, {})),
      retiring_(std::exchange(other.retiring_, {})), peak_(std::exchange(other.peak_, {})) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  Reservation taken(std::move(other));  // first, so that moving to itself changes nothing
  std::swap(account_, taken.account_);
  std::swap(reserved_, taken.reserved_);
  std::swap(used_, taken.used_);
  std::swap(retiring_, taken.retiring_);
  std::swap(peak_, taken.peak_);
  return *this;
}

Reservation::~Reservation() {
  subtract(*account_.node_, &detail::SpaceCounters::used, used_);
  subtract(*account_.node_, &detail::SpaceCounters::retiring, retiring_);
  detail::give_back(*account_.node_, reserved_);
}

std::optional<Denial> Reservation::try_grow(const Footprint& bytes) {
  if (const auto refusal = detail::commit(*account_.node_, bytes)) [[unlikely]]
    return detail::explain(*refusal);
  reserved_ += bytes;
  for (const MemorySpace space : memory_spaces) peak_[space] = std::max(peak_[space], reserved_[space]);
  return std::nullopt;
}

void Reservation::shrink(const Footprint& bytes) {
  require(bytes, unused(), "shrink", "unused", *account_.node_);
  reserved_ -= bytes;
  detail::give_back(*account_.node_, bytes);
}

void Reservation::use(const Footprint& bytes) {
  require(bytes, unused(), "use", "unused", *account_.node_);
  used_ += bytes;
  add(*account_.node_, &detail::SpaceCounters::used, bytes);
}

void Reservation::unuse(const Footprint& bytes) {
  require(bytes, used_, "unuse", "used", *account_.node_);
  used_ -= bytes;
  subtract(*account_.node_, &detail::SpaceCounters::used, bytes);
}

void Reservation::retire(const Footprint& bytes) {
  require(bytes, used_, "retire", "used", *account_.node_);
  used_ -= bytes;
  retiring_ += bytes;
  add(*account_.node_, &detail::SpaceCounters::retiring, bytes);
  subtract(*account_.node_, &detail::SpaceCounters::used, bytes);
}

void Reservation::settle(const Footprint& bytes) {
  require(bytes, retiring_, "settle", "retiring", *account_.node_);
  retiring_ -= bytes;
  subtract(*account_.node_, &detail::SpaceCounters::retiring, bytes);
}

}  // namespace mpp
