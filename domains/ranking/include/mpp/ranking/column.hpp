#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <utility>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/memory/huge_pages.hpp>

namespace mpp::ranking {

/// One array of a pool: owned, in huge pages where they are to be had because rows are read at random, or a read-only
/// view of a mapped file that `keeper` keeps open.
template <class T>
class Column {
 public:
  using Values = std::pmr::vector<T>;

  Column() = default;
  explicit Column(std::size_t size) : owned_(size, huge_page_resource()) {}
  explicit Column(std::span<const T> values) : owned_(values.begin(), values.end(), huge_page_resource()) {}
  Column(std::span<const T> mapped, std::shared_ptr<const void> keeper) : mapped_(mapped), keeper_(std::move(keeper)) {}

  [[nodiscard]] std::span<const T> view() const noexcept { return keeper_ ? mapped_ : std::span<const T>(owned_); }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return view()[i]; }
  [[nodiscard]] bool mapped() const noexcept { return keeper_ != nullptr; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return view().size_bytes(); }

  /// The values for writing. @throws ValueError if the column is mapped
  [[nodiscard]] Values& values() {
    expects<ValueError>(!mapped(), "Column: the pool is mapped read-only; load it with Pool::load to change it");
    return owned_;
  }

 private:
  Values owned_{huge_page_resource()};
  std::span<const T> mapped_;
  std::shared_ptr<const void> keeper_;
};

}  // namespace mpp::ranking
