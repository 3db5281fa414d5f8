#pragma once
#include <mpp/kernels/attend_paged.hpp>

#include "kernels/kv_scene.hpp"
#include "reference/attend_promise.hpp"

namespace mpp::kernels {

using reference::AttendResult;
using reference::AttendScene;
using reference::ScenePage;

inline reference::Rows doubles(const StoredRows& rows) {
  reference::Rows values;
  for (const std::uint16_t bits : rows.bits) values.push_back(reference::stored_value(rows.type, bits));
  return values;
}

/// Levels of the keys and values of one page.
struct Levels {
  PageLevel key = PageLevel::exact, value = PageLevel::exact;
};
inline constexpr Levels k4v4{PageLevel::bits4, PageLevel::bits4}, k8v4{PageLevel::bits8, PageLevel::bits4},
    k8v8{PageLevel::bits8, PageLevel::bits8}, k12v8{PageLevel::bits12, PageLevel::bits8},
    k12v4{PageLevel::bits12, PageLevel::bits4}, exact_level{}, left_out{PageLevel::omitted, PageLevel::omitted};

/// Pages in the memory of a device, and the same for the oracle.
class AttendPages {
 public:
  AttendPages(const Context& context, KvType type, std::size_t head_dim) : context_(context) {
    scene.shape = {.head_dim = head_dim, .group = 1, .type = type, .scale = 1.0F};
  }

  void add(const ExactPage& exact, Levels levels) { add(exact, levels, exact.tokens() == page_tokens); }
  /// A page without codes, however many tokens it has.
  void add_open(const ExactPage& exact) { add(exact, exact_level, false); }
  void set_levels(std::size_t page, Levels levels) {
    scene.pages[page].key_level = levels.key;
    scene.pages[page].value_level = levels.value;
  }
  void set_queries(std::vector<float> queries, float scale) {
    scene.shape.group = queries.size() / scene.shape.head_dim;
    scene.shape.scale = scale;
    scene.queries = std::move(queries);
  }

  [[nodiscard]] std::vector<KvPage> views() const {
    std::vector<KvPage> views;
    for (std::size_t p = 0; p < pages_.size(); ++p)
      views.push_back(pages_[p].view(scene.pages[p].key_level, scene.pages[p].value_level));
    return views;
  }
  [[nodiscard]] AttendResult read() const { return read(views()); }
  [[nodiscard]] AttendResult read(const std::vector<KvPage>& views, bool with_statistics = true) const {
    const std::size_t count = views.size(), group = scene.shape.group, dims = scene.shape.head_dim;
    const DeviceArray<KvPage> table(context_, std::span<const KvPage>(views));
    const DeviceArray<float> queries(context_, std::span<const float>(scene.queries));
    DeviceArray<float> output(context_, group * dims), per_head[5], per_page[3];
    DeviceArray<double> log_sum_exp(context_, group);
    for (auto& array : per_head) array = DeviceArray<float>(context_, group * count);
    for (auto& array : per_page) array = DeviceArray<float>(context_, count);
    KvRead read{table.span().data(), count, queries.span().data(), output.span().data(), log_sum_exp.span().data(), {}};
    if (with_statistics)
      read.statistics = {per_head[0].span().data(), per_head[1].span().data(), per_head[2].span().data(),
                         per_head[3].span().data(), per_head[4].span().data(), per_page[0].span().data(),
                         per_page[1].span().data(), per_page[2].span().data()};
    attend_paged(context_, scene.shape, std::array{read});
    return {wide(output),      log_sum_exp.to_host(), wide(per_head[0]), wide(per_head[1]), wide(per_head[2]),
            wide(per_head[3]), wide(per_head[4]),     wide(per_page[0]), wide(per_page[1]), wide(per_page[2])};
  }

  AttendScene scene;

 private:
  void add(const ExactPage& exact, Levels levels, bool coded) {
    pages_.emplace_back(context_, exact, 1, coded);
    scene.pages.push_back({pages_.back().to_host(), exact.tokens(), levels.key, levels.value, doubles(exact.key_rows()),
                           doubles(exact.value_rows())});
  }
  static std::vector<double> wide(const DeviceArray<float>& values) {
    const std::vector<float> host = values.to_host();
    return {host.begin(), host.end()};
  }

