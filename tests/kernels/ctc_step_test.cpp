#include "kernels/ctc_scene.hpp"

#include "kernels/kernel_test.hpp"
#include "reference/ctc_step_reference.hpp"

namespace mpp::kernels {
namespace {

/// Empty when a search found what the reference finds, otherwise the first difference.
std::string difference(const CtcFound& found, const CtcScene& scene) {
  reference::CtcPrefixSearch expected;
  for (std::size_t t = 0; t < scene.frames(); ++t) {
    const long double after =
        scene.after.empty() ? 0.0L
                            : std::ldexp(static_cast<long double>(scene.after[t].mantissa), scene.after[t].exponent);
    expected.step(scene.row(t), scene.blank, scene.cap, after);
  }
  if (found.progress.exponent != expected.exponent) return text("exponent ", found.progress.exponent);
  if (found.live.size() != expected.order.size()) return text(found.live.size(), " live");
  for (std::size_t i = 0; i < found.live.size(); ++i) {
    if (found.labels(found.live[i].node) != expected.order[i]) return text("another prefix in place ", i);
    const auto mass = expected.live.at(expected.order[i]);
    if (found.live[i].blank_mass != mass.blank || found.live[i].label_mass != mass.label)
      return text("another mass in place ", i);
  }
  if (found.nodes.size() != expected.number.size()) return text(found.nodes.size(), " nodes");
  // Charges are sums of at most 2 frames terms, each sum rounded up to a float: 2^-23 of itself.
  const long double slack = 1.0L + static_cast<long double>(2 * scene.frames() + 2) * 0x1p-23L;
  const auto off = [&](double value, long double truth, long double grain) {
    return value < static_cast<double>(truth * (1.0L - 0x1p-50L)) || value > static_cast<double>(truth * slack + grain);
  };
  // Counted in units of 2^-52 per candidate and 2^-40 per token, with what comes after it at most once more.
  const auto frames = static_cast<long double>(scene.frames());
  const long double units = frames * static_cast<long double>(scene.cap * scene.tokens) * 0x1p-50L;
  if (off(found.progress.dropped, expected.dropped, (1.0L + expected.dropped) * (units + frames * 0x1p-30L)))
    return text("dropped is ", found.progress.dropped, ", expected ", static_cast<double>(expected.dropped));
  for (std::uint32_t n = 0; n < found.charges.size(); ++n) {
    const auto labels = found.labels(n);
    if (expected.number.at(labels) != n) return text("node ", n, " is another prefix");
    const auto& books = expected.books.at(labels);
    const auto unit = [&](float x) { return std::scalbn(static_cast<double>(x), scene.unit); };
    if (off(unit(found.charges[n].own), books.own, 1e-44L) || off(unit(found.charges[n].below), books.below, 1e-44L))
      return text("charges of node ", n, " are ", unit(found.charges[n].own) / static_cast<double>(books.own) - 1.0,
                  ", ", unit(found.charges[n].below) / static_cast<double>(books.below) - 1.0, " too large");
  }
  return "";
}

constexpr Shape shapes[] = {Shape::smooth, Shape::peaked, Shape::tied, Shape::gaps};

std::vector<CtcScene> small_scenes() {
  std::mt19937_64 random(11);
  std::vector<CtcScene> scenes;
  for (int i = 0; i < 600; ++i) {
    const std::size_t cap = random() % 2 == 0 ? 1 + random() % 4 : 1 + random() % 20;
    scenes.push_back(random_ctc_scene(random, shapes[i % 4], 1 + random() % 8, 1 + random() % 5, cap));
    if (random() % 2 == 0) charge_by_mass(scenes.back());
  }
  return scenes;
}

CtcScene long_scene(Shape shape, std::size_t frames, std::size_t cap, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  CtcScene s = random_ctc_scene(random, shape, frames, 29, cap);
  charge_by_mass(s);
  return s;
}

class CtcStepTest : public KernelTest {};
MPP_ON_ALL_DEVICES(CtcStepTest);

TEST_P(CtcStepTest, FindsWhatTheReferenceFinds) {
  for (const CtcScene& s : small_scenes()) EXPECT_EQ(difference(run_ctc(context(), s), s), "");
}

TEST_P(CtcStepTest, FindsWhatTheReferenceFindsInLongUtterancesAtEveryCap) {
  for (const Shape shape : shapes)
    for (const std::size_t cap : {1, 2, 16, 17, 128}) {
      const CtcScene s = long_scene(shape, cap == 128 ? 10 : 40, cap, cap);
      EXPECT_EQ(difference(run_ctc(context(), s), s), "") << "cap " << cap;
    }
}

TEST_P(CtcStepTest, AllDevicesGiveTheSameBits) {
  std::vector<CtcScene> scenes;
  for (const std::size_t cap : {1, 2, 16, 17, 128})
    for (const Shape shape : shapes) {
      scenes.push_back(long_scene(shape, 371, cap, 100 + cap));
      scenes.back().blank = 0;
      if (cap % 2 == 0) scenes.back().after.clear();
    }
  EXPECT_EQ(run_ctc(context(), scenes),
            run_ctc(Context{}, scenes));  // a batch of unequal caps, with and without charges
}

TEST_P(CtcStepTest, AllEqualMassesAreDecidedByNodeAndLabel) {
  CtcScene s{
      .tokens = 7, .blank = 3, .cap = 5, .capacity = 64, .log_probs = std::vector<float>(7 * 9, std::log(1.0F / 7))};
  charge_by_mass(s);
  EXPECT_EQ(difference(run_ctc(context(), s), s), "");
}

TEST_P(CtcStepTest, ASingleTokenIsTheBlank) {
  const CtcScene s{.tokens = 1, .cap = 3, .capacity = 1, .log_probs = {0.0F, 0.0F}};
  const CtcFound found = run_ctc(context(), s);
  EXPECT_EQ(found.live, (std::vector<CtcHypothesis>{{1.0F, 0.0F, 0}}));
  EXPECT_EQ(found.progress, (CtcProgress{.dropped = 0.0, .frames = 2, .live = 1, .nodes = 1}));
}

TEST_P(CtcStepTest, NoFramesLeaveTheEmptyPrefix) {
  const CtcScene s{.tokens = 4, .cap = 2, .capacity = 1};
  const CtcFound found = run_ctc(context(), s);
  EXPECT_EQ(found.live, (std::vector<CtcHypothesis>{{1.0F, 0.0F, 0}}));
  std::vector<CtcProgress> none;
  ctc_step(context(), 4, 0, {}, none);
}

TEST_P(CtcStepTest, PiecesGiveTheSearchOfTheWhole) {
  for (const Shape shape : shapes) {
    const CtcScene s = long_scene(shape, 60, 6, 5);
    const CtcFound whole = run_ctc(context(), s);
    CtcSession session(context(), s);
    std::vector<CtcProgress> progress(1);
    for (std::size_t first = 0, length = 1; first < s.frames(); first += length, length = length % 7 + 1) {
      const CtcUtterance view = session.view(first, std::min(first + length, s.frames()));
      ctc_step(context(), s.tokens, s.blank, std::span(&view, 1), progress);
    }
    EXPECT_EQ(session.found(progress.front()), whole);
  }
}

TEST_P(CtcStepTest, PrefixesForWhichTheArenaHasNoRoomAreDroppedAndCounted) {
  for (const std::size_t capacity : {1, 2, 5, 30}) {
    CtcScene s = long_scene(Shape::smooth, 30, 8, 21);
    s.capacity = capacity;
    const CtcFound found = run_ctc(context(), s);
    EXPECT_LE(found.nodes.size(), capacity);
    double mass = found.progress.dropped, total = 1.0;
    for (const CtcHypothesis& h : found.live) mass += double{h.blank_mass} + double{h.label_mass};
    for (std::size_t t = 0; t < s.frames(); ++t) {
      double sum = 0.0;
      for (const float x : s.row(t)) sum += std::exp(static_cast<double>(x));
      total *= sum;
    }
    // Kept and dropped mass are the mass of all paths; each frame rounds to float once.
    EXPECT_NEAR(std::scalbn(mass, static_cast<int>(found.progress.exponent)) / total, 1.0, 32 * 0x1p-24);
  }
}

TEST_P(CtcStepTest, MassThatLeavesTheDoublesIsInfinitelyDropped) {
  // The beam of one follows the blank, at 1/4 of what there is, for 600 frames: the rest is 4^600 times as much.
  CtcScene s{.tokens = 4, .blank = 0, .cap = 1, .capacity = 1};
  s.log_probs.assign(4 * 600, std::log(0.25F));
  const CtcFound found = run_ctc(context(), s);
  EXPECT_EQ(found.progress.dropped, std::numeric_limits<double>::infinity());
  EXPECT_NEAR(static_cast<double>(found.progress.exponent), -1200.0, 1.0);
  EXPECT_EQ(ctc_mass_gap(found.progress, found.live), std::numeric_limits<double>::infinity());
}

TEST_P(CtcStepTest, RefusesRowsThatAreNoDistributions) {
  const auto message = [](CtcScene s) { return message_of<ValueError>([&] { run_ctc(context(), s); }); };
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float half = std::log(0.5F);
  CtcScene s{.tokens = 2, .blank = 0, .cap = 2, .capacity = 9, .log_probs = {half, half, half, half, half, half}};
  EXPECT_EQ(message(s), "no error");
  s.log_probs[3] = nan;
  EXPECT_EQ(message(s), "ctc_step: utterances[0], frame 1, token 1 is NaN, expected a logarithm or -infinity");
  s.log_probs[3] = -inf;
  EXPECT_EQ(message(s), "ctc_step: utterances[0], frame 1: the probabilities sum to 0.5, expected 1 within 0.001");
  s.log_probs[2] = -inf;
  EXPECT_EQ(message(s), "ctc_step: utterances[0], frame 1: the probabilities sum to 0, expected 1 within 0.001");
  s.log_probs[2] = inf;
  EXPECT_EQ(message(s), "ctc_step: utterances[0], frame 1: the probabilities sum to inf, expected 1 within 0.001");
  s.log_probs[2] = std::log(1.1F);
  EXPECT_EQ(message(s), "ctc_step: utterances[0], frame 1: the probabilities sum to 1.1, expected 1 within 0.001");
}

TEST_P(CtcStepTest, NamesWhatDoesNotFit) {
  const CtcScene s{.tokens = 2,
                   .cap = 2,
                   .capacity = 9,
                   .log_probs = std::vector<float>(6, std::log(0.5F)),
                   .after = std::vector<CtcBound>(3, {1.0F, 0})};
  CtcSession session(context(), s);
  const auto message = [&](auto change, std::size_t tokens = 2) {
    CtcUtterance view = session.view();
    CtcProgress progress;
    change(view, progress);
    return message_of<ShapeError>(
        [&] { ctc_step(context(), tokens, 0, std::span(&view, 1), std::span(&progress, 1)); });
  };
  const auto nothing = [](CtcUtterance&, CtcProgress&) {};
  EXPECT_EQ(message(nothing), "no error");
  EXPECT_EQ(message(nothing, 0), "ctc_step: tokens is 0, expected at least 1 and at most 1048576");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.live = {}; }),
            "ctc_step: cap is 0 (utterances[0].live), expected at least 1 and at most 128");
  std::vector<CtcHypothesis> wide(129);
  EXPECT_EQ(message([&](CtcUtterance& v, CtcProgress&) { v.live = wide; }),
            "ctc_step: cap is 129 (utterances[0].live), expected at least 1 and at most 128");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.log_probs = v.log_probs.first(5); }),
            "ctc_step: utterances[0].log_probs has 5 values, expected a multiple of 2 tokens");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.nodes = {}; }),
            "ctc_step: utterances[0].nodes has 0 values, expected at least 1 and at most 2147483647");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.scratch = v.scratch.first(7); }),
            "ctc_step: utterances[0].scratch has 7 values, expected at least 8");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.after = v.after.first(2); }),
            "ctc_step: utterances[0].after has 2 values, expected 3 (frames)");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.charges = {}; }),
            "ctc_step: utterances[0].after has 3 values, expected none without charges");
  EXPECT_EQ(message([](CtcUtterance& v, CtcProgress&) { v.charges = v.charges.first(4); }),
            "ctc_step: utterances[0].charges has 4 values, expected 9 (nodes) or none");
  EXPECT_EQ(message([](CtcUtterance&, CtcProgress& p) { p.live = 3; }),
            "ctc_step: progress[0] has 3 live, 0 nodes, expected at most 2 and 9");
  EXPECT_EQ(message([](CtcUtterance&, CtcProgress& p) { p.frames = ~0U - 3; }),
            "ctc_step: utterances[0] has 3 frames after 4294967292, expected less than 2^32 in all");
  CtcProgress progress[2];
  const CtcUtterance view = session.view();
  EXPECT_EQ(message_of<ShapeError>([&] { ctc_step(context(), 2, 0, std::span(&view, 1), progress); }),
            "ctc_step: progress has 2 values, expected 1 (utterances)");
  EXPECT_EQ(message_of<ValueError>([&] { ctc_step(context(), 2, 2, std::span(&view, 1), std::span(progress, 1)); }),
            "ctc_step: blank is 2, expected below tokens = 2");
  progress[0].dropped = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(message_of<ValueError>([&] { ctc_step(context(), 2, 0, std::span(&view, 1), std::span(progress, 1)); }),
            "ctc_step: progress[0].dropped is nan, expected at least 0");
}

// Broken twins: the comparison with the reference notices each of them.
template <class Policy>
std::size_t differences() {
  std::size_t count = 0;
  for (const CtcScene& s : small_scenes()) count += difference(run_ctc_with<Policy>(s), s).empty() ? 0 : 1;
  return count;
}
struct NeverMerges : ctc::Rules {
  static constexpr bool merges = false;
};
struct PrefersTheLast : ctc::Rules {
  static std::uint32_t preference(std::uint32_t order) { return order; }
};
struct CountsNothing : ctc::Rules {
  static std::uint64_t count(std::uint64_t) { return 0; }
};
struct ChargesLess : ctc::Rules {
  static double charge(double mass) { return 0.99 * mass; }
};

TEST(CtcStep, TheComparisonAboveCatchesBrokenTwins) {
  EXPECT_EQ(differences<ctc::Rules>(), 0U);
  EXPECT_GT(differences<NeverMerges>(), 100U);
  EXPECT_GT(differences<PrefersTheLast>(), 50U);
  EXPECT_GT(differences<CountsNothing>(), 100U);
  EXPECT_GT(differences<ChargesLess>(), 50U);
}

}  // namespace
}  // namespace mpp::kernels
