#pragma once
// Reads of a trained model, as tools/capture_attention.py writes them: coverage and tightness of the certificates.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "attention_soundness.hpp"
#include "attention_token_codes.hpp"
#include "npy.hpp"

namespace mpp::bench {

/// What the folder of captured reads holds.
struct CapturedReads {
  std::filesystem::path folder;
  std::size_t windows = 0, context = 0, tail = 0, layers = 0, kv_heads = 0, group = 0, head_dim = 0;

  /// @throws FormatError if attention.json is damaged
  static std::optional<CapturedReads> find(const std::filesystem::path& folder) {
    std::ifstream file(folder / "attention.json");
    if (!file) return std::nullopt;
    try {
      const auto about = nlohmann::json::parse(file);
      CapturedReads reads{folder};
      for (const auto& [name, field] :
           {std::pair("windows", &CapturedReads::windows), std::pair("context", &CapturedReads::context),
            std::pair("tail", &CapturedReads::tail), std::pair("layers", &CapturedReads::layers),
            std::pair("kv_heads", &CapturedReads::kv_heads), std::pair("group", &CapturedReads::group),
            std::pair("head_dim", &CapturedReads::head_dim)})
        reads.*field = about.at(name).get<std::size_t>();
      return reads;
    } catch (const nlohmann::json::exception& error) {
      throw FormatError(text("bench_attention: ", (folder / "attention.json").string(), ": ", error.what()));
    }
  }

  [[nodiscard]] std::filesystem::path file(std::size_t layer, std::size_t head, const char* part) const {
    return folder / text("layer", layer, "_head", head, "_", part, ".npy");
  }
};

/// Figures of all captured reads at one pair of levels, one number for each read.
struct Tightness {
  std::vector<double> tv, true_tv, relative, true_relative;
  // of long reads
  std::vector<double> form_gain;                ///< the e-form over our bound, on the same radii
  std::vector<double> against_tokens;           ///< the e-form over codes of tokens, where above 0.05, over our bound
  std::vector<double> supremum_against_tokens;  ///< the same over our supremum
  std::vector<bool> long_read;                  ///< the open page has less than half of the mass
  std::size_t looser = 0;                       ///< than the e-form or tanh of the largest radius, on the same radii
  ReadTally tally;

  [[nodiscard]] std::vector<double> of_long(const std::vector<double>& all) const {
    std::vector<double> chosen;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (long_read[i]) chosen.push_back(all[i]);
    return chosen;
  }
};

namespace detail {

/// All reads of one window of one KV head.
inline void read_window(const CapturedReads& captured, const KvRows& rows, std::span<const float> queries,
                        PageLevels levels, std::size_t stride, Tightness& found) {
  const CodedHead head(rows);
  const std::size_t full = head.pages() - 1, dims = captured.head_dim, group = captured.group;
  std::vector<KvPage> pages;
  for (std::size_t p = 0; p < full; ++p) pages.push_back(head.view(p, levels.key, levels.value));
  pages.push_back(head.open_view(full, page_tokens));
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dims)));
  GroupRead read(head, group, scale);
  AttentionOracle oracle(head, pages);
  const TokenCodes token_codes(head, full * page_tokens);
  SoundnessCheck check;
  for (std::size_t t = stride / 2; t < captured.tail; t += stride) {
    const std::size_t seen = captured.context - captured.tail + t + 1;
    pages.back() = head.open_view(full, seen - full * page_tokens);
    oracle.see(seen);
    read.levels(pages);
    const auto group_queries = queries.subspan(t * group * dims, group * dims);
    read.run(group_queries);
    for (std::size_t h = 0; h < group; ++h) {
      const auto query = group_queries.subspan(h * dims, dims);
      const TrueErrors truth = oracle.errors(read, h, query);
      check.check(read, h, truth, false);
      const llm::AttentionCertificate certificate = read.certificate(h);
      const double e_form = read.e_form(h);
      found.looser += certificate.attention_tv > std::min({e_form, std::tanh(read.sums(h).radius), 1.0}) ? 1 : 0;
      found.tv.push_back(certificate.attention_tv);
      found.true_tv.push_back(truth.tv);
      found.relative.push_back(certificate.output_relative);
      found.true_relative.push_back(truth.relative);
      found.long_read.push_back(truth.last_page < 0.5);
      if (truth.last_page >= 0.5) continue;
      found.form_gain.push_back(e_form / certificate.attention_tv);
      const double token_form = token_codes.e_form(query, static_cast<double>(scale), oracle.logits());
      if (token_form <= 0.05) continue;
      found.against_tokens.push_back(token_form / certificate.attention_tv);
      const double supremum = read.tv_supremum(h);
      found.tally.tv_violations += truth.tv - truth.tv_blur > supremum ? 1 : 0;
      found.supremum_against_tokens.push_back(token_form / supremum);
    }
  }
  found.tally.add(check.tally);
}

}  // namespace detail

