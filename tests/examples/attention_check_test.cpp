#include "support/attention_check.hpp"

#include <array>

#include <gtest/gtest.h>

namespace mpp::examples {
namespace {

using kernels::PageLevel;

// Reads a scene at its exact level: what a check compares with.
std::vector<float> exact_output(const AttentionScene& scene, const AttentionScene::Read& read) {
  Ledger ledger(Footprint::unlimited());
  llm::PagedKvCache cache({}, {.layers = 1, .num_kv_heads = scene.num_kv_heads, .head_dim = scene.head_dim},
                          ledger.root());
  const llm::SequenceId sequence = std::get<llm::SequenceId>(cache.open());
  if (cache.append(sequence, 0, scene.keys, scene.values)) throw std::bad_alloc();
  const llm::KvTier tier;
  const llm::AttentionBound estimator;
  const llm::AttentionController controller(tier, estimator, ledger.root());
  llm::AttentionRequest request;
  request.cache = &cache;
  request.sequence = sequence;
  request.queries = read.queries;
  return controller.serve(request, {}).value().output;
}

PageLevels all(const AttentionScene& scene, const AttentionCheck& check, PageLevel keys, PageLevel values) {
  PageLevels levels(scene.num_kv_heads * check.pages(), {keys, values});
  for (std::size_t h = 0; h < scene.num_kv_heads; ++h)  // the open page has no codes
    levels[(h + 1) * check.pages() - 1] = {PageLevel::exact, PageLevel::exact};
  return levels;
}

TEST(AttentionCheck, FindsNoErrorInAnExactReadAndSomeInCodes) {
  for (const std::size_t head_dim : {32U, 64U, 128U}) {
    const AttentionScene scene = make_scene(300, 2, 3, head_dim, 3, 7);
    const AttentionCheck check(scene);
    for (const AttentionScene::Read& read : scene.reads) {
      const std::vector<float> output = exact_output(scene, read);
      const auto error = [&](PageLevel keys) { return check.error(read, all(scene, check, keys, keys), output); };
      EXPECT_LT(error(PageLevel::exact).attention_tv, 1e-5);
      EXPECT_LT(error(PageLevel::exact).attention_output, 1e-5);
      EXPECT_GT(error(PageLevel::bits4).attention_tv, 4.0 * error(PageLevel::bits8).attention_tv);
      EXPECT_GT(error(PageLevel::bits8).attention_tv, 1e-5);
    }
  }
}

TEST(AttentionCheck, SeesAnOutputThatIsNotThatOfTheWeights) {
  const AttentionScene scene = make_scene(300, 1, 2, 64, 1, 7);
  const AttentionCheck check(scene);
  std::vector<float> output = exact_output(scene, scene.reads[0]);
  output[70] += 0.5F;
  const AttentionError error =
      check.error(scene.reads[0], all(scene, check, PageLevel::exact, PageLevel::exact), output);
  EXPECT_GT(error.attention_output, 0.03);
  EXPECT_LT(error.attention_tv, 1e-5);
}

TEST(AttentionScene, ReadsAreSharpFlatAndNeedlesInTurns) {
  const AttentionScene scene = make_scene(2000, 1, 1, 64, 6, 3);
  ASSERT_EQ(scene.reads.size(), 6U);
  for (std::size_t i = 0; i < scene.reads.size(); ++i) EXPECT_EQ(scene.reads[i].focus, focuses[i % 3]);
}

}  // namespace
}  // namespace mpp::examples
