#pragma once
// What one warp of attend_paged() does with its pages: logits, weights, weighted values, and the statistics on the way.
#include <limits>

#include "attend_queries.cuh"

namespace mpp::kernels::cuda {

/// max() drops the NaN of a logit that is none, and the output would look fine.
__device__ inline float larger_or_nan(float a, float b) {
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
  return larger;
}

// One warp on its way through the pages of a run.
template <unsigned steps, unsigned groups>
class Walk {
 public:
  __device__ Walk(const AttendShape& shape, const KvRead& read, unsigned read_number, unsigned first_head,
                  Block<steps, groups>& block, FirstFault* fault)
      : shape_(shape), read_(read), read_number_(read_number), first_head_(first_head), block_(block),
        buffers_(block.buffers[threadIdx.x / warp]), lane_(threadIdx.x % warp),
        copies_{threadIdx.x % warp, static_cast<unsigned>(shape.head_dim)},
        query_rounding_(query_code_error * sqrtf(static_cast<float>(shape.head_dim))), fault_(fault) {}

  __device__ void run(unsigned first, unsigned end) {
    unsigned at = first + threadIdx.x / warp;
    if (at >= end) return;
    copies_.descriptor(read_.pages + at, buffers_.pages);
    commit_copies();
    wait_for_copies<0>();
    start_keys(0, at, end);
    for (unsigned count = 0; at < end; ++count, at += run_warps) {
      const KvPage& page = buffers_.pages[count % 3];
      copies_.values(page, buffers_.values);
      commit_copies();
      wait_for_copies<1>();  // the keys
      const Metadata<steps> metadata{buffers_.metadata[count % 2]};
      if (lane_ == 0) check(page, metadata.summary(), at);
      float logits[groups][8];
      if (page.key_level == PageLevel::exact)
        exact_logits(page, metadata, at, logits);
      else
        coded_logits(page, metadata, at, logits);
      __syncwarp();  // all lanes have read the keys
      if (at + run_warps < end) start_keys(count + 1, at + run_warps, end);
      commit_copies();
      if (page.value_level != PageLevel::omitted) {
        weigh(page, metadata, at, logits);
        wait_for_copies<1>();  // the values
        add_values(page, metadata);
      } else {
        wait_for_copies<1>();
      }
      describe_values(page, metadata, at);
      __syncwarp();  // before values and weights are overwritten
    }
  }

  Outputs<steps, groups> output = {};  // relative to e^max_logit
  float max_logit[groups];
  double total[groups] = {};

 private:
  __device__ void check(const KvPage& page, const PageSummary& summary, unsigned at) const {
    const PageFault found = check_summary(page, summary);
    if (found != PageFault::none)
      fault_->report(read_number_, at, found == PageFault::stale ? ReadFault::stale : ReadFault::malformed);
  }

  // Starts the copies of the keys of page `at`, whose descriptor has arrived, and of the descriptor after it.
  __device__ void start_keys(unsigned count, unsigned at, std::size_t end) {
    const KvPage& page = buffers_.pages[count % 3];
    copies_.metadata(page.metadata, buffers_.metadata[count % 2]);
    copies_.keys(page, buffers_.keys);
    if (at + run_warps < end) copies_.descriptor(read_.pages + at + run_warps, &buffers_.pages[(count + 1) % 3]);
    if (count == 0) commit_copies();
  }

  // Of the lanes of sums: is this the one that writes for its head?
  __device__ bool writes(unsigned group) const {
    return read_.statistics.radius != nullptr && lane_ < 4 && first_head_ + 4 * group + lane_ < shape_.group;
  }
  __device__ void write(float* array, unsigned head, unsigned at, float value) const {
    array[(first_head_ + head) * static_cast<unsigned>(read_.page_count) + at] = value;  // below 2^20
  }
  // Of the lanes that prepare a query.
  __device__ void write_of_query(float* array, unsigned group, unsigned at, float value) const {
    if (array != nullptr && lane_ % 8 == 0 && first_head_ + 4 * group + lane_ / 8 < shape_.group)
      write(array, 4 * group + lane_ / 8, at, value);
  }

