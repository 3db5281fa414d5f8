#include <mpp/kernels/host_bytes.hpp>

#include <cstring>
#include <new>

#include "src/dispatch.hpp"

namespace mpp::kernels {
namespace {

constexpr std::align_val_t alignment{64};  // as DeviceBytes

}  // namespace

HostBytes::HostBytes(const Context& context, std::size_t bytes) : device_(context.device), bytes_(bytes) {
  data_ = static_cast<std::byte*>(dispatch(
      context, [&]() -> void* { return bytes == 0 ? nullptr : ::operator new(bytes, alignment); },
      [&] { return cuda::allocate_pinned(bytes); }));
  if (data_ != nullptr) std::memset(data_, 0, bytes);
}

HostBytes::~HostBytes() {
  if (data_ == nullptr) return;
  dispatch(
      Context{.device = device_}, [&] { ::operator delete(data_, alignment); }, [&] { cuda::release_pinned(data_); });
}

}  // namespace mpp::kernels