  Context context_;
  std::vector<DevicePage> pages_;
};

/// Queries that are hard in different ways, [group][head_dim] of one kind.
struct QueryKind {
  const char* name;
  double size;  ///< of a coordinate
  float scale;  ///< of the logits
};
inline constexpr QueryKind query_kinds[] = {
    {"ordinary", 1.0, 0.1F}, {"flat", 1e-3, 0.01F}, {"sharp", 20.0, 0.125F}, {"huge scale", 1.0, 1e4F},
    {"zero", 0.0, 1.0F},     {"tiny", 1e-30, 1.0F}, {"tinier", 1e-33, 1.0F}, {"denormal", 1e-41, 1.0F}};
inline std::vector<float> queries_of(const QueryKind& kind, std::size_t group, std::size_t head_dim, unsigned seed) {
  std::vector<float> queries = gaussian(group * head_dim, seed);
  for (float& q : queries) q = static_cast<float>(kind.size * static_cast<double>(q));
  return queries;
}

/// Values that show the weights: token i of a page has the unit vector of channel i - first, or 0.
inline Sampler unit_values(std::size_t first) {
  return [first](std::mt19937_64&, std::size_t i, std::size_t j) { return i == first + j ? 1.0 : 0.0; };
}

/// What the errors of logits come to, against what is told of them.
struct ErrorRatios {
  double radius = 0.0;  ///< the largest |exact logit - logit as computed| of a token, over the radius
  double spread = 0.0;  ///< the root of the sum of squares of a page, over the spread

  void take(const ErrorRatios& other) {
    radius = std::max(radius, other.radius);
    spread = std::max(spread, other.spread);
  }
};

/// The largest ratios of one page that was read alone with unit_values(first): each coordinate of its output is the weight of
/// a token. Errors count without what the output may hide.
inline ErrorRatios worst_ratios(const AttendScene& scene, const AttendResult& result, std::size_t first) {
  const AttendRounding rounding = attend_rounding(1);
  const std::size_t dims = scene.shape.head_dim;
  constexpr double weight_grid = 0x1p-39;  // of the heaviest: a device may multiply values with weights of 40 bits
  const double hidden = 2.0 * (rounding.weight + rounding.mass + rounding.page_weight + 0x1p-23);
  const auto over = [](double error, double told) { return error == 0.0 ? 0.0 : told > 0.0 ? error / told : HUGE_VAL; };
  ErrorRatios worst;
  for (std::size_t head = 0; head < scene.shape.group; ++head) {
    const auto exact =
        reference::logits(scene.query(head), static_cast<double>(scene.shape.scale), scene.pages[0].exact_keys);
    double square = 0.0, largest = 0.0;
    for (std::size_t i = first; i < std::min(first + dims, scene.pages[0].tokens); ++i) {
      const double weight = result.output[head * dims + i - first];
      if (weight < 1e-30) continue;  // flushed
      // The error of the output is relative to the page, not to a token.
      const double logit = std::log(weight) + result.log_sum_exp[head];
      const double blur = hidden + weight_grid / (weight * result.mass[head]) +
                          rounding.log_sum_exp * std::max(1.0, std::fabs(result.log_sum_exp[head]));
      const double off = std::max(0.0, std::fabs(logit - exact[i]) - blur);
      largest = std::max(largest, off);
      square += off * off;
    }
    worst.take({over(largest, result.radius[head]), over(std::sqrt(square), result.spread[head])});
  }
  return worst;
}

/// A page and a query whose rounding to integers is as bad as it can be: one channel is large, every other one is a little
/// less than half a unit and points to where the codes of the last token are.
struct WorstRounding {
  ExactPage page;
  std::vector<float> query;
};
inline WorstRounding worst_rounding(std::size_t head_dim, std::size_t first) {
  WorstRounding made;
  made.page = exact_page(
      KvType::float16, head_dim, 4,
      [=](std::mt19937_64& random, std::size_t i, std::size_t j) {
        const bool end = i + 1 == page_tokens || (i + 2 == page_tokens && j != 0);
        return end ? 8.0 : i == j % 60 ? 0.0 : std::uniform_real_distribution<double>(0.0, 8.0)(random);
      },
      unit_values(first));
  made.query.assign(head_dim, static_cast<float>(0.499 / 32639.0));
  made.query[0] = 1.0F;
  return made;
}

}  // namespace mpp::kernels
