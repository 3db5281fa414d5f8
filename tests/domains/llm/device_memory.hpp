#pragma once
#include <cstring>
#include <vector>

#include <mpp/kernels/device_array.hpp>
#include <mpp/kernels/host_bytes.hpp>
#include <mpp/kernels/paged_copy.hpp>

#include "kernels/kernel_test.hpp"

namespace mpp::llm {

using kernels::Device;
using kernels::device_name;
using kernels::KernelTest;

/// n values at an address that the device reaches.
template <class T = std::byte>
std::vector<T> download(const kernels::Context& context, const void* address, std::size_t n) {
  std::vector<T> values(n);
  if (n == 0 || address == nullptr) return values;
  const kernels::HostBytes host(context, n * sizeof(T));
  const kernels::CopyItem all{static_cast<const std::byte*>(address), host.data(), host.size()};
  kernels::paged_copy(context, {&all, 1});
  std::memcpy(static_cast<void*>(values.data()), host.data(), host.size());
  return values;
}

/// A vector in the memory of a context's device.
template <class T>
kernels::DeviceArray<T> upload(const kernels::Context& context, const std::vector<T>& values) {
  return kernels::DeviceArray<T>(context, std::span<const T>(values));
}

}  // namespace mpp::llm
