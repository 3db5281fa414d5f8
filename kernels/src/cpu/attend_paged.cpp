// Decode attention over pages: for each page the logits of all queries of the group, their weights, the weighted values; what
// the certificate needs falls out on the way. A read keeps its sums in about 60 KiB on the stack and allocates nothing.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "src/cpu/attend_paged.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <mpp/core/error.hpp>
#include <mpp/kernels/attend_paged.hpp>

#include "src/cpu/attend_codes-inl.hpp"
#include "src/cpu/attend_exact-inl.hpp"
#include "src/cpu/ops.hpp"

HWY_BEFORE_NAMESPACE();
namespace mpp::kernels::cpu::HWY_NAMESPACE {

constexpr std::size_t heads_together = 8;

// Calls op with the number of heads as a constant.
template <class Op>
HWY_INLINE void with_count(std::size_t count, Op op) {
  switch (count) {
    case 1:
      return op(std::integral_constant<std::size_t, 1>());
    case 2:
      return op(std::integral_constant<std::size_t, 2>());
    case 3:
      return op(std::integral_constant<std::size_t, 3>());
    case 4:
      return op(std::integral_constant<std::size_t, 4>());
    case 5:
      return op(std::integral_constant<std::size_t, 5>());
    case 6:
      return op(std::integral_constant<std::size_t, 6>());
    case 7:
      return op(std::integral_constant<std::size_t, 7>());
    default:
      return op(std::integral_constant<std::size_t, 8>());
  }
}

// Index of the level of codes: 0, 1, 2 for 4, 8, 12 bits.
constexpr std::size_t code_level(PageLevel level) { return static_cast<std::size_t>(level) - 1; }
constexpr float level_step[3] = {16.0F, 1.0F, 0.0625F};

class GroupRead {
 public:
  GroupRead(const AttendShape& shape, const KvRead& read, std::size_t number)
      : shape_(shape), read_(read), number_(number), head_dim_(shape.head_dim) {
    for (std::size_t i = 0; i < shape.group * head_dim_; ++i) query_[i] = shape.scale * read.queries[i];
    std::fill_n(output_, shape.group * head_dim_, 0.0F);
    for (std::size_t g = 0; g < shape.group; ++g) {
      double square = 0.0;
      for (std::size_t c = 0; c < head_dim_; ++c) {
        const double q = read.queries[g * head_dim_ + c];
        square += q * q;
      }
      const double norm = std::sqrt(square) * static_cast<double>(shape.scale);
      expects<ValueError>(norm < 0x1p60, "attend_paged: read ", number_, ": query ", g,
                          " times the scale has the norm ", norm, ", expected a finite number below 2^60");
      query_norm_[g] = static_cast<float>(norm) * radius_slack;
    }
  }

  void run() {
    for (std::size_t p = 0; p < read_.page_count; ++p) {
      const KvPage& page = read_.pages[p];
      check(page, p);
      next_ = p + 1 < read_.page_count ? &read_.pages[p + 1] : &page;
      const PageFields fields(page.metadata, head_dim_);
      if (page.key_level == PageLevel::omitted) {
        omit(p, fields);
        continue;
      }
      if (read_.statistics.energy != nullptr) load_squares(fields.value_norm);
      for (std::size_t g = 0; g < shape_.group; g += heads_together) {
        const std::size_t count = std::min(heads_together, shape_.group - g);
        with_count(count, [&](auto heads) { attend<heads()>(p, g, fields); });
      }
      if (read_.statistics.value_reach != nullptr) {
        const bool coded = is_coded(page.value_level);
        const std::size_t level = coded ? code_level(page.value_level) : 0;
        read_.statistics.value_reach[p] = fields.summary->value_reach;
        read_.statistics.value_residual[p] = coded ? fields.summary->value_residual[level] : 0.0F;
        read_.statistics.value_spread[p] = coded ? fields.summary->value_spread[level] : 0.0F;
      }
    }
    finish();
  }

