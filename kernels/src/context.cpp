#include <mpp/kernels/context.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

std::vector<Device> built_devices() {
#if MPP_HAVE_CUDA
  return {Device::cpu, Device::cuda};
#else
  return {Device::cpu};
#endif
}

bool available(Device device) noexcept {
  try {
    return dispatch(
        Context{.device = device}, [] { return cpu::available(); }, [] { return cuda::available(); });
  } catch (const BackendUnavailable&) {
    return false;
  }
}

std::string device_description(Device device) {
  return dispatch(
      Context{.device = device}, [] { return cpu::device_description(); }, [] { return cuda::device_description(); });
}

}  // namespace mpp::kernels
