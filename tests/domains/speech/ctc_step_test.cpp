// The kernel ctc_step and BasicCtcSearch are one search: the same prefixes, masses, order and nodes, and charges that differ
// by rounding alone (the kernel charges what is dropped before it is rounded to a float).
#include <array>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>
#include <mpp/kernels/ctc_step.hpp>
#include <mpp/speech/ctc_search.hpp>
#include <mpp/speech/suffix_bound.hpp>

#include "domains/speech/ctc_scenes.hpp"
#include "support/shared_data.hpp"

namespace mpp::speech {
namespace {

using namespace mpp::test;

/// Empty when both find the same, otherwise the first difference.
std::string difference(const Emissions& e, std::size_t cap) {
  const std::size_t capacity = 1 + e.frames * cap + e.frames + 1;
  std::vector<Scaled> bounds(e.frames + 1);
  mass_bounds(e, bounds);
  const std::int32_t unit = bounds[0].exponent;
  CtcSearch search(std::pmr::new_delete_resource(), e.tokens, {.live_cap = cap, .node_capacity = capacity});
  FrameTokens frame(std::pmr::new_delete_resource(), e.tokens);
  search.start(no_index, unit);
  std::vector<kernels::CtcBound> after;
  for (std::size_t t = 0; t < e.frames; ++t) {
    frame.prepare(e.row(t), e.blank, 0.0);
    search.step(frame, bounds[t + 1]);
    after.push_back({bounds[t + 1].mantissa, bounds[t + 1].exponent});
  }

  std::vector<kernels::CtcHypothesis> live(cap);
  std::vector<kernels::CtcNode> nodes(capacity);
  std::vector<kernels::CtcCharges> charges(capacity);
  std::vector<std::uint64_t> scratch(kernels::ctc_scratch_words(cap, e.tokens));
  kernels::CtcProgress progress;
  const kernels::CtcUtterance utterance{e.log_probs, live, nodes, scratch, after, charges, unit};
  kernels::ctc_step({}, e.tokens, e.blank, std::span(&utterance, 1), std::span(&progress, 1));

  if (progress.exponent != search.exponent()) return text("exponent ", progress.exponent);
  if (progress.live != search.live().size()) return text(progress.live, " live");
  for (std::size_t i = 0; i < progress.live; ++i) {
    const Hypothesis& h = search.live()[i];
    if (live[i] != kernels::CtcHypothesis{h.blank_mass, h.label_mass, h.node}) return text("place ", i);
  }
  const auto& trie = search.trie();
  if (progress.nodes != trie.size()) return text(progress.nodes, " nodes");
  // Two charges a frame, each with the rounding of a float and a sum rounded up to one.
  const double slack = static_cast<double>(4 * e.frames + 4) * 0x1p-23;
  const auto near = [&](float a, float b) { return std::abs(a - b) <= slack * static_cast<double>(b) + 1e-44; };
  for (std::uint32_t n = 0; n < progress.nodes; ++n) {
    if (nodes[n].parent != trie.parent(n) || nodes[n].label != trie.label(n)) return text("node ", n);
    if (!near(charges[n].own, trie.own(n)) || !near(charges[n].below, trie.below(n)))
      return text("charges of node ", n, ": ", charges[n].own, ", ", charges[n].below, " and ", trie.own(n), ", ",
                  trie.below(n));
  }
  return "";
}

TEST(CtcStep, IsTheSearchOfThisDomain) {
  std::mt19937_64 random(17);
  for (int i = 0; i < 600; ++i) {
    const std::size_t frames = 1 + random() % 12, tokens = 1 + random() % 7;
    constexpr std::array sharpness{0.0, 0.3, 1.0, 3.0, 8.0, 100.0};
    const EmissionMatrix m = i % 2 == 0
                                 ? tied_emissions(random, frames, tokens)
                                 : random_emissions(random, frames, tokens, sharpness[random() % 6], i % 3 * 0.2);
    EXPECT_EQ(difference(m.view(random() % tokens), 1 + random() % 9), "") << "case " << i;
  }
}

TEST(CtcStep, IsTheSearchOfThisDomainOverManyFramesAtEveryCap) {
  std::mt19937_64 random(18);
  for (const double sharpness : {0.5, 2.0, 4.0})
    for (const std::size_t cap : {1, 2, 16, 128}) {
      const EmissionMatrix m = random_emissions(random, 150, 29, sharpness, 0.1);
      EXPECT_EQ(difference(m.view(3), cap), "") << "cap " << cap << ", sharpness " << sharpness;
    }
}

TEST(CtcStep, IsTheSearchOfThisDomainOnRealEmissions) {
  const auto path = shared_data("speech/libri_logits.json");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const EmissionMatrix m = log_softmax(read_emissions_json(path));
  for (const std::size_t cap : {2, 16, 128}) EXPECT_EQ(difference(m.view(m.tokens - 1), cap), "") << "cap " << cap;
}

}  // namespace
}  // namespace mpp::speech
