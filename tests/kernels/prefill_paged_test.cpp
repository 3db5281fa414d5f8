#include <mpp/kernels/prefill_paged.hpp>

#include "kernels/attend_scene.hpp"
#include "support/message_of.hpp"

namespace mpp::kernels {
namespace {

class PrefillPagedTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped()) return;
    const AttendShape shape{32, 1, KvType::float16, 1.0F};
    DeviceArray<float> scratch(context(), prefill_scratch_floats(GetParam(), shape));
    try {
      prefill_paged(context(), shape, {}, scratch.span());
    } catch (const BackendUnavailable& missing) {
      GTEST_SKIP() << missing.what();
    }
  }
};
MPP_ON_ALL_DEVICES(PrefillPagedTest);

// A sequence of `kv_len` exact tokens and queries of its last `tokens` ones.
struct Prompt {
  Context context;
  AttendShape shape;
  std::vector<ExactPage> exact;
  std::vector<DevicePage> pages;
  std::vector<float> queries;
  std::size_t tokens;

  Prompt(const Context& on, KvType type, std::size_t head_dim, std::size_t group, std::size_t kv_len,
         std::size_t query_tokens)
      : context(on), shape{head_dim, group, type, 0.2F}, queries(gaussian(query_tokens * group * head_dim, 3)),
        tokens(query_tokens) {
    const Family family = families()[0];
    for (std::size_t at = 0; at < kv_len; at += page_tokens) {
      exact.push_back(exact_page(type, head_dim, static_cast<unsigned>(at + 1), family.sample, family.sample,
                                 std::min(page_tokens, kv_len - at)));
      pages.emplace_back(context, exact.back(), 1, false);
    }
  }
  [[nodiscard]] std::vector<KvPage> views() const {
    std::vector<KvPage> views;
    for (const DevicePage& page : pages) views.push_back(page.view(PageLevel::exact, PageLevel::exact));
    return views;
  }
  [[nodiscard]] std::vector<float> run() const {
    const std::vector<KvPage> host_table = views();
    const DeviceArray<KvPage> table(context, std::span<const KvPage>(host_table));
    const DeviceArray<float> asked(context, std::span<const float>(queries));
    const std::vector<float> rubbish(queries.size(), std::numeric_limits<float>::quiet_NaN());
    DeviceArray<float> output(context, std::span<const float>(rubbish));
    DeviceArray<float> scratch(context, prefill_scratch_floats(context.device, shape));
    const PrefillRead read{table.span().data(), table.size(), tokens, asked.span().data(), output.span().data()};
    prefill_paged(context, shape, std::array{read}, scratch.span());
    return output.to_host();
  }
};

// Largest error of `output` in units of float's rounding of the largest value: sums of head_dim and of kv_len terms, and an
// exponential whose argument has the rounding of a logit.
double worst_error(const Prompt& prompt, const std::vector<float>& output, std::size_t one_token_more = 0) {
  reference::Rows keys, values;
  for (const ExactPage& page : prompt.exact) {
    const reference::Rows k = doubles(page.key_rows());
    const reference::Rows v = doubles(page.value_rows());
    keys.insert(keys.end(), k.begin(), k.end());
    values.insert(values.end(), v.begin(), v.end());
  }
  const std::size_t dims = prompt.shape.head_dim, kv_len = keys.size() / dims;
  double worst = 0.0;
  for (std::size_t row = 0; row < prompt.tokens * prompt.shape.group; ++row) {
    const std::size_t seen = std::min(kv_len, kv_len - prompt.tokens + row / prompt.shape.group + 1 + one_token_more);
    const auto logits = reference::logits(std::span(prompt.queries).subspan(row * dims, dims),
                                          static_cast<double>(prompt.shape.scale), keys);
    const double most = *std::max_element(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(seen));
    std::vector<double> sum(dims);
    double total = 0.0;
    for (std::size_t i = 0; i < seen; ++i) {
      const double weight = std::exp(logits[i] - most);
      total += weight;
      for (std::size_t j = 0; j < dims; ++j) sum[j] += weight * values[i * dims + j];
    }
    for (std::size_t j = 0; j < dims; ++j)
      worst = std::max(worst, std::fabs(sum[j] / total - static_cast<double>(output[row * dims + j])));
  }
  return worst;
}
// 2 * (head_dim + 8) roundings of terms of at most 1 in a logit, kv_len of the sums, values up to 5.
double tolerance(const Prompt& prompt) {
  const double kv_len = static_cast<double>(prompt.exact.size() * page_tokens);
  return 5.0 * (2.0 * static_cast<double>(prompt.shape.head_dim + 8) + kv_len) * 0x1p-24;
}

