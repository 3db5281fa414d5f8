#pragma once
#include <memory_resource>
#include <new>
#include <utility>

#include <mpp/core/memory/denial.hpp>
#include <mpp/core/memory/reservation.hpp>

namespace mpp::llm {

/// The ledger had no room. Thrown inside the cache only, whose calls return the denial as a value.
struct LedgerDenied : std::bad_alloc {
  explicit LedgerDenied(Denial why) : denial(std::move(why)) {}
  const char* what() const noexcept override { return "the ledger has no room"; }
  Denial denial;
};

/// Bytes that are claimed while this lives. Move-only.
class Charge {
 public:
  Charge() noexcept = default;
  /// @throws LedgerDenied
  Charge(Reservation& reservation, const Footprint& bytes) : reservation_(&reservation), bytes_(bytes) {
    if (auto denial = reservation.try_grow(bytes)) throw LedgerDenied(*std::move(denial));
  }
  Charge(Charge&& other) noexcept
      : reservation_(std::exchange(other.reservation_, nullptr)), bytes_(other.bytes_), used_(other.used_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(reservation_, other.reservation_);
    std::swap(bytes_, other.bytes_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~Charge() {
    if (reservation_ == nullptr) return;
    if (used_) reservation_->unuse(bytes_);
    reservation_->shrink(bytes_);
  }
  /// All of it holds data now.
  void use() {
    reservation_->use(bytes_);
    used_ = true;
  }
  /// Leaves the bytes as they are: somebody else gives them back.
  void keep() noexcept { reservation_ = nullptr; }

 private:
  Reservation* reservation_ = nullptr;
  Footprint bytes_;
  bool used_ = false;
};

/// Host memory for containers, claimed when it is allocated and given back when it is freed.
class LedgerResource final : public std::pmr::memory_resource {
 public:
  explicit LedgerResource(Reservation& reservation) noexcept : reservation_(reservation) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;  ///< @throws LedgerDenied
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  Reservation& reservation_;
};

}  // namespace mpp::llm
