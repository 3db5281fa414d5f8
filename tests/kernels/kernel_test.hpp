#pragma once
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <mpp/kernels/context.hpp>
#include <mpp/kernels/device_array.hpp>

#include "support/message_of.hpp"

namespace mpp::kernels {

using test::message_of;

/// A test that runs on every device. The CUDA cases always exist, so that the output counts what could not run here.
class KernelTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (!available(GetParam())) GTEST_SKIP() << name(GetParam()) << ": not built in, or no such device here";
  }
  static Context context() { return {.device = GetParam()}; }

  /// `values` in the memory of the device under test.
  template <class T>
  static DeviceArray<T> upload(const std::vector<T>& values) {
    return DeviceArray<T>(context(), std::span<const T>(values));
  }
};

inline std::string device_name(const testing::TestParamInfo<Device>& device) { return std::string(name(device.param)); }

/// Instantiates a KernelTest suite over both devices.
#define MPP_ON_ALL_DEVICES(suite) \
  INSTANTIATE_TEST_SUITE_P(Devices, suite, testing::Values(Device::cpu, Device::cuda), device_name)

}  // namespace mpp::kernels