  __device__ float arithmetic(const PageSummary& summary, unsigned head, float relative) const {
    return block_.length[head] * relative * summary.key_reach;
  }

  __device__ void exact_logits(const KvPage& page, const Metadata<steps>& metadata, unsigned at,
                               float (&logits)[groups][8]) {
    const bool bfloat = shape_.type == KvType::bfloat16;
    const auto multiply = [&]<unsigned half>() {
      if (bfloat)
        multiply_exact_keys<true, half, steps>(buffers_.keys, lane_, block_.exact_query, logits);
      else
        multiply_exact_keys<false, half, steps>(buffers_.keys, lane_, block_.exact_query, logits);
    };
    multiply.template operator()<0>();
    __syncwarp();
    copies_.exact_keys(page, 1, buffers_.keys);
    commit_copies();
    wait_for_copies<0>();
    multiply.template operator()<1>();
    const PageSummary& summary = metadata.summary();
    const float error = arithmetic_error(shape_.head_dim) + tensor_core_error;
#pragma unroll
    for (unsigned group = 0; group < groups; ++group) {
      const float unit = block_.exact_unit[4 * group + lane_ % 4];
#pragma unroll
      for (unsigned i = 0; i < 8; ++i) logits[group][i] *= unit;
      const float radius = arithmetic(summary, 4 * group + lane_ / 8, error) * radius_slack + arithmetic_floor;
      write_of_query(read_.statistics.radius, group, at, radius);
      write_of_query(read_.statistics.spread, group, at, page_root * radius);
    }
  }

  // Logits of the lane's tokens, or of an omitted page an upper bound of all of them.
  __device__ void coded_logits(const KvPage& page, const Metadata<steps>& metadata, unsigned at,
                               float (&logits)[groups][8]) {
    std::uint32_t codes[groups][steps][2];
    float unit[groups], base[groups];  // in the lanes of sums
    int code_sum[groups];
#pragma unroll
    for (unsigned group = 0; group < groups; ++group) {
      const PageQuery query = code_query<steps>(&block_.query[group][0][0], metadata, lane_, codes[group]);
      if (page.key_level == PageLevel::omitted)
        bound_omitted(page, metadata.summary(), group, at, query);
      else
        write_coded_errors(page, metadata.summary(), group, at, query);
      unit[group] = for_sum_lanes(query.unit, lane_);
      base[group] = for_sum_lanes(query.base, lane_);
      code_sum[group] = for_sum_lanes(query.code_sum, lane_);
    }
    if (page.key_level == PageLevel::omitted) return;
    int dots[groups][8];
    if (page.key_level == PageLevel::bits4)
      multiply_keys<false>(buffers_.keys, lane_, codes, dots);
    else
      multiply_keys<true>(buffers_.keys, lane_, codes, dots);
    const bool coarse = page.key_level == PageLevel::bits4;
#pragma unroll
    for (unsigned group = 0; group < groups; ++group) {
      const float per_dot = coarse ? 16.0F * unit[group] : unit[group];
      const float half_step = 0.5F * static_cast<float>(code_sum[group]);
#pragma unroll
      for (unsigned i = 0; i < 8; ++i) {
        const int centred = dots[group][i] - (coarse ? 8 : 128) * code_sum[group];
        logits[group][i] = fmaf(per_dot, static_cast<float>(centred) + half_step, base[group]);
      }
    }
    if (page.key_level != PageLevel::bits12) return;
    __syncwarp();
    copies_.key_plane(page.key_planes[2], buffers_.keys);
    commit_copies();
    wait_for_copies<0>();
    multiply_keys<false>(buffers_.keys, lane_, codes, dots);
#pragma unroll
    for (unsigned group = 0; group < groups; ++group)
#pragma unroll
      for (unsigned i = 0; i < 8; ++i)  // the half step of 8 bits gives way to the fine code and half of its step
        logits[group][i] =
            fmaf(unit[group] / 16.0F, static_cast<float>(dots[group][i]) - 7.5F * static_cast<float>(code_sum[group]),
                 logits[group][i]);
  }

