#pragma once
#include <array>
#include <cstddef>

#include <mpp/kernels/paged_copy.hpp>

namespace mpp::llm {

/// Collects pieces for paged_copy() and sends them many at a time. What has been added arrives with flush().
class CopyBatch {
 public:
  explicit CopyBatch(const kernels::Context& context) noexcept : context_(context) {}

  void add(const void* source, void* target, std::size_t bytes) {
    if (size_ == items_.size()) flush();
    items_[size_++] = {static_cast<const std::byte*>(source), static_cast<std::byte*>(target), bytes};
  }
  void flush() {
    if (size_ > 0) kernels::paged_copy(context_, std::span(items_).first(size_));
    size_ = 0;
  }

 private:
  kernels::Context context_;
  std::array<kernels::CopyItem, 128> items_;
  std::size_t size_ = 0;
};

}  // namespace mpp::llm
