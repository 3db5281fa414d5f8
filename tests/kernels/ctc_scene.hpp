#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/kernels/ctc_step.hpp>
#include <mpp/kernels/device_array.hpp>

#include "src/ctc/search.hpp"
#include "src/ctc/serial.hpp"

namespace mpp::kernels {

/// One utterance to search.
struct CtcScene {
  std::size_t tokens = 1, blank = 0, cap = 1, capacity = 1;
  std::vector<float> log_probs{};  // [frames, tokens]
  std::vector<CtcBound> after{};   // [frames] or empty
  std::int32_t unit = 0;

  std::size_t frames() const { return log_probs.size() / tokens; }
  std::span<const float> row(std::size_t t) const { return std::span(log_probs).subspan(t * tokens, tokens); }
};

/// All that a search leaves behind.
struct CtcFound {
  CtcProgress progress;
  std::vector<CtcHypothesis> live;
  std::vector<CtcNode> nodes;
  std::vector<CtcCharges> charges;
  friend bool operator==(const CtcFound&, const CtcFound&) = default;

  std::vector<std::uint32_t> labels(std::uint32_t node) const {
    std::vector<std::uint32_t> y;
    for (; nodes[node].parent != no_ctc_node; node = nodes[node].parent) y.insert(y.begin(), nodes[node].label);
    return y;
  }
};

/// Rows scaled to sum to one.
inline void normalise(std::vector<float>& rows, std::size_t tokens) {
  for (std::size_t first = 0; first < rows.size(); first += tokens) {
    double sum = 0.0;
    for (std::size_t k = 0; k < tokens; ++k) sum += std::exp(static_cast<double>(rows[first + k]));
    for (std::size_t k = 0; k < tokens; ++k)
      rows[first + k] = static_cast<float>(static_cast<double>(rows[first + k]) - std::log(sum));
  }
}

enum class Shape { smooth, peaked, tied, gaps };

inline CtcScene random_ctc_scene(std::mt19937_64& random, Shape shape, std::size_t frames, std::size_t tokens,
                                 std::size_t cap) {
  CtcScene s{tokens, random() % tokens, cap, 1 + frames * cap, {}};
  std::normal_distribution<double> normal;
  for (std::size_t t = 0; t < frames; ++t) {
    const std::size_t peak = random() % 3 == 0 ? random() % tokens : s.blank;
    for (std::size_t k = 0; k < tokens; ++k) {
      float x = static_cast<float>((shape == Shape::peaked ? 2.0 : 1.0) * normal(random));
      if (shape == Shape::peaked && k == peak) x += 8.0F;
      if (shape == Shape::tied) x = -0.693147180559945F * static_cast<float>(random() % 3);
      if (shape == Shape::gaps && k != peak && random() % 3 == 0) x = -std::numeric_limits<float>::infinity();
      if (shape == Shape::gaps && k != peak && random() % 5 == 0) x = -static_cast<float>(random() % 300);
      s.log_probs.push_back(x);
    }
  }
  normalise(s.log_probs, tokens);
  return s;
}

/// The mass of all paths is a bound: with it every scene can be charged.
inline void charge_by_mass(CtcScene& s) {
  double total = 1.0;
  s.after.resize(s.frames());
  for (std::size_t t = s.frames(); t-- > 0;) {
    const int e = std::ilogb(total);
    s.after[t] = {ctc::float_above(std::scalbn(total, -e)), e};
    double sum = 0.0;
    for (const float x : s.row(t)) sum += std::exp(static_cast<double>(x));
    total *= sum * (1.0 + 0x1p-40);
  }
}

/// The state of one search in memory of a device.
class CtcSession {
 public:
  CtcSession(const Context& context, const CtcScene& scene)
      : scene_(scene), log_probs_(context, std::span<const float>(scene.log_probs)),
        after_(context, std::span<const CtcBound>(scene.after)), live_(context, scene.cap),
        nodes_(context, scene.capacity), charges_(context, scene.after.empty() ? 0 : scene.capacity),
        scratch_(context, ctc_scratch_words(scene.cap, scene.tokens)) {}

  /// For frames [first, last).
  CtcUtterance view(std::size_t first, std::size_t last) {
    return {.log_probs = log_probs_.span().subspan(first * scene_.tokens, (last - first) * scene_.tokens),
            .live = live_.span(),
            .nodes = nodes_.span(),
            .scratch = scratch_.span(),
            .after = scene_.after.empty() ? std::span<const CtcBound>() : after_.span().subspan(first, last - first),
            .charges = charges_.span(),
            .unit = scene_.unit};
  }
  CtcUtterance view() { return view(0, scene_.frames()); }

  CtcFound found(const CtcProgress& progress) const {
    CtcFound found{progress, live_.to_host(), nodes_.to_host(), charges_.to_host()};
    found.live.resize(progress.live);
    found.nodes.resize(progress.nodes);
    found.charges.resize(found.charges.empty() ? 0 : progress.nodes);
    return found;
  }

 private:
  const CtcScene& scene_;
  DeviceArray<float> log_probs_;
  DeviceArray<CtcBound> after_;
  DeviceArray<CtcHypothesis> live_;
  DeviceArray<CtcNode> nodes_;
  DeviceArray<CtcCharges> charges_;
  DeviceArray<std::uint64_t> scratch_;
};

/// Scenes with equal tokens and blank, in one call.
inline std::vector<CtcFound> run_ctc(const Context& context, const std::vector<CtcScene>& scenes) {
  std::vector<CtcSession> sessions;
  std::vector<CtcUtterance> views;
  sessions.reserve(scenes.size());
  for (const CtcScene& s : scenes) views.push_back(sessions.emplace_back(context, s).view());
  std::vector<CtcProgress> progress(scenes.size());
  ctc_step(context, scenes.front().tokens, scenes.front().blank, views, progress);
  std::vector<CtcFound> found;
  for (std::size_t i = 0; i < scenes.size(); ++i) found.push_back(sessions[i].found(progress[i]));
  return found;
}
inline CtcFound run_ctc(const Context& context, const CtcScene& scene) {
  return run_ctc(context, std::vector{scene}).front();
}

/// The same search with broken rules, on the host.
template <class Policy>
CtcFound run_ctc_with(const CtcScene& scene) {
  CtcSession session(Context{}, scene);
  ctc::Work work = ctc::work_of(session.view(), {}, scene.tokens, scene.blank);
  ctc::Board<most_ctc_cap> board;
  ctc::Serial serial;
  ctc::Search<ctc::Serial, most_ctc_cap, Policy>(serial, board, work).run();
  return session.found(work.progress);
}

}  // namespace mpp::kernels
