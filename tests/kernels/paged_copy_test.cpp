#include <mpp/kernels/paged_copy.hpp>

#include <cstring>

#include <mpp/core/error.hpp>
#include <mpp/kernels/host_bytes.hpp>

#include "kernels/kernel_test.hpp"

namespace mpp::kernels {
namespace {

std::vector<std::byte> pattern(std::size_t bytes, unsigned seed) {
  std::vector<std::byte> made(bytes);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::byte& byte : made) byte = static_cast<std::byte>((state = state * 1664525U + 1013904223U) >> 24);
  return made;
}

constexpr std::size_t largest = 70'000;  // more than a block of CUDA moves in one turn
constexpr std::array<std::size_t, 14> sizes{0, 1, 15, 16, 17, 31, 32, 4095, 4096, 4097, 16384, 16400, 65536, largest};

/// Memory on one side: of the device, or of the host and reached by it.
class Side {
 public:
  Side(const Context& context, bool on_host, std::size_t bytes)
      : host_(on_host ? HostBytes(context, bytes) : HostBytes()),
        device_(on_host ? DeviceBytes() : DeviceBytes(context, bytes)), on_host_(on_host) {}
  [[nodiscard]] std::byte* at(std::size_t offset) const {
    return (on_host_ ? host_.data() : static_cast<std::byte*>(device_.data())) + offset;
  }
  void fill(const std::vector<std::byte>& bytes) {
    if (on_host_)
      std::memcpy(host_.data(), bytes.data(), bytes.size());
    else
      device_.copy_from(bytes);
  }
  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> copy(on_host_ ? host_.size() : device_.size());
    if (on_host_)
      std::memcpy(copy.data(), host_.data(), copy.size());
    else
      device_.copy_to(copy);
    return copy;
  }

 private:
  HostBytes host_;
  DeviceBytes device_;
  bool on_host_;
};

class PagedCopyTest : public KernelTest {
 protected:
  /// Pieces of all sizes, `shift` bytes beyond a multiple of 16, in the reverse order on the other side.
  static void moves_all(bool from_host, bool to_host, std::size_t source_shift, std::size_t target_shift) {
    constexpr std::size_t room = largest + 128;
    const std::size_t total = sizes.size() * room;
    Side source(context(), from_host, total), target(context(), to_host, total);
    const std::vector<std::byte> numbers = pattern(total, 3);
    std::vector<std::byte> expected = pattern(total, 4);  // nothing else may change
    source.fill(numbers);
    target.fill(expected);
    std::vector<CopyItem> items;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::size_t from = i * room + source_shift, to = (sizes.size() - 1 - i) * room + target_shift;
      items.push_back({source.at(from), target.at(to), sizes[i]});
      std::memcpy(expected.data() + to, numbers.data() + from, sizes[i]);
    }
    paged_copy(context(), items);
    EXPECT_EQ(target.bytes(), expected);
    EXPECT_EQ(source.bytes(), numbers);
  }
};
MPP_ON_ALL_DEVICES(PagedCopyTest);

TEST_P(PagedCopyTest, MovesPiecesOfAllSizesBetweenHostAndDevice) {
  for (const bool from_host : {false, true})
    for (const bool to_host : {false, true}) moves_all(from_host, to_host, 0, 0);
}

TEST_P(PagedCopyTest, MovesPiecesThatAreNotAligned) {
  moves_all(false, true, 1, 0);
  moves_all(true, false, 0, 3);
  moves_all(false, false, 5, 5);
}

TEST_P(PagedCopyTest, MovesThousandsOfPieces) {
  constexpr std::size_t count = 5000, bytes = 48;
  Side source(context(), true, count * bytes), target(context(), false, count * bytes);
  const std::vector<std::byte> numbers = pattern(count * bytes, 5);
  source.fill(numbers);
  std::vector<CopyItem> items;
  for (std::size_t i = 0; i < count; ++i) items.push_back({source.at(i * bytes), target.at(i * bytes), bytes});
  paged_copy(context(), items);
  EXPECT_EQ(target.bytes(), numbers);
}

TEST_P(PagedCopyTest, HasNothingToDoForNothing) {
  EXPECT_NO_THROW(paged_copy(context(), {}));
  EXPECT_NO_THROW(paged_copy(context(), std::array{CopyItem{}}));
}

TEST_P(PagedCopyTest, NamesTheSideThatIsNull) {
  const Side side(context(), true, 16);
  EXPECT_EQ(message_of<ShapeError>([&] {
              paged_copy(context(), std::array{CopyItem{nullptr, side.at(0), 16}});
            }),
            "paged_copy: item 0 has 16 bytes and a source that is null");
  EXPECT_EQ(message_of<ShapeError>([&] {
              paged_copy(context(), std::array{CopyItem{}, CopyItem{side.at(0), nullptr, 16}});
            }),
            "paged_copy: item 1 has 16 bytes and a target that is null");
}

TEST_P(PagedCopyTest, HostBytesStartAsZerosAndMove) {
  HostBytes bytes(context(), 1000);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0U);
  EXPECT_EQ(std::vector(bytes.span().begin(), bytes.span().end()), std::vector<std::byte>(1000));
  const std::byte* memory = bytes.data();
  HostBytes moved = std::move(bytes), assigned(context(), 8);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.data(), memory);
  EXPECT_EQ(assigned.size(), 1000U);
  EXPECT_EQ(HostBytes(context(), 0).data(), nullptr);
}

TEST(HostBytes, RefusesADeviceThatIsNotThere) {
  if (available(Device::cuda)) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_THROW(HostBytes(Context{.device = Device::cuda}, 1), BackendUnavailable);
}

}  // namespace
}  // namespace mpp::kernels
