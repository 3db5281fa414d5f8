#pragma once
#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>

#include "kernels/samples.hpp"
#include "kernels/score_frame.hpp"
#include "reference/interval.hpp"
#include "reference/rescore.hpp"
#include "reference/screen.hpp"

namespace mpp::kernels {

/// Rows and a query whose true scores must lie inside their intervals. Query and largest row have norms of about 1
/// in units of 2^unit_exponent for the rows.
struct Scene {
  std::string name;
  std::size_t dims{};
  std::vector<float> rows;
  std::vector<double> query;
  double coarse_step = 0.0;  ///< step of the coarse code; 0 leaves it to quantize_query()
  double fine_step = 0.0;    ///< step of the fine code; likewise
  int unit_exponent = 0;
  float offset = 0.0F;  ///< of every block
  float bias = 0.0F;    ///< largest magnitude of the rows' own

  std::size_t size() const { return rows.size() / dims; }
  std::span<const float> row(std::size_t i) const { return std::span(rows).subspan(i * dims, dims); }
  float bias_of(std::size_t i) const { return bias * static_cast<float>(static_cast<int>(i % 9) - 4) / 4.0F; }
  float base_of(std::size_t i) const { return offset + bias_of(i); }
  double largest_base() const { return std::fabs(double{offset}) + double{bias}; }

  /// offset + bias + x . q 2^-unit_exponent, in 113 bits.
  reference::Quad true_score(std::size_t i) const {
    const reference::Quad product = reference::exact_dot(row(i), std::span<const double>(query));
    return reference::Quad{offset} + bias_of(i) + product * reference::Quad{std::ldexp(1.0, -unit_exponent)};
  }
};

/// What a broken twin does to the inputs of an otherwise correct interval.
struct Breakage {
  std::function<void(ScoreFrame&)> frame = [](ScoreFrame&) {};
  std::function<void(PlaneFactors&, std::span<const float>, std::span<const int>, int)> factors =
      [](PlaneFactors&, std::span<const float>, std::span<const int>, int) {};
};

/// A coded scene: everything the interval operations read, on the host. `Breakage` is applied here.
class CodedScene {
 public:
  CodedScene(const Context& context, const Scene& scene, const Breakage& breakage = {}, float tail = 0.0F)
      : scene_(scene), code_(quantize(context, scene.rows, scene.dims, scene.unit_exponent)),
        coarse_(code_query(scene.query, coarse_grid, 0, scene.largest_base(), scene.coarse_step)) {
    for (std::size_t p = 0; p < planes; ++p)
      fine_[p] = code_query(scene.query, fine_grid, p, scene.largest_base(), scene.fine_step);
    const auto finish = [&](ScoreFrame& frame) {
      frame.tail = tail;
      breakage.frame(frame);
    };
    finish(coarse_.frame);
    for (CodedQuery& query : fine_) finish(query.frame);
    for (std::size_t p = 0; p < planes; ++p)
      for (std::size_t i = 0; i < scene.size(); ++i)
        breakage.factors(code_.factors[p][i], scene.row(i), values(i, p), scene.unit_exponent);
  }

  const Scene& scene() const { return scene_; }
  const PlaneFactors& factors(std::size_t i, std::size_t plane) const { return code_.factors[plane][i]; }
  std::vector<int> values(std::size_t i, std::size_t plane) const {
    return reference::code_values(code_.codes, i, plane, scene_.dims);
  }
  /// The first plane is screened with the coarse query, the others are refined with the fine one.
  const CodedQuery& coarse() const { return coarse_; }
  const CodedQuery& fine(std::size_t plane) const { return fine_[plane]; }
  std::int64_t coarse_dot(std::size_t i) const { return reference::dot(values(i, 0), coarse_.code); }
  std::int64_t fine_dot(std::size_t i, std::size_t plane) const {
    return reference::dot(values(i, plane), fine_[plane].code);
  }