 private:
  void check(const KvPage& page, std::size_t p) const {
    expects<ShapeError>(check_levels(page) == PageFault::none, "attend_paged: read ", number_, ": page ", p,
                        " has levels that its pointers and its number of tokens do not allow");
    const PageSummary& summary = *PageFields(page.metadata, head_dim_).summary;
    const PageFault fault = check_summary(page, summary);
    expects<StalePage>(fault != PageFault::stale, "attend_paged: read ", number_, ": page ", p, " is of generation ",
                       summary.generation, ", expected ", page.generation, ": it was freed since");
    expects<ShapeError>(fault == PageFault::none, "attend_paged: read ", number_, ": page ", p, " has ", summary.tokens,
                        " tokens and ", summary.code_norm > 0.0F ? "codes" : "no codes", ", its view expects ",
                        page.tokens, " tokens",
                        is_coded(page.key_level) || is_coded(page.value_level) ? " in codes" : "");
  }

  // Upper bound of every logit: each channel at the end of its range that is better. A page without codes has no ranges, and
  // no code is in the middle.
  void omit(std::size_t p, const PageFields<const std::byte>& fields) {
    if (read_.statistics.radius == nullptr) return;
    read_.statistics.value_reach[p] = fields.summary->value_reach;
    read_.statistics.value_residual[p] = read_.statistics.value_spread[p] = 0.0F;
    const bool known =
        fields.summary->key_residual[0] <= std::numeric_limits<float>::max() && fields.summary->code_norm > 0.0F;
    for (std::size_t g = 0; g < shape_.group; ++g) {
      double upper = 0.0;
      for (std::size_t c = 0; c < head_dim_; ++c) {
        const double q = static_cast<double>(query_[g * head_dim_ + c]);
        const double zero = static_cast<double>(to_float(fields.key_zero[c]));
        upper += q * zero + 256.0 * std::max(0.0, q * static_cast<double>(to_float(fields.key_step[c])));
      }
      const float reach = query_norm_[g] * fields.summary->key_reach;
      const float bound =
          known ? static_cast<float>(upper) + reach * arithmetic_error(head_dim_) + arithmetic_floor : reach;
      const std::size_t at = g * read_.page_count + p;
      read_.statistics.max_logit[at] = bound;
      read_.statistics.mass[at] = static_cast<float>(read_.pages[p].tokens);
      read_.statistics.radius[at] = -1.0F;
      read_.statistics.spread[at] = 0.0F;
      read_.statistics.energy[at] = 0.0F;
    }
  }

  // `count` heads from `first` at page p.
  template <std::size_t count>
  void attend(std::size_t p, std::size_t first, const PageFields<const std::byte>& fields) {
    const KvPage& page = read_.pages[p];
    if (page.key_level == PageLevel::exact)
      exact_keys<count>(p, first, fields);
    else
      code_keys<count>(p, first, fields);
    for (std::size_t g = 0; g < count; ++g) {
      const bool energy = read_.statistics.energy != nullptr;
      const PageWeights weights = weigh(weight_ + g * page_tokens, page.tokens, energy ? square_ : nullptr);
      share_[g] = admit(weights, running_[first + g], output_ + (first + g) * head_dim_, head_dim_);
      if (!energy) continue;
      const std::size_t at = (first + g) * read_.page_count + p;
      read_.statistics.max_logit[at] = weights.max_logit;
      read_.statistics.mass[at] = weights.mass;
      read_.statistics.energy[at] = weights.energy;
    }
    if (page.value_level == PageLevel::exact)
      exact_values_of<count>(page, first);
    else
      code_values<count>(page, first, fields);
  }

  // Of an array [group][pages] of statistics; null if none are wanted.
  float* entry(float* array, std::size_t head, std::size_t p) const {
    return array == nullptr ? nullptr : array + head * read_.page_count + p;
  }

