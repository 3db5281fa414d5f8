#pragma once
// Every certificate of a read against the read of the exact cache in double precision; and forms and codes that are wrong on
// purpose, which the same comparison has to catch.
#include <iostream>
#include <map>
#include <string>

#include "attention_oracle.hpp"
#include "attention_scenes.hpp"
#include "bench_json.hpp"

namespace mpp::bench {

/// What was seen of many reads.
struct ReadTally {
  std::size_t reads = 0, tv_violations = 0, output_violations = 0, radius_violations = 0, spread_violations = 0;
  double worst_tv = 0.0, worst_output = 0.0, worst_radius = 0.0, worst_spread = 0.0;  ///< truth over bound
  std::map<std::string, std::size_t> false_forms;                                     ///< violations of each

  [[nodiscard]] std::size_t violations() const {
    return tv_violations + output_violations + radius_violations + spread_violations;
  }
  void add(const ReadTally& other) {
    reads += other.reads;
    tv_violations += other.tv_violations;
    output_violations += other.output_violations;
    radius_violations += other.radius_violations;
    spread_violations += other.spread_violations;
    worst_tv = std::max(worst_tv, other.worst_tv);
    worst_output = std::max(worst_output, other.worst_output);
    worst_radius = std::max(worst_radius, other.worst_radius);
    worst_spread = std::max(worst_spread, other.worst_spread);
    for (const auto& [form, count] : other.false_forms) false_forms[form] += count;
  }
};

/// Forms of the certificate that look right and are not.
inline std::map<std::string, double> false_forms(const GroupRead& read, std::size_t head) {
  const kernels::CertificateSums& sums = read.sums(head);
  if (sums.omitted > 0.0) {
    kernels::CertificateSums without = sums;
    without.omitted = without.omitted_reach = 0.0;
    return {{"omitted_forgotten", llm::certify(without, read.output_norm(head)).attention_tv}};
  }
  double mean = 0.0, spread = 0.0, squared = 0.0;
  for (std::size_t p = 0; p < read.pages().size(); ++p) {
    const double c = read.radius(head, p);
    if (c < 0.0) continue;
    mean += read.share(head, p) * c;
    const double ratio = c > 0.0 ? read.mean_radius(head, p) / c : 1.0;
    squared += read.share(head, p) * ratio * ratio * std::expm1(c);
  }
  for (std::size_t p = 0; p < read.pages().size(); ++p)
    if (read.radius(head, p) >= 0.0) spread += read.share(head, p) * std::fabs(read.radius(head, p) - mean);
  std::map<std::string, double> forms;
  forms["averaged_radius"] = std::expm1(mean);
  forms["spread_of_radii"] = 0.5 * std::exp(2.0 * sums.radius) * (spread + mean * std::expm1(sums.radius));
  forms["squared_share_of_radius"] = squared;
  return forms;
}

class SoundnessCheck {
 public:
  ReadTally tally;

  /// One read of one head of a group.
  /// @param unit_values  values are exact unit vectors
  void check(const GroupRead& read, std::size_t head, const TrueErrors& truth, bool unit_values) {
    ++tally.reads;
    const llm::AttentionCertificate certificate = read.certificate(head);
    // What can be seen of the weights of the read: those of the decoded keys, blurred; and outputs of unit vectors.
    double tv = truth.tv - truth.tv_blur;
    if (unit_values) tv = std::max(tv, seen_tv(read, head, truth));
    judge(tv, certificate.attention_tv, tally.tv_violations, tally.worst_tv);
    judge(truth.output, certificate.output_error, tally.output_violations, tally.worst_output);
    tally.radius_violations += truth.off_radius > 1.0 ? 1 : 0;
    tally.worst_radius = std::max(tally.worst_radius, truth.off_radius);
    tally.spread_violations += truth.off_spread > 1.0 ? 1 : 0;
    tally.worst_spread = std::max(tally.worst_spread, truth.off_spread);
    for (const auto& [form, bound] : false_forms(read, head)) tally.false_forms[form] += tv > bound ? 1 : 0;
    const double without_values = certificate.output_error - read.sums(head).value_residual;
    tally.false_forms["values_taken_as_exact"] += truth.output > without_values ? 1 : 0;
    double per_mass = 0.0;  // the sum of a page's value errors has the root of its mass, not the mass
    for (std::size_t p = 0; p < read.pages().size(); ++p)
      if (read.radius(head, p) >= 0.0)
        per_mass +=
            read.heaviest(head, p) * std::min(read.value_spread(p), read.mass(head, p) * read.value_residual(p));
    tally.false_forms["value_spread_over_mass"] += truth.output > without_values + per_mass ? 1 : 0;
  }