  __device__ void write_coded_errors(const KvPage& page, const PageSummary& summary, unsigned group, unsigned at,
                                     const PageQuery& query) const {
    const auto level = static_cast<int>(page.key_level) - static_cast<int>(PageLevel::bits4);
    const float level_step = level == 0 ? 16.0F : level == 1 ? 1.0F : 1.0F / 16.0F;
    const float residual = summary.key_residual[level];
    // Codes of 4 bits: as if all tokens were off in the same direction.
    const float together = level == 0 ? page_root * residual : summary.key_spread[level - 1];
    // min() alone would let a page without any bound pass for one of half a step.
    const float coded = isfinite(residual) ? fminf(0.5F * query.absolute, query.length * residual) : residual;
    const float rounding = query.unit * query_rounding_ * summary.code_norm +
                           arithmetic(summary, 4 * group + lane_ / 8, arithmetic_error(shape_.head_dim));
    const float radius = (coded * level_step + rounding) * radius_slack + arithmetic_floor;
    const float spread =
        (query.length * together * level_step + page_root * rounding) * radius_slack + arithmetic_floor;
    write_of_query(read_.statistics.radius, group, at, radius);
    write_of_query(read_.statistics.spread, group, at,
                   fminf(page_root * radius, spread));  // not the NaN of 0 * infinity
  }

  __device__ void bound_omitted(const KvPage& page, const PageSummary& summary, unsigned group, unsigned at,
                                const PageQuery& query) const {
    // Each channel at the end of its range that is better: q . zero + 256 sum of max(q'_j, 0). A page without codes has no
    // ranges, and no code is in the middle.
    const bool known = isfinite(summary.key_residual[0]) && summary.code_norm > 0.0F;
    const float reach = arithmetic(summary, 4 * group + lane_ / 8, 1.0F);
    const float upper =
        known ? query.base + 128.0F * query.absolute + reach * arithmetic_error(shape_.head_dim) + arithmetic_floor
              : reach;
    const PageStatistics& to = read_.statistics;
    write_of_query(to.radius, group, at, -1.0F);
    write_of_query(to.spread, group, at, 0.0F);
    write_of_query(to.max_logit, group, at, upper);
    write_of_query(to.mass, group, at, static_cast<float>(page.tokens));
    write_of_query(to.energy, group, at, 0.0F);
  }

  // Logits to weights, the statistics of the page, and the share of its weights in the sums so far.
  __device__ void weigh(const KvPage& page, const Metadata<steps>& metadata, unsigned at, float (&logits)[groups][8]) {
#pragma unroll
    for (unsigned group = 0; group < groups; ++group) {
      float largest = -std::numeric_limits<float>::infinity();
#pragma unroll
      for (unsigned i = 0; i < 8; ++i)
        if (token(i) < page.tokens) largest = fmaxf(largest, logits[group][i]);
      largest = over_sum_lanes(largest, [](float a, float b) { return fmaxf(a, b); });
      float mass = 0.0F, energy = 0.0F;
#pragma unroll
      for (unsigned i = 0; i < 8; i += 2) {
        const float2 norm = metadata.norms(token(i) / 2);
#pragma unroll
        for (unsigned n = 0; n < 2; ++n) {
          float& weight = logits[group][i + n];
          weight = token(i + n) < page.tokens ? expf(larger_or_nan(weight - largest, least_exponent)) : 0.0F;
          mass += weight;
          const float of = n == 0 ? norm.x : norm.y;
          energy = fmaf(of * of, weight, energy);
        }
      }
      mass = sum_of_sum_lanes(mass);
      energy = sum_of_sum_lanes(energy);
      if (writes(group)) {
        const PageStatistics& to = read_.statistics;
        const unsigned head = 4 * group + lane_;
        write(to.max_logit, head, at, largest);
        write(to.mass, head, at, mass);
        write(to.energy, head, at, energy);
      }
      admit(group, largest, mass);
      auto& row = buffers_.weights[group][lane_ % 4];
      if (page.value_level == PageLevel::exact) {
#pragma unroll
        for (unsigned i = 0; i < 8; ++i) row[token(i)] = logits[group][i];
      } else {
        weight_sum_[group] = store_weight_codes(logits[group], lane_, reinterpret_cast<std::uint32_t*>(row));
        share_[group] *= 1.0F / weight_code_end;
      }
    }
  }