  template <std::size_t count>
  void code_keys(std::size_t p, std::size_t first, const PageFields<const std::byte>& fields) {
    const KvPage& page = read_.pages[p];
    const std::size_t level = code_level(page.key_level);
    load_grid(fields.key_step, fields.key_zero);
    // Codes of 4 bits: as if all tokens were off in the same direction.
    const float spread =
        level == 0 ? page_root * fields.summary->key_residual[0] : fields.summary->key_spread[level - 1];
    const PageRadius terms{fields.summary->key_residual[level], spread, level_step[level],
                           query_code_error * std::sqrt(static_cast<float>(head_dim_)) * fields.summary->code_norm,
                           arithmetic_error(head_dim_) * fields.summary->key_reach};
    PageQuery query[count];
    for (std::size_t g = 0; g < count; ++g)
      query[g] = code_query(query_ + (first + g) * head_dim_, step_, zero_, head_dim_, query_norm_[first + g], terms,
                            code_ + g * head_dim_, entry(read_.statistics.radius, first + g, p),
                            entry(read_.statistics.spread, first + g, p));
    constexpr float rest[3] = {8.0F, 0.5F, 0.03125F};  // of the middle of a cell, beyond 128 steps of 8 bits
    multiply<count>(page.key_planes, next_->key_planes, level > 0, head_dim_ / 8, page_tokens);
    for (std::size_t g = 0; g < count; ++g) {
      const float unit = query[g].unit;
      const std::int32_t sum = query[g].code_sum;
      logits_of_dots(dot_ + g * page_tokens, level == 0 ? 8 * sum : 128 * sum, level == 0 ? 16.0F * unit : unit,
                     query[g].base + rest[level] * unit * static_cast<float>(sum), weight_ + g * page_tokens);
    }
    if (level < 2) return;
    const std::uint32_t* fine[2] = {page.key_planes[2], nullptr};
    const std::uint32_t* next[2] = {next_->key_planes[2], nullptr};
    multiply<count>(fine, next, false, head_dim_ / 8, page_tokens);
    for (std::size_t g = 0; g < count; ++g)
      add_dots(dot_ + g * page_tokens, 0.0625F * query[g].unit, weight_ + g * page_tokens);
  }

  template <std::size_t count>
  void code_values(const KvPage& page, std::size_t first, const PageFields<const std::byte>& fields) {
    const std::size_t level = code_level(page.value_level);
    load_grid(fields.value_step, fields.value_zero);
    std::int32_t sum[count];
    for (std::size_t g = 0; g < count; ++g) sum[g] = code_weights(weight_ + g * page_tokens, code_ + g * page_tokens);
    multiply<count>(page.value_planes, next_->value_planes, level > 0, page_tokens / 8, head_dim_);
    for (std::size_t g = 0; g < count; ++g)
      add_values(dot_ + g * head_dim_, sum[g], share_[g], level_step[level], step_, zero_, head_dim_,
                 output_ + (first + g) * head_dim_);
  }

  // dot_ = code_ times the high plane, or the high and the low one.
  template <std::size_t count>
  void multiply(const std::uint32_t* const* planes, const std::uint32_t* const* next, bool two, std::size_t row_groups,
                std::size_t columns) {
    const auto or_this = [&](std::size_t i) { return next[i] != nullptr ? next[i] : planes[i]; };
    if (two)
      plane_dot<count, true>({planes[0], planes[1], or_this(0), or_this(1)}, row_groups, columns, code_, dot_);
    else
      plane_dot<count, false>({planes[0], nullptr, or_this(0), nullptr}, row_groups, columns, code_, dot_);
  }

