#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::guarantees {

/// Numbers and texts as bytes: 64 bits each, little-endian; a text is its length and its bytes. So no two sequences of
/// fields give the same bytes.
class AuditBytes {
 public:
  void add(std::uint64_t word) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<std::byte>(word >> (8 * i)));
  }
  void add(double value) { add(std::bit_cast<std::uint64_t>(value)); }
  void add(std::string_view words) {
    add(std::uint64_t{words.size()});
    const auto raw = std::as_bytes(std::span(words));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  [[nodiscard]] std::span<const std::byte> view() const { return bytes_; }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads them back. Every failure is a FormatError with the name of the field and the offset.
class AuditCursor {
 public:
  explicit AuditCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t word(const char* field) {
    const auto raw = next(field, 8);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
    return value;
  }
  /// @return from `least` to `most`
  std::uint64_t word(const char* field, std::uint64_t least, std::uint64_t most) {
    const std::uint64_t value = word(field);
    if (value < least || value > most) fail(field, text(value), text("from ", least, " to ", most));
    return value;
  }
  double real(const char* field) { return std::bit_cast<double>(word(field)); }
  std::string words(const char* field, std::size_t least, std::size_t most) {
    const auto raw = next(field, word(field, least, most));
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }
  void end() const {
    if (at_ != bytes_.size()) fail("end", text(bytes_.size() - at_, " bytes more"), "none");
  }
  [[noreturn]] void fail(const char* field, const std::string& came, const std::string& expected) const {
    throw FormatError(text("Auditor: byte ", at_, ", field '", field, "': came ", came, ", expected ", expected));
  }

 private:
  std::span<const std::byte> next(const char* field, std::size_t size) {
    const std::size_t left = bytes_.size() - at_;
    if (left < size) fail(field, text(left, " bytes"), text(size));
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace mpp::guarantees
