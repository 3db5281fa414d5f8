#pragma once
#include <string>

#include <mpp/core/error.hpp>

#include "reference/quantize_page.hpp"
#include "reference/spectral_norm.hpp"

namespace mpp::reference {

/// Looks for what quantize_page.hpp promises and `page` does not keep, given the exact numbers. Each finding is a sentence.
class PagePromise {
 public:
  PagePromise(const StoredRows& keys, const StoredRows& values, const PageBytes& page)
      : keys_(keys), values_(values), page_(page), told_(page.summary()) {}

  /// The first promise that is broken, or nothing.
  [[nodiscard]] std::string broken() {
    every_code_is_within_half_a_step();
    residuals_and_norms_cover();
    spreads_cover();
    nothing_is_much_too_large();
    return broken_;
  }

  /// Largest of (told - true) / true over all norms, after broken().
  [[nodiscard]] double slack() const { return slack_; }
  /// The same of key_spread and value_spread, which need not be tight to be true.
  [[nodiscard]] double spread_slack() const { return spread_slack_; }

 private:
  template <class... Parts>
  void expect(bool holds, const Parts&... parts) {
    if (!holds && broken_.empty()) broken_ = text(parts...);
  }

  void every_code_is_within_half_a_step() {
    for (std::size_t j = 0; j < page_.head_dim; ++j) {
      const double key_step = half_value(page_.factor(PageBytes::key_step, j));
      const double value_step = half_value(page_.factor(PageBytes::value_step, j));
      if (key_step == 0.0) keys_coded_ = false;
      if (value_step == 0.0) values_coded_ = false;
      for (std::size_t i = 0; i < page_tokens; ++i)
        for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12}) {
          // Differences of bfloat16 numbers are rounded, which may move a number into the next cell.
          const double half = std::ldexp(keys_.type == KvType::float16 ? 0.5 : 0.5 + 0x1p-40, 8 - bits_of(level));
          expect(key_step == 0.0 || distance(keys_(i, j), page_.key(i, j, level)) <= half * key_step, "key of token ",
                 i, ", channel ", j, ", ", bits_of(level), " bits: more than half a step away");
          if (level != PageLevel::bits12)
            expect(value_step == 0.0 || distance(values_(i, j), page_.value(i, j, level)) <= half * value_step,
                   "value of token ", i, ", channel ", j, ", ", bits_of(level), " bits: more than half a step away");
        }
    }
    expect(keys_coded_ == inside(keys_), "steps of 0 do not agree with keys outside the range of Half");
    expect(values_coded_ == inside(values_), "steps of 0 do not agree with values outside the range of Half");
  }

  void residuals_and_norms_cover() {
    for (std::size_t i = 0; i < page_tokens; ++i) {
      for (const PageLevel level : {PageLevel::bits4, PageLevel::bits8, PageLevel::bits12}) {
        Quad residual = 0, value_residual = 0, code_norm = 0, value_norm = 0;
        const double cells = std::ldexp(1.0, 8 - bits_of(level));
        for (std::size_t j = 0; j < page_.head_dim; ++j) {
          const double step = half_value(page_.factor(PageBytes::key_step, j)) * cells;
          const Quad difference = Quad{keys_(i, j)} - page_.key(i, j, level);
          const Quad middle = Quad{(page_.key_code(i, j, level) + 0.5) * cells} - 128;
          const Quad steps = step > 0.0 ? difference / step : Quad{0};
          residual += steps * steps;
          if (level != PageLevel::bits4) key_off_[bits_of(level) / 4 - 2].push_back(static_cast<double>(steps));
          code_norm += middle * middle;
          if (level == PageLevel::bits12) continue;
          const Quad off = Quad{values_(i, j)} - page_.value(i, j, level);
          value_residual += off * off;
          value_off_[bits_of(level) / 4 - 1].push_back(static_cast<double>(off));
          value_norm += Quad{page_.value(i, j, level)} * page_.value(i, j, level);
        }
        const auto l = static_cast<std::size_t>(level) - 1;
        cover(key_residual_[l], residual);
        cover(code_norm_, code_norm);
        cover(value_reach_, value_norm);
        if (l < 2) cover(value_residual_[l], value_residual);
      }
      cover(value_reach_, values_.square_norm(i));
      cover(key_norm_, keys_.square_norm(i));
    }
    for (std::size_t l = 0; l < 3; ++l) covers("key_residual", told_.key_residual[l], key_residual_[l]);
    for (std::size_t l = 0; l < 2; ++l) covers("value_residual", told_.value_residual[l], value_residual_[l]);
    covers("code_norm", told_.code_norm, code_norm_);
    covers("value_reach", told_.value_reach, value_reach_);
    covers("key_reach, of keys,", told_.key_reach, key_norm_);
    for (std::size_t j = 0; j < page_.head_dim; ++j) {
      const double reach = std::fabs(half_value(page_.factor(PageBytes::key_zero, j))) +
                           256.0 * half_value(page_.factor(PageBytes::key_step, j));
      reach_ += Quad{reach} * reach;
    }
    covers("key_reach, of cells,", told_.key_reach, reach_);
    for (std::size_t i = 0; i < page_tokens; ++i) {
      const double ratio = std::sqrt(static_cast<double>(values_.square_norm(i))) / std::max(told_.value_reach, 1e-45F);
      const double norm = half_value(page_.value_norm(i));
      const double ulp = std::max(std::ldexp(1.0, -24), std::ldexp(ratio, -10));
      expect(std::fabs(norm - ratio) <= 0.5001 * ulp, "value norm of token ", i, " is ", norm, ", expected ", ratio);
    }
  }

  void spreads_cover() {
    for (std::size_t l = 0; l < 2; ++l) {
      spread_covers("key_spread", told_.key_spread[l], keys_coded_, key_off_[l]);
      spread_covers("value_spread", told_.value_spread[l], values_coded_, value_off_[l]);
      expect(told_.value_residual[l] > 0.0F && told_.value_spread[l] > 0.0F, "values of codes pass for exact ones");
    }
  }
  void spread_covers(const char* name, float told, bool coded, std::span<const double> residuals) {
    if (!coded) return expect(told == HUGE_VALF, name, " without codes is ", told, ", expected infinity");
    const double norm = spectral_norm(residuals, page_.head_dim);
    // Residuals are rounded to double: 2^-53 of the root of the sum of their squares, which is at most 8 norms.
    expect(static_cast<double>(told) >= norm * (1.0 - 0x1p-49), name, " is ", told, ", smaller than ", norm);
    expect(std::isfinite(told), name, " is ", told);
    if (norm > 1e-36) spread_slack_ = std::max(spread_slack_, (static_cast<double>(told) - norm) / norm);
  }

  void nothing_is_much_too_large() {
    if (keys_coded_) {
      for (std::size_t l = 0; l < 3; ++l) tight("key_residual", told_.key_residual[l], key_residual_[l]);
      tight("code_norm", told_.code_norm, code_norm_);
      tight("key_reach", told_.key_reach, reach_);
    } else {
      for (const float residual : told_.key_residual)
        expect(residual == HUGE_VALF, "keys without codes have the residual ", residual, ", expected infinity");
    }
    if (values_coded_) {
      for (std::size_t l = 0; l < 2; ++l) tight("value_residual", told_.value_residual[l], value_residual_[l]);
      tight("value_reach", told_.value_reach, value_reach_);
    } else {
      for (const float residual : told_.value_residual)
        expect(residual == HUGE_VALF, "values without codes have the residual ", residual, ", expected infinity");
    }
    expect(told_.tokens == page_tokens, "tokens is ", told_.tokens);
  }

  static double distance(double a, double b) { return std::fabs(static_cast<double>(Quad{a} - b)); }
  static bool inside(const StoredRows& rows) {
    for (std::size_t i = 0; i < page_tokens; ++i)
      for (std::size_t j = 0; j < rows.head_dim; ++j)
        if (std::fabs(rows(i, j)) > 65504.0) return false;
    return true;
  }
  static void cover(Quad& most, Quad square) { most = std::max(most, square); }
  void covers(const char* name, float told, Quad square) {
    expect(told >= 0.0F && (std::isinf(told) || Quad{told} * told >= square), name, " is ", told, ", too small for ",
           static_cast<double>(square), " squared");
  }
  void tight(const char* name, float told, Quad square) {
    const double norm = std::sqrt(static_cast<double>(square));
    expect(told <= norm * (1.0 + 1e-6) + 1e-44, name, " is ", told, ", too large for ", norm);
    if (norm > 1e-36) slack_ = std::max(slack_, (static_cast<double>(told) - norm) / norm);
  }

  const StoredRows &keys_, &values_;
  const PageBytes& page_;
  kernels::PageSummary told_;
  std::string broken_;
  double slack_ = 0.0, spread_slack_ = 0.0;
  bool keys_coded_ = true, values_coded_ = true;
  std::vector<double> key_off_[2], value_off_[2];  // residuals, [page_tokens][head_dim]
  Quad key_residual_[3] = {}, value_residual_[2] = {}, code_norm_ = 0, value_reach_ = 0, key_norm_ = 0, reach_ = 0;
};

}  // namespace mpp::reference
