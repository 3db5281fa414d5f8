#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mpp::kernels {

/// Where an operation runs. Every operation has the same signature and the same meaning on all devices.
enum class Device : std::uint8_t { cpu, cuda };

constexpr std::string_view name(Device device) noexcept { return device == Device::cpu ? "cpu" : "cuda"; }

/// Where and how an operation runs. Spans passed with it point to memory of `device`. Operations on CUDA take scratch memory
/// from a pool of the library's own, which keeps up to 64 MiB of a GPU between them: leave that out of a ledger's cap.
struct Context {
  Device device = Device::cpu;
  void* stream = nullptr;  ///< CUDA stream, null for the default one; operations return when their result is ready
};

/// Devices this library was compiled for, the CPU first.
[[nodiscard]] std::vector<Device> built_devices();
/// True when `device` was compiled in and this machine has one that works.
[[nodiscard]] bool available(Device device) noexcept;
/// The instruction set (for example "AVX3_DL") or the GPU's name that `device` runs with. @throws BackendUnavailable
[[nodiscard]] std::string device_description(Device device);

}  // namespace mpp::kernels