TEST_P(PrefillPagedTest, IsCausalAttentionForEveryShape) {
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : {32U, 64U, 128U, 256U})
      for (const std::size_t group : {1U, 3U, 8U, 16U})
        for (const auto& [kv_len, tokens] :
             {std::pair{1U, 1U}, {64U, 64U}, {65U, 65U}, {200U, 200U}, {200U, 1U}, {150U, 70U}}) {
          const Prompt prompt(context(), type, head_dim, group, kv_len, tokens);
          EXPECT_LE(worst_error(prompt, prompt.run()), tolerance(prompt))
              << head_dim << " " << group << " " << kv_len << " " << tokens;
        }
}

TEST_P(PrefillPagedTest, IsCausalAttentionBeyondOneTile) {
  // On CUDA a tile has 512 tokens, and 8192 rows: of 546 tokens for a group of 15.
  for (const auto& [group, kv_len, tokens] :
       {std::tuple{1U, 512U, 512U}, {1U, 513U, 513U}, {2U, 1100U, 1U}, {2U, 1100U, 600U}, {15U, 640U, 600U}}) {
    const Prompt prompt(context(), KvType::float16, 32, group, kv_len, tokens);
    EXPECT_LE(worst_error(prompt, prompt.run()), tolerance(prompt)) << group << " " << kv_len << " " << tokens;
  }
}

TEST_P(PrefillPagedTest, EveryReadOfACallIsAnswered) {
  // The same as alone, to the last bit: what a read works in is left over from the one before it.
  const Prompt large(context(), KvType::bfloat16, 64, 3, 600, 550), small(context(), KvType::bfloat16, 64, 3, 70, 5);
  std::vector<DeviceArray<KvPage>> tables;
  std::vector<DeviceArray<float>> queries, outputs;
  std::vector<PrefillRead> reads;
  for (const Prompt* prompt : {&large, &small, &large}) {
    tables.emplace_back(context(), std::span<const KvPage>(prompt->views()));
    queries.push_back(upload(prompt->queries));
    outputs.emplace_back(context(), prompt->queries.size());
    reads.push_back({tables.back().span().data(), tables.back().size(), prompt->tokens, queries.back().span().data(),
                     outputs.back().span().data()});
  }
  DeviceArray<float> scratch(context(), prefill_scratch_floats(GetParam(), large.shape));
  prefill_paged(context(), large.shape, reads, scratch.span());
  EXPECT_EQ(outputs[0].to_host(), large.run());
  EXPECT_EQ(outputs[1].to_host(), small.run());
  EXPECT_EQ(outputs[2].to_host(), large.run());
}

TEST_P(PrefillPagedTest, TheTestsAboveCatchALookAtTheNextToken) {
  for (const auto& [kv_len, tokens] : {std::pair{150U, 70U}, {600U, 550U}}) {
    const Prompt prompt(context(), KvType::float16, 64, 2, kv_len, tokens);
    EXPECT_GT(worst_error(prompt, prompt.run(), 1), 100.0 * tolerance(prompt));
  }
}

