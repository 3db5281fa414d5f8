// What is added to a page later is what would have been there from the start.
#include <mpp/core/error.hpp>

#include "kernels/kv_scene.hpp"

namespace mpp::kernels {
namespace {

class EncodePlanesTest : public KernelTest {};
MPP_ON_ALL_DEVICES(EncodePlanesTest);

TEST_P(EncodePlanesTest, MakesEachPlaneThatQuantizePageMakes) {
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : {32, 96, 256})
      for (const Family& family : families()) {
        DevicePage page(context(), exact_page(type, head_dim, 5, family.sample, family.sample));
        const PageBytes whole = page.to_host();
        for (std::size_t plane = 0; plane < 5; ++plane) {
          DeviceArray<std::uint32_t> made(context(), page_plane_bytes(head_dim) / 4);
          PageToQuantize only = page.target();
          for (auto& other : only.key_planes) other = nullptr;
          for (auto& other : only.value_planes) other = nullptr;
          (plane < 3 ? only.key_planes[plane] : only.value_planes[plane - 3]) = made.span().data();
          (plane < 3 ? only.values : only.keys) = nullptr;
          encode_planes(context(), type, head_dim, {&only, 1});
          ASSERT_EQ(made.to_host(), plane < 3 ? whole.key_planes[plane] : whole.value_planes[plane - 3])
              << family.name << ", plane " << plane;
        }
        encode_planes(context(), type, head_dim, std::array{page.target()});
        ASSERT_EQ(page.to_host().metadata, whole.metadata) << family.name;
      }
}

TEST_P(EncodePlanesTest, RefusesWhatIsNotThere) {
  DevicePage page(context(), exact_page(KvType::float16, 32, 5, families()[0].sample, families()[0].sample));
  const auto refused = [&](auto&& change) {
    PageToQuantize target = page.target();
    change(target);
    return message_of<ShapeError>([&] { encode_planes(context(), KvType::float16, 32, {&target, 1}); });
  };
  EXPECT_NE(refused([](auto& t) { t.metadata = nullptr; }).find("metadata"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.keys = nullptr; }).find("keys"), std::string::npos);
  EXPECT_NE(refused([](auto& t) { t.values = nullptr; }).find("values"), std::string::npos);
  EXPECT_THROW(encode_planes(context(), KvType::float16, 33, {}), ShapeError);
}

TEST_P(EncodePlanesTest, AnOpenPageThatGrowsIsSummarisedToTheSameBytes) {
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const Family& family : families()) {
      const ExactPage exact = exact_page(type, 64, 9, family.sample, family.sample);
      const auto keys = upload(exact.keys), values = upload(exact.values);
      DeviceArray<std::byte> grown(context(), page_metadata_bytes(64));
      for (std::size_t known = 0, step = 1; known < page_tokens; step = step % 5 + 1) {
        const std::size_t tokens = std::min(known + step, page_tokens);
        DeviceArray<std::byte> whole(context(), page_metadata_bytes(64));
        const auto page = [&](DeviceArray<std::byte>& metadata) {
          return PageToQuantize{keys.span().data(), values.span().data(), metadata.span().data()};
        };
        summarize_page(context(), type, 64, page(grown), tokens, known);
        summarize_page(context(), type, 64, page(whole), tokens);
        ASSERT_EQ(grown.to_host(), whole.to_host()) << family.name << ", " << tokens << " tokens";
        known = tokens;
      }
      EXPECT_THROW(
          summarize_page(context(), type, 64, {keys.span().data(), values.span().data(), grown.span().data()}, 5, 6),
          ShapeError);
    }
}

}  // namespace
}  // namespace mpp::kernels
