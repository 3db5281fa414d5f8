#include <mpp/ranking/candidates.hpp>

#if MPP_HAVE_FAISS
#include <algorithm>
#include <limits>

#include <faiss/IndexFlat.h>

#include <mpp/core/error.hpp>
#include <mpp/ranking/cells.hpp>

#include "src/faiss_id.hpp"
#include "src/float_distances.hpp"
#include "src/unit_rows.hpp"

namespace mpp::ranking {
namespace {

// For a fixed query, cosine orders unit vectors as the inner product does; centres keep their (shorter) length, as in
// spherical k-means before the last step: a cell of scattered rows then ranks behind a tight one.
faiss::MetricType faiss_metric(Metric metric) {
  return metric == Metric::l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
}

}  // namespace

struct IvfCandidates::Impl {
  faiss::IndexFlat centers;
  std::vector<std::size_t> start;   // [cells + 1]: rows of cell c are rows[start[c]] to rows[start[c + 1]]
  std::vector<std::uint32_t> rows;  // [n]

  Impl(const Cells& cells, std::size_t dims, Metric metric)
      : centers(static_cast<FaissId>(dims), faiss_metric(metric)), start(cells.centers.size() / dims + 1, 0),
        rows(cells.assignment.size()) {
    centers.add(static_cast<FaissId>(cells.centers.size() / dims), cells.centers.data());
    for (const std::uint32_t cell : cells.assignment) ++start[cell + 1];
    for (std::size_t c = 1; c < start.size(); ++c) start[c] += start[c - 1];
    std::vector<std::size_t> next = start;
    for (std::size_t i = 0; i < rows.size(); ++i) rows[next[cells.assignment[i]]++] = static_cast<std::uint32_t>(i);
  }

  std::span<const std::uint32_t> list(std::size_t cell) const {
    return std::span(rows).subspan(start[cell], start[cell + 1] - start[cell]);
  }
};

IvfCandidates::IvfCandidates(std::span<const float> rows, std::size_t dims, std::size_t cells, Metric metric,
                             std::uint64_t seed) {
  expects<ShapeError>(dims > 0 && rows.size() % dims == 0, "IvfCandidates: rows has ", rows.size(),
                      " values, expected a multiple of dims = ", dims);
  expects<ShapeError>(rows.size() / dims <= std::numeric_limits<std::uint32_t>::max(),
                      "IvfCandidates: ", rows.size() / dims, " rows, expected fewer than 2^32");
  std::vector<float> scaled;
  if (metric == Metric::cosine) rows = scaled = unit_rows("IvfCandidates", rows, dims);
  impl_ = std::make_unique<Impl>(kmeans_cells(rows, dims, cells, seed), dims, metric);
}

std::vector<std::uint64_t> IvfCandidates::candidates(std::span<const float> query, std::size_t nprobe,
                                                     std::size_t limit) const {
  expects<ShapeError>(query.size() == dims(), "IvfCandidates: query has ", query.size(), " values, expected ", dims());
  check_float_distances("IvfCandidates", "query", query, dims());
  expects<ValueError>(nprobe >= 1, "IvfCandidates: nprobe is 0, expected at least 1");
  std::vector<FaissId> probed(std::min(nprobe, cells()));
  impl_->centers.assign(1, query.data(), probed.data(), static_cast<FaissId>(probed.size()));

  std::vector<std::uint64_t> ids;
  for (const FaissId cell : probed) {
    const auto list = impl_->list(static_cast<std::size_t>(cell));
    const auto taken = list.first(std::min(list.size(), limit - ids.size()));
    ids.insert(ids.end(), taken.begin(), taken.end());
  }
  return ids;
}

std::size_t IvfCandidates::dims() const noexcept { return static_cast<std::size_t>(impl_->centers.d); }
std::size_t IvfCandidates::cells() const noexcept { return impl_->start.size() - 1; }
Bytes IvfCandidates::bytes() const noexcept {
  return bytes_of<float>(cells() * dims()) + bytes_of<std::size_t>(impl_->start.size()) +
         bytes_of<std::uint32_t>(impl_->rows.size());
}

}  // namespace mpp::ranking

#else
#include "src/without_faiss.hpp"

namespace mpp::ranking {

struct IvfCandidates::Impl {};

IvfCandidates::IvfCandidates(std::span<const float>, std::size_t, std::size_t, Metric, std::uint64_t) {
  throw_without_faiss("IvfCandidates");
}

// The constructor leaves no object to call these on.
std::vector<std::uint64_t> IvfCandidates::candidates(std::span<const float>, std::size_t, std::size_t) const {
  throw_without_faiss("IvfCandidates::candidates");
}
std::size_t IvfCandidates::dims() const noexcept { return 0; }
std::size_t IvfCandidates::cells() const noexcept { return 0; }
Bytes IvfCandidates::bytes() const noexcept { return {}; }

}  // namespace mpp::ranking
#endif

namespace mpp::ranking {

IvfCandidates::~IvfCandidates() = default;
IvfCandidates::IvfCandidates(IvfCandidates&&) noexcept = default;
IvfCandidates& IvfCandidates::operator=(IvfCandidates&&) noexcept = default;

}  // namespace mpp::ranking
