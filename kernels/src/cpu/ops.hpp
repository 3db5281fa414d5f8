#pragma once
#include <mpp/kernels/attend_paged.hpp>
#include <mpp/kernels/backward_bound.hpp>
#include <mpp/kernels/certificate_sums.hpp>
#include <mpp/kernels/ctc_step.hpp>
#include <mpp/kernels/interval.hpp>
#include <mpp/kernels/paged_copy.hpp>
#include <mpp/kernels/prefill_paged.hpp>
#include <mpp/kernels/quantize_nested.hpp>
#include <mpp/kernels/quantize_page.hpp>
#include <mpp/kernels/rescore.hpp>
#include <mpp/kernels/screen.hpp>
#include <mpp/kernels/topk.hpp>

namespace mpp::kernels::ctc {
struct Work;
}

// The CPU back end: Highway with run-time dispatch where it pays, plain C++ elsewhere. Shapes are checked by the callers.
namespace mpp::kernels::cpu {

void quantize_nested(const Context& context, std::span<const float> rows, std::size_t dims, int unit_exponent,
                     float clip, const NestedCode& out);
void dequantize(const Context& context, std::span<const std::span<const std::uint8_t>> codes,
                std::span<const PlaneFactors> factors, std::size_t plane, std::size_t dims, int unit_exponent,
                std::span<float> out);
void pack_blocks(const Context& context, std::span<const std::uint8_t> codes, std::size_t dims,
                 std::span<std::uint8_t> blocks);
void screen(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
            std::span<const ScreenQuery> queries);
void refine_blocks(const Context& context, std::span<const std::uint8_t> blocks, std::size_t dims,
                   std::span<const RefineQuery> queries);
void refine_dots(const Context& context, std::span<const std::uint8_t> rows, std::size_t plane_slice_count,
                 std::span<const std::int16_t> code, std::span<std::int32_t> dots);
std::size_t best_midpoints(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                           const ScoreFrame& frame, std::span<Candidate> best, float least);
Reach mark_reaching(const Context& context, std::span<const std::int16_t> dots, const BlockRows& rows,
                    const ScoreFrame& frame, float threshold, std::span<std::uint64_t> marked);
void compact_marked(const Context& context, std::span<const std::uint64_t> marked, std::span<std::uint32_t> rows);
void tighten_intervals(const Context& context, std::span<const std::int32_t> dots,
                       std::span<const PlaneFactors> factors, std::span<const float> base, const ScoreFrame& frame,
                       std::span<ScoreInterval> intervals);
void rescore(const Context& context, std::span<const float> rows, std::span<const float> query, Metric metric,
             std::span<double> scores);
void backward_bound(const Context& context, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset);
void quantize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages);
void summarize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages,
                    std::size_t tokens, std::size_t known);
void encode_planes(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages);
void attend_paged(const Context& context, const AttendShape& shape, std::span<const KvRead> reads);
[[nodiscard]] std::size_t prefill_scratch_floats(const AttendShape& shape) noexcept;
void prefill_paged(const AttendShape& shape, const PrefillRead& read, std::span<float> scratch);
void paged_copy(const Context& context, std::span<const CopyItem> items);
std::size_t topk(const Context& context, std::span<Scored> items, std::size_t k);
void certificate_sums(const Context& context, const AttendShape& shape, std::span<const KvRead> reads,
                      std::span<CertificateSums> sums);            ///< reads and sums are host arrays
void ctc_step(const Context& context, std::span<ctc::Work> work);  ///< host array, the state of each is written
[[nodiscard]] bool available() noexcept;
[[nodiscard]] std::string device_description();

}  // namespace mpp::kernels::cpu
