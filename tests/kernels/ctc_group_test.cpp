// The parts of the CTC search by themselves, and the search by groups other than those of the back ends: whoever does what,
// and in which order, must not be seen. What holds for threads here is what CUDA needs of the threads of a block; built
// with -fsanitize=thread, this test finds a missing barrier.
#include <atomic>
#include <barrier>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "kernels/ctc_scene.hpp"

namespace mpp::kernels {
namespace {

/// One thread that does everything in another order each time.
class Shuffled {
 public:
  explicit Shuffled(std::uint64_t seed) : random_(seed) {}
  template <class F>
  void each(std::uint32_t n, F f) {
    for (const std::uint32_t i : order(n)) f(i);
  }
  template <class F>
  std::uint64_t total(std::uint32_t n, F f) {
    std::uint64_t sum = 0;
    for (const std::uint32_t i : order(n)) sum += f(i);
    return sum;
  }
  static std::uint32_t claim(std::uint32_t& counter) { return counter++; }
  static void raise(std::uint32_t& value, std::uint32_t to) { value = std::max(value, to); }

 private:
  std::vector<std::uint32_t> order(std::uint32_t n) {
    std::vector<std::uint32_t> all(n);
    for (std::uint32_t i = 0; i < n; ++i) all[i] = i;
    std::shuffle(all.begin(), all.end(), random_);
    return all;
  }
  std::mt19937_64 random_;
};

/// A thread of several, each with an object of its own, as on a GPU.
class Threads {
 public:
  struct Shared {
    explicit Shared(std::uint32_t count) : together(count), width(count) {}
    std::barrier<> together;
    std::uint32_t width;
    std::uint64_t sum = 0;
  };
  Threads(Shared& shared, std::uint32_t self) : shared_(shared), self_(self) {}

  template <class F>
  void each(std::uint32_t n, F f) {
    shared_.together.arrive_and_wait();
    for (std::uint32_t i = self_; i < n; i += shared_.width) f(i);
    shared_.together.arrive_and_wait();
  }
  template <class F>
  std::uint64_t total(std::uint32_t n, F f) {
    shared_.together.arrive_and_wait();
    if (self_ == 0) shared_.sum = 0;
    shared_.together.arrive_and_wait();
    std::uint64_t sum = 0;
    for (std::uint32_t i = self_; i < n; i += shared_.width) sum += f(i);
    std::atomic_ref(shared_.sum).fetch_add(sum);
    shared_.together.arrive_and_wait();
    return shared_.sum;
  }
  static std::uint32_t claim(std::uint32_t& counter) { return std::atomic_ref(counter).fetch_add(1); }
  static void raise(std::uint32_t& value, std::uint32_t to) {
    std::atomic_ref shared(value);
    for (std::uint32_t seen = shared.load(); seen < to && !shared.compare_exchange_weak(seen, to);) {
    }
  }