  template <std::size_t count>
  void exact_keys(std::size_t p, std::size_t first, const PageFields<const std::byte>& fields) {
    const KvPage& page = read_.pages[p];
    const float* queries = query_ + first * head_dim_;
    const std::uint16_t* next = next_->exact_keys != nullptr ? next_->exact_keys : page.exact_keys;
    if (shape_.type == KvType::bfloat16)
      exact_logits<count, true>(page.exact_keys, next, page.tokens, queries, head_dim_, weight_);
    else
      exact_logits<count, false>(page.exact_keys, next, page.tokens, queries, head_dim_, weight_);
    for (std::size_t g = 0; g < count; ++g) {
      std::fill(weight_ + g * page_tokens + page.tokens, weight_ + (g + 1) * page_tokens,
                -std::numeric_limits<float>::infinity());
      if (float* radius = entry(read_.statistics.radius, first + g, p)) {
        *radius = query_norm_[first + g] * (arithmetic_error(head_dim_) * fields.summary->key_reach) * radius_slack +
                  arithmetic_floor;
        *entry(read_.statistics.spread, first + g, p) = page_root * *radius;
      }
    }
  }

  template <std::size_t count>
  void exact_values_of(const KvPage& page, std::size_t first) {
    float* output = output_ + first * head_dim_;
    const std::uint16_t* next = next_->exact_values != nullptr ? next_->exact_values : page.exact_values;
    if (shape_.type == KvType::bfloat16)
      exact_values<count, true>(page.exact_values, next, page.tokens, weight_, share_, head_dim_, output);
    else
      exact_values<count, false>(page.exact_values, next, page.tokens, weight_, share_, head_dim_, output);
  }

  void load_grid(const Half* step, const Half* zero) {
    const Float f32;
    for (std::size_t c = 0; c < head_dim_; c += hn::Lanes(f32)) {
      hn::StoreU(load_half(step + c), f32, step_ + c);
      hn::StoreU(load_half(zero + c), f32, zero_ + c);
    }
  }

  void load_squares(const Half* norm) {
    const Float f32;
    for (std::size_t i = 0; i < page_tokens; i += hn::Lanes(f32)) {
      const auto of = load_half(norm + i);
      hn::StoreU(hn::Mul(of, of), f32, square_ + i);
    }
  }

  void finish() {
    for (std::size_t g = 0; g < shape_.group; ++g) {
      expects<ShapeError>(running_[g].total > 0.0 || std::isnan(running_[g].total), "attend_paged: read ", number_,
                          ": all pages are omitted, expected at least one that is read");
      const auto share = static_cast<float>(1.0 / running_[g].total);
      for (std::size_t c = 0; c < head_dim_; ++c) read_.output[g * head_dim_ + c] = output_[g * head_dim_ + c] * share;
      read_.log_sum_exp[g] = static_cast<double>(running_[g].max_logit) + std::log(running_[g].total);
    }
  }

  const AttendShape& shape_;
  const KvRead& read_;
  const std::size_t number_;  // of the read in the call
  const std::size_t head_dim_;
  const KvPage* next_ = nullptr;
  Running running_[max_group];
  float query_norm_[max_group];
  float share_[heads_together];
  HWY_ALIGN float query_[max_group * max_head_dim];
  HWY_ALIGN float output_[max_group * max_head_dim];
  HWY_ALIGN float step_[max_head_dim];
  HWY_ALIGN float zero_[max_head_dim];
  HWY_ALIGN float square_[page_tokens];  // of the norms of the page's values
  HWY_ALIGN float weight_[heads_together * page_tokens];
  HWY_ALIGN std::int16_t code_[heads_together * max_head_dim];
  HWY_ALIGN std::int32_t dot_[heads_together * max_head_dim];
};

void AttendRead(const AttendShape& shape, const KvRead& read, std::size_t number) {
  GroupRead(shape, read, number).run();
}

}  // namespace mpp::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mpp::kernels::cpu {

HWY_EXPORT(AttendRead);

void attend_paged(const Context&, const AttendShape& shape, std::span<const KvRead> reads) {
  for (std::size_t i = 0; i < reads.size(); ++i) HWY_DYNAMIC_DISPATCH(AttendRead)(shape, reads[i], i);
}

}  // namespace mpp::kernels::cpu
#endif
