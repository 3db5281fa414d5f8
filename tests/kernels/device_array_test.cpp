#include <mpp/core/error.hpp>

#include "kernels/samples.hpp"

namespace mpp::kernels {
namespace {

class DeviceArrayTest : public KernelTest {};
MPP_ON_ALL_DEVICES(DeviceArrayTest);

TEST_P(DeviceArrayTest, ReturnsWhatWasCopiedIn) {
  for (const std::size_t n : {0, 1, 63, 64, 65, 100'000}) {
    const auto values = gaussian(n, 1);
    EXPECT_EQ(upload(values).to_host(), values);
  }
}

TEST_P(DeviceArrayTest, StartsWithZeros) {
  EXPECT_EQ(DeviceArray<std::int32_t>(context(), 1000).to_host(), std::vector<std::int32_t>(1000, 0));
}

TEST_P(DeviceArrayTest, MovesItsMemory) {
  DeviceArray<std::int32_t> a = upload(std::vector<std::int32_t>{1, 2, 3});
  const auto* memory = a.span().data();
  DeviceArray<std::int32_t> b = std::move(a);
  DeviceArray<std::int32_t> c(context(), 7);
  c = std::move(b);
  EXPECT_EQ(c.span().data(), memory);
  EXPECT_EQ(c.to_host(), (std::vector<std::int32_t>{1, 2, 3}));
}

TEST_P(DeviceArrayTest, NamesTheSizeThatDoesNotFit) {
  DeviceArray<std::int32_t> array(context(), 3);
  std::vector<std::int32_t> two(2);
  EXPECT_EQ(message_of<ShapeError>([&] { array.copy_from(two); }),
            "DeviceBytes::copy_from: host has 8 bytes, expected 12");
  EXPECT_EQ(message_of<ShapeError>([&] { array.copy_to(two); }), "DeviceBytes::copy_to: host has 8 bytes, expected 12");
}

TEST(DeviceArray, RefusesADeviceThatIsNotThere) {
  if (available(Device::cuda)) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_THROW(DeviceArray<int>(Context{.device = Device::cuda}, 1), BackendUnavailable);
  EXPECT_THROW(static_cast<void>(device_description(Device::cuda)), BackendUnavailable);
}

TEST(Devices, TheCpuComesFirstAndAlwaysWorks) {
  EXPECT_EQ(built_devices().front(), Device::cpu);
  EXPECT_TRUE(available(Device::cpu));
  EXPECT_FALSE(device_description(Device::cpu).empty());
}

}  // namespace
}  // namespace mpp::kernels
