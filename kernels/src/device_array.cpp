#include <cstring>
#include <new>

#include <mpp/kernels/device_array.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

constexpr std::align_val_t host_alignment{64};  // one cache line, one AVX-512 vector

void expects_size(const char* op, std::size_t device_bytes, std::size_t host_bytes) {
  expects<ShapeError>(device_bytes == host_bytes, op, ": host has ", host_bytes, " bytes, expected ", device_bytes);
}

}  // namespace

DeviceBytes::DeviceBytes(const Context& context, std::size_t bytes) : context_(context), bytes_(bytes) {
  data_ = dispatch(
      context,
      [&]() -> void* { return bytes == 0 ? nullptr : std::memset(::operator new(bytes, host_alignment), 0, bytes); },
      [&] { return cuda::allocate(context, bytes); });
}

DeviceBytes::~DeviceBytes() {
  if (data_ == nullptr) return;
  dispatch(
      context_, [&] { ::operator delete(data_, host_alignment); }, [&] { cuda::release(data_); });
}

void DeviceBytes::copy_from(std::span<const std::byte> host) {
  expects_size("DeviceBytes::copy_from", bytes_, host.size());
  if (host.empty()) return;
  dispatch(
      context_, [&] { std::memcpy(data_, host.data(), bytes_); },
      [&] { cuda::copy_from_host(context_, host.data(), data_, bytes_); });
}

void DeviceBytes::copy_to(std::span<std::byte> host) const {
  expects_size("DeviceBytes::copy_to", bytes_, host.size());
  if (host.empty()) return;
  dispatch(
      context_, [&] { std::memcpy(host.data(), data_, bytes_); },
      [&] { cuda::copy_to_host(context_, data_, host.data(), bytes_); });
}

}  // namespace mpp::kernels
