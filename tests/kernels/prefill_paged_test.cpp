#include <mpp/kernels/prefill_paged.hpp>

#include "kernels/attend_scene.hpp"
#include "support/message_of.hpp"

namespace mpp::kernels {
namespace {

// A sequence of `kv_len` exact tokens and queries of its last `tokens` ones.
struct Prompt {
  AttendShape shape;
  std::vector<ExactPage> exact;
  std::vector<DevicePage> pages;
  std::vector<float> queries;
  std::size_t tokens;

  Prompt(KvType type, std::size_t head_dim, std::size_t group, std::size_t kv_len, std::size_t query_tokens)
      : shape{head_dim, group, type, 0.2F}, queries(gaussian(query_tokens * group * head_dim, 3)),
        tokens(query_tokens) {
    const Family family = families()[0];
    for (std::size_t at = 0; at < kv_len; at += page_tokens) {
      exact.push_back(exact_page(type, head_dim, static_cast<unsigned>(at + 1), family.sample, family.sample,
                                 std::min(page_tokens, kv_len - at)));
      pages.emplace_back(Context{}, exact.back(), 1, false);
    }
  }
  [[nodiscard]] std::vector<KvPage> views() const {
    std::vector<KvPage> views;
    for (const DevicePage& page : pages) views.push_back(page.view(PageLevel::exact, PageLevel::exact));
    return views;
  }
  [[nodiscard]] std::vector<float> run(const std::vector<KvPage>& table) const {
    std::vector<float> output(queries.size());
    std::vector<float> scratch(prefill_scratch_floats(shape));
    const PrefillRead read{table.data(), table.size(), tokens, queries.data(), output.data()};
    prefill_paged(Context{}, shape, std::array{read}, scratch);
    return output;
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

TEST(PrefillPaged, IsCausalAttentionForEveryShape) {
  for (const KvType type : {KvType::float16, KvType::bfloat16})
    for (const std::size_t head_dim : {32U, 64U, 128U, 256U})
      for (const std::size_t group : {1U, 3U, 8U, 16U})
        for (const auto& [kv_len, tokens] :
             {std::pair{1U, 1U}, {64U, 64U}, {65U, 65U}, {200U, 200U}, {200U, 1U}, {150U, 70U}}) {
          const Prompt prompt(type, head_dim, group, kv_len, tokens);
          EXPECT_LE(worst_error(prompt, prompt.run(prompt.views())), tolerance(prompt))
              << head_dim << " " << group << " " << kv_len << " " << tokens;
        }
}

TEST(PrefillPaged, TheTestAboveCatchesALookAtTheNextToken) {
  const Prompt prompt(KvType::float16, 64, 2, 150, 70);
  EXPECT_GT(worst_error(prompt, prompt.run(prompt.views()), 1), 100.0 * tolerance(prompt));
}

testing::AssertionResult says(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << message << "\" does not say \"" << part << '"';
}

TEST(PrefillPaged, SaysWhatItRefuses) {
  const Prompt prompt(KvType::float16, 64, 2, 150, 70);
  std::vector<float> scratch(prefill_scratch_floats(prompt.shape)), output(prompt.queries.size());
  std::vector<KvPage> table = prompt.views();
  const PrefillRead good{table.data(), table.size(), prompt.tokens, prompt.queries.data(), output.data()};
  const auto refused = [&](PrefillRead read, AttendShape shape) {
    return message_of<std::exception>([&] { prefill_paged(Context{}, shape, std::array{read}, scratch); });
  };
  EXPECT_EQ(refused(good, prompt.shape), "no error");
  PrefillRead read = good;
  read.tokens = 151;
  EXPECT_TRUE(says(refused(read, prompt.shape), "tokens is 151, expected 1 to the 150"));
  read = good;
  read.output = nullptr;
  EXPECT_TRUE(says(refused(read, prompt.shape), "null array"));
  std::vector<float> queries = prompt.queries;
  queries[5 * 2 * 64 + 64 + 3] = std::numeric_limits<float>::quiet_NaN();
  read = good;
  read.queries = queries.data();
  EXPECT_TRUE(says(refused(read, prompt.shape), "token 5, head 1, channel 3 is nan"));
  AttendShape shape = prompt.shape;
  shape.scale = 0.0F;
  EXPECT_TRUE(says(refused(good, shape), "scale is 0"));
  table[0].generation = 7;
  EXPECT_TRUE(says(refused(good, prompt.shape), "page 0 is of generation 1, expected 7"));
  table[0].generation = 1;
  table[1].value_level = PageLevel::bits4;
  EXPECT_TRUE(says(refused(good, prompt.shape), "page 1 is not exact"));
  scratch.pop_back();
  table[1].value_level = PageLevel::exact;
  EXPECT_TRUE(says(refused(good, prompt.shape), "scratch has"));
}

}  // namespace
}  // namespace mpp::kernels