 private:
  Scene scene_;
  HostCode code_;
  CodedQuery coarse_;
  std::array<CodedQuery, planes> fine_;
};

/// The first plane of a scene as mark_reaching() and best_midpoints() take it, in the memory of a device.
class ResidentScene {
 public:
  ResidentScene(const Context& context, const CodedScene& coded) : context_(context) {
    const std::size_t n = blocks_of(coded.scene().size()) * block_rows;
    scale.resize(n);
    residual.resize(n);
    bias.resize(n);
    dots.resize(n);
    offset.assign(n / block_rows, coded.scene().offset);
    allowed.assign(n / block_rows, 0);
    for (std::size_t i = 0; i < coded.scene().size(); ++i) {
      scale[i] = coded.factors(i, 0).scale;
      residual[i] = coded.factors(i, 0).residual;
      bias[i] = coded.scene().bias_of(i);
      dots[i] = static_cast<std::int16_t>(coded.coarse_dot(i));
      allowed[i / block_rows] |= std::uint64_t{1} << (i % block_rows);
    }
    // The norm of a 1-slice plane is sqrt(dims), stored as a float; a breakage of the norm arrives through the factors.
    const float exact = float_above(std::sqrt(static_cast<double>(coded.scene().dims)));
    const float stored = coded.scene().size() == 0 ? exact : to_float(coded.factors(0, 0).norm);
    norm = stored < exact ? stored : exact;
    device_scale = DeviceArray<Half>(context, std::span<const Half>(scale));
    device_residual = DeviceArray<Half>(context, std::span<const Half>(residual));
    device_offset = DeviceArray<float>(context, std::span<const float>(offset));
    device_bias = DeviceArray<float>(context, std::span<const float>(bias));
    device_dots = DeviceArray<std::int16_t>(context, std::span<const std::int16_t>(dots));
  }

  /// The same arrays on the host, for the reference.
  BlockRows host_rows() const { return {{scale, residual, norm}, offset, bias, allowed}; }

  struct Marked {
    std::vector<std::uint64_t> words;
    Reach reach;
  };
  Marked mark(const ScoreFrame& frame, float threshold, const std::vector<std::uint64_t>& which) const {
    const DeviceArray<std::uint64_t> device_allowed(context_, std::span<const std::uint64_t>(which));
    DeviceArray<std::uint64_t> marked(context_, which.size());
    const Reach reach =
        mark_reaching(context_, device_dots.span(), device_rows(device_allowed), frame, threshold, marked.span());
    return {marked.to_host(), reach};
  }
  std::vector<Candidate> best(const ScoreFrame& frame, std::size_t k) const {
    const DeviceArray<std::uint64_t> device_allowed(context_, std::span<const std::uint64_t>(allowed));
    DeviceArray<Candidate> best(context_, k);
    const std::size_t kept =
        best_midpoints(context_, device_dots.span(), device_rows(device_allowed), frame, best.span());
    auto out = best.to_host();
    out.resize(kept);
    return out;
  }

  std::vector<Half> scale, residual;
  std::vector<float> bias, offset;
  std::vector<std::int16_t> dots;
  std::vector<std::uint64_t> allowed;
  float norm{};

 private:
  BlockRows device_rows(const DeviceArray<std::uint64_t>& which) const {
    return {
        {device_scale.span(), device_residual.span(), norm}, device_offset.span(), device_bias.span(), which.span()};
  }

  Context context_;
  DeviceArray<Half> device_scale, device_residual;
  DeviceArray<float> device_offset, device_bias;
  DeviceArray<std::int16_t> device_dots;
};

/// tighten_intervals() of all rows of a scene by one plane.
inline void tighten(const Context& context, const CodedScene& coded, std::size_t plane,
                    std::vector<ScoreInterval>& intervals) {
  std::vector<std::int32_t> dots;
  std::vector<PlaneFactors> factors;
  std::vector<float> base;
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    dots.push_back(static_cast<std::int32_t>(coded.fine_dot(i, plane)));
    factors.push_back(coded.factors(i, plane));
    base.push_back(coded.scene().base_of(i));
  }
  const DeviceArray<std::int32_t> device_dots(context, std::span<const std::int32_t>(dots));
  const DeviceArray<PlaneFactors> device_factors(context, std::span<const PlaneFactors>(factors));
  const DeviceArray<float> device_base(context, std::span<const float>(base));
  DeviceArray<ScoreInterval> out(context, std::span<const ScoreInterval>(intervals));
  tighten_intervals(context, device_dots.span(), device_factors.span(), device_base.span(), coded.fine(plane).frame,
                    out.span());
  intervals = out.to_host();
}

inline std::vector<ScoreInterval> unlimited(std::size_t n) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  return std::vector<ScoreInterval>(n, ScoreInterval{-inf, inf});
}

}  // namespace mpp::kernels