  __device__ void admit(unsigned group, float largest, float mass) {
    float shrink = 1.0F;
    if (largest > max_logit[group]) {
      shrink = expf(max_logit[group] - largest);
      max_logit[group] = largest;
    }
    if (__any_sync(~0U, shrink != 1.0F)) {
#pragma unroll
      for (unsigned b = 0; b < steps; ++b)
#pragma unroll
        for (unsigned c = 0; c < 4; ++c) output[group][b][c] *= shrink;
      total[group] *= static_cast<double>(shrink);
    }
    share_[group] = expf(largest - max_logit[group]);
    total[group] += static_cast<double>(share_[group]) * static_cast<double>(mass);
  }

  // Brings part after part of the values; the first one is there.
  template <class Copy, class Add>
  __device__ void in_parts(unsigned count, Copy copy, Add add) {
    add(0);
    for (unsigned part = 1; part < count; ++part) {
      __syncwarp();
      copy(part);
      commit_copies();
      wait_for_copies<0>();
      add(part);
    }
  }

  __device__ void add_values(const KvPage& page, const Metadata<steps>& metadata) {
    std::byte* const values = buffers_.values;
    if (page.value_level == PageLevel::exact) {
      const bool bfloat = shape_.type == KvType::bfloat16;
      in_parts((page.tokens + quarter_page - 1) / quarter_page,
               [&](unsigned quarter) { copies_.exact_values(page, quarter, values); },
               [&](unsigned quarter) {
                 if (bfloat)
                   add_exact_values<true>(values, quarter, lane_, buffers_.weights, share_, output);
                 else
                   add_exact_values<false>(values, quarter, lane_, buffers_.weights, share_, output);
               });
      return;
    }
    std::uint32_t weights[groups][2][2];
#pragma unroll
    for (unsigned group = 0; group < groups; ++group)
      load_weight_codes(reinterpret_cast<const std::uint32_t*>(buffers_.weights[group][lane_ / 8]), lane_,
                        weights[group]);
    if (page.value_level == PageLevel::bits4)
      add_coded_values<false>(values, 0, metadata, lane_, weights, weight_sum_, share_, output);
    else
      in_parts(
          2, [&](unsigned half) { copies_.wide_values(page, half, values); },
          [&](unsigned half) {
            add_coded_values<true>(values, half, metadata, lane_, weights, weight_sum_, share_, output);
          });
  }

  __device__ void describe_values(const KvPage& page, const Metadata<steps>& metadata, unsigned at) const {
    if (lane_ != 0 || first_head_ != 0 || read_.statistics.radius == nullptr) return;
    const PageSummary& summary = metadata.summary();
    const bool coded = is_coded(page.value_level);
    const int level = page.value_level == PageLevel::bits8 ? 1 : 0;
    read_.statistics.value_reach[at] = summary.value_reach;
    read_.statistics.value_residual[at] = coded ? summary.value_residual[level] : 0.0F;
    read_.statistics.value_spread[at] = coded ? summary.value_spread[level] : 0.0F;
  }

  // Number i of the lane's 8: see multiply_keys().
  __device__ unsigned token(unsigned i) const { return i / 4 * half_page + lane_ / 4 * 4 + i % 4; }

  const AttendShape& shape_;
  const KvRead& read_;
  unsigned read_number_, first_head_;
  Block<steps, groups>& block_;
  PageBuffers<steps, groups>& buffers_;
  unsigned lane_;
  PageCopies<steps> copies_;
  float query_rounding_;  // of a query to integers, for codes of norm 1
  FirstFault* fault_;
  float share_[groups];  // of the page, in units of its weights
  int weight_sum_[groups];
};

}  // namespace mpp::kernels::cuda