 private:
  Shared& shared_;
  std::uint32_t self_;
};

template <class Run>
CtcFound search_with(const CtcScene& scene, Run run) {
  CtcSession session(Context{}, scene);
  ctc::Work work = ctc::work_of(session.view(), {}, scene.tokens, scene.blank);
  ctc::Board<most_ctc_cap> board;
  run(board, work);
  return session.found(work.progress);
}

std::vector<CtcScene> scenes(std::size_t frames) {
  std::mt19937_64 random(31);
  std::vector<CtcScene> all;
  for (const Shape shape : {Shape::smooth, Shape::peaked, Shape::tied, Shape::gaps})
    for (const std::size_t cap : {1, 2, 7, 128}) {
      all.push_back(random_ctc_scene(random, shape, frames, 9, cap));
      charge_by_mass(all.back());
      if (cap == 7) all.back().capacity = 20;
    }
  return all;
}

TEST(CtcGroup, TheOrderInsideAPhaseCannotBeSeen) {
  for (const CtcScene& s : scenes(20)) {
    const CtcFound found = search_with(s, [&](auto& board, ctc::Work& work) {
      Shuffled group(s.cap);
      ctc::Search(group, board, work).run();
    });
    EXPECT_EQ(found, run_ctc(Context{}, s));
  }
}

TEST(CtcGroup, ThreadsFindWhatOneThreadFinds) {
  for (const CtcScene& s : scenes(6)) {
    const CtcFound found = search_with(s, [](auto& board, ctc::Work& work) {
      Threads::Shared shared(3);
      const auto member = [&](std::uint32_t self) {
        Threads group(shared, self);
        ctc::Search(group, board, work).run();
      };
      std::thread first(member, 1), second(member, 2);
      member(0);
      first.join();
      second.join();
    });
    EXPECT_EQ(found, run_ctc(Context{}, s));
  }
}

TEST(CtcSelect, KthLargestHasExactlyKKeysThatAreNotBelowIt) {
  std::mt19937_64 random(5);
  ctc::Board<1> board;
  ctc::Serial serial;
  for (int round = 0; round < 3000; ++round) {
    // Keys that differ in few bits, high or low ones, and gaps of 0 among them.
    const std::uint64_t mask = random() & random() << random() % 60;
    std::set<std::uint64_t, std::greater<>> different;
    for (std::size_t i = 0; i < 1 + random() % 200; ++i) different.insert((random() & mask) | (random() % 2 << 62));
    different.erase(0);
    if (different.empty()) continue;
    std::vector<std::uint64_t> keys(different.begin(), different.end());
    keys.resize(keys.size() + random() % 9, 0);
    std::shuffle(keys.begin(), keys.end(), random);
    const auto k = static_cast<std::uint32_t>(1 + random() % different.size());
    const std::uint64_t least =
        ctc::kth_largest(serial, board, keys.data(), static_cast<std::uint32_t>(keys.size()), k);
    ASSERT_EQ(std::count_if(keys.begin(), keys.end(), [&](std::uint64_t key) { return key >= least; }), k);
  }
}

TEST(CtcArithmetic, ProbabilityIsExpWithin2ToTheMinus52) {
  std::mt19937_64 random(6);
  std::uniform_real_distribution<float> uniform(-207.9F, 1.0F);
  for (int i = 0; i < 400'000; ++i) {
    const float x = i % 2 == 0 ? uniform(random) : -std::exp(uniform(random) / 40.0F);
    const long double truth = std::exp(static_cast<long double>(x));
    ASSERT_LE(std::abs(static_cast<long double>(ctc::probability_of(x)) - truth), truth * 0x1p-52L) << x;
  }
  EXPECT_EQ(ctc::probability_of(0.0F), 1.0);
  EXPECT_EQ(ctc::probability_of(-0.0F), 1.0);
  EXPECT_EQ(ctc::probability_of(-std::numeric_limits<float>::infinity()), 0.0);
  EXPECT_EQ(ctc::probability_of(std::numeric_limits<float>::lowest()), 0x1p-300);
  EXPECT_EQ(ctc::probability_of(-207.95F), 0x1p-300);
}

TEST(CtcArithmetic, RoundsUp) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const double x = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 160) - 160);
    const float above = ctc::float_above(x);
    ASSERT_GE(static_cast<double>(above), x);
    ASSERT_TRUE(above == 0.0F || static_cast<double>(std::nextafter(above, 0.0F)) < x ||
                static_cast<double>(above) == x);
    const double small = std::ldexp(x, -100);
    ASSERT_GE(static_cast<double>(ctc::units_above(small, ctc::mass_unit)), small / ctc::mass_unit);
    const auto a = static_cast<float>(std::ldexp(x, -60));
    ASSERT_GE(static_cast<long double>(ctc::add_up(a, x)), static_cast<long double>(a) + static_cast<long double>(x));
  }
  EXPECT_EQ(ctc::float_above(1e300), std::numeric_limits<float>::infinity());
  EXPECT_EQ(ctc::add_up(1.0F, std::numeric_limits<double>::infinity()), std::numeric_limits<float>::infinity());
  EXPECT_EQ(ctc::float_above(0.0), 0.0F);
  EXPECT_GT(ctc::float_above(1e-300), 0.0F);
}

TEST(CtcArithmetic, ABoundTimesAPowerOfTwoIsNeverTooSmall) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ctc::times_power({1.5F, 3}, -4), 0.75);
  EXPECT_EQ(ctc::times_power({2.0F, 900}, 0), std::ldexp(2.0, 900));
  EXPECT_EQ(ctc::times_power({1.0F, 900}, 1), infinity);
  EXPECT_EQ(ctc::times_power({1.0F, -2'000'000'000}, -(std::int64_t{1} << 40)), 0x1p-600);
  EXPECT_EQ(ctc::times_power({0.0F, 0}, std::int64_t{1} << 40), 0.0);
}

}  // namespace
}  // namespace mpp::kernels