 private:
  static double seen_tv(const GroupRead& read, std::size_t head, const TrueErrors& truth) {
    return 0.5 * truth.output_l1 -
           std::sqrt(static_cast<double>(read.shape().head_dim)) * read.sums(head).output_rounding;
  }
  static void judge(double truth, double bound, std::size_t& violations, double& worst) {
    if (!(truth <= bound)) ++violations;
    if (truth > 1e-9 && bound > 0.0) worst = std::max(worst, truth / bound);
  }
};

/// Reads of `groups` groups of 8 queries of one scene.
inline ReadTally read_scene(const AttentionScene& scene, Random& random, std::size_t groups, bool unit_values,
                            reference::QuantizerFault fault = reference::QuantizerFault::none) {
  constexpr std::size_t group = 8;
  const CodedHead head(scene.rows, fault);
  std::vector<KvPage> pages;
  for (std::size_t p = 0; p < head.pages(); ++p)
    pages.push_back(head.view(p, scene.levels[p].key, scene.levels[p].value));
  GroupRead read(head, group, scene.scale);
  AttentionOracle oracle(head, pages);
  read.levels(std::move(pages));
  SoundnessCheck check;
  std::vector<float> queries(group * head.head_dim());
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t h = 0; h < group; ++h)
      scene.query(random, head, std::span(queries).subspan(h * head.head_dim(), head.head_dim()));
    read.run(queries);
    for (std::size_t h = 0; h < group; ++h) {
      const auto query = std::span<const float>(queries).subspan(h * head.head_dim(), head.head_dim());
      check.check(read, h, oracle.errors(read, h, query), unit_values);
    }
  }
  return check.tally;
}

/// About `reads` reads, all families in turn.
inline ReadTally fuzz_reads(std::size_t reads, unsigned seed) {
  constexpr std::size_t groups = 32;
  Random random(seed);
  ReadTally total;
  for (std::size_t turn = 0; total.reads < reads; ++turn) {
    const auto family = static_cast<SceneFamily>(turn % static_cast<std::size_t>(SceneFamily::families));
    total.add(read_scene(scene_of(family, random), random, groups, shows_weights(family)));
  }
  return total;
}

/// 128k tokens that all weigh about the same, and queries that are a little less flat.
inline ReadTally read_long_tails(std::size_t groups, unsigned seed) {
  Random random(seed);
  const Numbers number = [](Random& r, std::size_t, std::size_t) { return normal(r); };
  AttentionScene scene;
  scene.rows = rows_of(random, KvType::float16, 2048 * page_tokens - 30, 32, number, number);
  scene.levels.assign(2048, k8v4);
  scene.query = spread_queries(std::sqrt(32.0), scene.scale);
  return read_scene(scene, random, groups, false);
}

/// Whether reads of pages that were coded with a mistake are caught.
inline bool caught(reference::QuantizerFault fault, SceneFamily family, unsigned seed) {
  Random random(seed);
  for (std::size_t turn = 0; turn < 40; ++turn)
    if (read_scene(scene_of(family, random), random, 4, shows_weights(family), fault).violations() > 0) return true;
  return false;
}

inline ReadTally fuzz_all(bool quick) {
  ReadTally found = fuzz_reads(quick ? 100'000 : 10'000'000, 3);
  found.add(read_long_tails(quick ? 2 : 200, 4));
  return found;
}

/// @return whether all is sound and all that is wrong was caught
inline bool report_soundness(Report& report, const ReadTally& found) {
  report.set("llm.reads", static_cast<double>(found.reads));
  report.set("llm.violations", static_cast<double>(found.violations()));
  report.set("llm.worst_tv_over_bound", found.worst_tv);
  report.set("llm.worst_output_over_bound", found.worst_output);
  report.set("llm.worst_logit_over_radius", found.worst_radius);
  report.set("llm.worst_logits_over_spread", found.worst_spread);
  bool all_caught = true;
  for (const auto& [form, count] : found.false_forms) {
    report.set("llm.false_form." + form, static_cast<double>(count));
    all_caught = all_caught && count > 0;
  }
  using enum reference::QuantizerFault;
  for (const auto& [name, fault, family] :
       {std::tuple("zero_to_nearest", zero_to_nearest, SceneFamily::channel_bfloat16),
        std::tuple("step_to_nearest", step_to_nearest, SceneFamily::channel_float16),
        std::tuple("residual_truncated", residual_truncated, SceneFamily::aligned)}) {
    const bool seen = caught(fault, family, 5);
    report.set(std::string("llm.twin_caught.") + name, seen ? 1.0 : 0.0);
    all_caught = all_caught && seen;
  }
  report.set("llm.broken_caught", all_caught ? 1.0 : 0.0);
  return found.violations() == 0 && all_caught;
}

}  // namespace mpp::bench