/// @param stride  only every so many positions
inline Tightness read_captured(const CapturedReads& captured, PageLevels levels, std::size_t stride) {
  Tightness found;
  for (std::size_t layer = 0; layer < captured.layers; ++layer)
    for (std::size_t head = 0; head < captured.kv_heads; ++head) {
      const auto keys = read_npy<std::uint16_t>(captured.file(layer, head, "keys"));
      const auto values = read_npy<std::uint16_t>(captured.file(layer, head, "values"));
      const auto queries = read_npy(captured.file(layer, head, "queries"));
      const std::size_t dims = captured.head_dim, window = captured.context * dims;
      const std::size_t asked = captured.tail * captured.group * dims;
      expects<FormatError>(keys.values.size() == captured.windows * window &&
                               values.values.size() == keys.values.size() &&
                               queries.values.size() == captured.windows * asked,
                           "bench_attention: files of layer ", layer, ", head ", head, " do not fit attention.json");
      for (std::size_t w = 0; w < captured.windows; ++w) {
        const auto begin = static_cast<std::ptrdiff_t>(w * window), end = begin + static_cast<std::ptrdiff_t>(window);
        const KvRows rows{KvType::float16,
                          dims,
                          {keys.values.begin() + begin, keys.values.begin() + end},
                          {values.values.begin() + begin, values.values.begin() + end}};
        detail::read_window(captured, rows, std::span(queries.values).subspan(w * asked, asked), levels, stride, found);
      }
    }
  return found;
}

inline void report_tightness(Report& report, PageLevels levels, const Tightness& found) {
  const auto share = [](const std::vector<double>& all, double most) {
    const auto count = std::count_if(all.begin(), all.end(), [most](double x) { return x <= most; });
    return static_cast<double>(count) / static_cast<double>(std::max<std::size_t>(all.size(), 1));
  };
  const auto figures = [&](const std::string& name, const std::vector<double>& tv, const std::vector<double>& true_tv,
                           const std::vector<double>& relative, const std::vector<double>& true_relative) {
    report.set("llm.reads." + name, static_cast<double>(tv.size()));
    report.set("llm.coverage_tv_05." + name, share(tv, 0.05));
    report.set("llm.coverage_tv_10." + name, share(tv, 0.1));
    report.set("llm.coverage_output_10." + name, share(relative, 0.1));
    report.set("llm.coverage_output_20." + name, share(relative, 0.2));
    if (tv.empty()) return;
    for (const auto& [metric, all] : {std::pair("tv", &tv), std::pair("true_tv", &true_tv),
                                      std::pair("output", &relative), std::pair("true_output", &true_relative)}) {
      report.set(text("llm.", metric, "_p50.", name), quantile(*all, 0.5));
      report.set(text("llm.", metric, "_p99.", name), quantile(*all, 0.99));
    }
    std::vector<double> ratio;
    for (std::size_t i = 0; i < tv.size(); ++i)
      if (true_tv[i] > 0.0) ratio.push_back(tv[i] / true_tv[i]);
    if (!ratio.empty()) report.set("llm.bound_over_true_tv." + name, median(ratio));
  };
  const std::string name = levels.name;
  figures(name, found.tv, found.true_tv, found.relative, found.true_relative);
  figures(name + ".long", found.of_long(found.tv), found.of_long(found.true_tv), found.of_long(found.relative),
          found.of_long(found.true_relative));
}

/// @return what was seen of soundness; empty where there are no captured reads
inline ReadTally measure_captured(Report& report, const std::filesystem::path& folder) {
  const auto captured = CapturedReads::find(folder);
  if (!captured) {
    std::cerr << "not run: captured reads, there is no " << (folder / "attention.json").string()
              << "; make it: tools/capture_attention.py\n";
    return {};
  }
  ReadTally tally;
  std::size_t looser = 0;
  for (const PageLevels levels : {k8v4, k8v8, k12v8}) {
    const Tightness found = read_captured(*captured, levels, report.quick() ? 16 : 1);
    report_tightness(report, levels, found);
    tally.add(found.tally);
    looser += found.looser;
    if (levels.name != k8v4.name) continue;
    report.set("llm.form_gain", median(found.form_gain));
    report.set("llm.tightness_vs_e_form", median(found.against_tokens));
    report.set("llm.tightness_vs_e_form_supremum", median(found.supremum_against_tokens));
    report.set("llm.tightness_reads", static_cast<double>(found.against_tokens.size()));
  }
  report.set("llm.looser_than_e_form", static_cast<double>(looser));
  return tally;
}

}  // namespace mpp::bench