TEST_P(PrefillPagedTest, ALogitThatIsNoNumberMakesTheOutputOfItsRowNone) {
  // A sum of keys near the end of bfloat16 is infinite in any order: token 5 sees it, token 4 does not.
  const auto key = [](std::mt19937_64&, std::size_t i, std::size_t) { return i == 5 ? 3e38 : 0.0; };
  const auto value = [](std::mt19937_64&, std::size_t, std::size_t) { return 1.0; };
  Prompt prompt(context(), KvType::bfloat16, 32, 1, 8, 8);
  prompt.shape.scale = 1.0F;
  prompt.queries.assign(prompt.queries.size(), 1.0F);
  prompt.exact[0] = exact_page(KvType::bfloat16, 32, 1, key, value, 8);
  prompt.pages.clear();
  prompt.pages.emplace_back(context(), prompt.exact[0], 1, false);
  const std::vector<float> output = prompt.run();
  EXPECT_EQ(output[4 * 32], 1.0F);
  EXPECT_TRUE(std::isnan(output[5 * 32]) && std::isnan(output[7 * 32 + 31]));
}

testing::AssertionResult says(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << message << "\" does not say \"" << part << '"';
}

TEST_P(PrefillPagedTest, SaysWhatItRefuses) {
  const Prompt prompt(context(), KvType::float16, 64, 2, 150, 70);
  const auto refused = [&](const auto& change) {
    std::vector<KvPage> pages = prompt.views();
    std::vector<float> queries = prompt.queries;
    AttendShape shape = prompt.shape;
    std::size_t tokens = prompt.tokens, floats = prefill_scratch_floats(GetParam(), shape);
    change(pages, queries, shape, tokens, floats);
    const DeviceArray<KvPage> table = upload(pages);
    const DeviceArray<float> asked = upload(queries);
    DeviceArray<float> output(context(), prompt.queries.size()), scratch(context(), floats);
    const PrefillRead read{table.span().data(), table.size(), tokens, asked.span().data(), output.span().data()};
    return message_of<std::exception>([&] { prefill_paged(context(), shape, std::array{read}, scratch.span()); });
  };
  using Pages = std::vector<KvPage>&;
  using Queries = std::vector<float>&;
  EXPECT_EQ(refused([](auto&&...) {}), "no error");
  EXPECT_TRUE(says(refused([](Pages, Queries, AttendShape&, std::size_t& tokens, auto&) { tokens = 151; }),
                   "tokens is 151, expected 1 to the 150"));
  EXPECT_TRUE(says(refused([](Pages, Queries, AttendShape&, std::size_t& tokens, auto&) { tokens = 0; }),
                   "tokens is 0, expected 1 to the 150"));
  EXPECT_TRUE(says(refused([](Pages, Queries queries, auto&&...) { queries.clear(); }), "null array"));
  EXPECT_TRUE(says(refused([](Pages, Queries queries, auto&&...) {
                     queries[5 * 2 * 64 + 64 + 3] = std::numeric_limits<float>::quiet_NaN();
                     queries[60 * 2 * 64] = std::numeric_limits<float>::infinity();
                   }),
                   "token 5, head 1, channel 3 is nan"));
  EXPECT_TRUE(says(refused([](Pages, Queries, AttendShape& shape, auto&&...) { shape.scale = 0.0F; }), "scale is 0"));
  EXPECT_TRUE(
      says(refused([](Pages pages, auto&&...) { pages[0].generation = 7; }), "page 0 is of generation 1, expected 7"));
  EXPECT_TRUE(
      says(refused([](Pages pages, auto&&...) { pages[1].value_level = PageLevel::bits4; }), "page 1 is not exact"));
  EXPECT_TRUE(says(refused([](Pages pages, auto&&...) { pages[1].tokens = 63; }), "page 1 is not exact, or not full"));
  EXPECT_TRUE(
      says(refused([](Pages pages, auto&&...) { pages[2].tokens = 23; }), "page 2 has 22 tokens, its view expects 23"));
  EXPECT_TRUE(says(refused([](Pages pages, auto&&...) { pages[2].metadata = nullptr; }), "page 2 is not exact"));
  EXPECT_TRUE(says(refused([](Pages, Queries, AttendShape&, auto&, std::size_t& floats) { --floats; }), "scratch has"));
}

}  // namespace
}  // namespace mpp::kernels
