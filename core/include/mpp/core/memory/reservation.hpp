#pragma once
#include <optional>

#include <mpp/core/memory/ledger.hpp>

namespace mpp {

/// Bytes of one account that are held for one owner, returned by the destructor and by nothing else. Move-only.
///
///   reserved = unused + used + retiring, per memory space
///
/// `unused` bytes are promised; `used` bytes hold data; `retiring` bytes were given up, but a stream may still touch
/// them, so they count against the cap until settled. Not thread-safe: one owner at a time.
class Reservation {
 public:
  explicit Reservation(Account account) noexcept : account_(account) {}
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  /// Adds bytes in all spaces or in none. @return why not, if the ledger had no room; nothing has changed then.
  [[nodiscard]] std::optional<Denial> try_grow(const Footprint& bytes);
  /// Gives unused bytes back. @throws ValueError if more than unused() is asked for in a space; nothing changes then
  void shrink(const Footprint& bytes);

  /// unused -> used. @throws ValueError if more than unused() is asked for; nothing changes then
  void use(const Footprint& bytes);
  /// used -> unused
  void unuse(const Footprint& bytes);
  /// used -> retiring: freed logically, still fenced
  void retire(const Footprint& bytes);
  /// retiring -> unused: the fence has signalled
  void settle(const Footprint& bytes);

  [[nodiscard]] Account account() const noexcept { return account_; }
  [[nodiscard]] Footprint reserved() const noexcept { return reserved_; }
  [[nodiscard]] Footprint used() const noexcept { return used_; }
  [[nodiscard]] Footprint retiring() const noexcept { return retiring_; }
  [[nodiscard]] Footprint unused() const noexcept { return reserved_ - used_ - retiring_; }
  [[nodiscard]] Footprint peak() const noexcept { return peak_; }  ///< most bytes reserved() ever was

 private:
  Account account_;
  Footprint reserved_, used_, retiring_, peak_;
};

}  // namespace mpp
