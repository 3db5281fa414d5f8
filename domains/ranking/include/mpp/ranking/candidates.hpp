#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <mpp/core/memory/bytes.hpp>
#include <mpp/kernels/rescore.hpp>

namespace mpp::ranking {

using kernels::Metric;

/// A coarse index that proposes rows for a query: k-means cells (FAISS IVF) that keep row numbers only.
///
/// Pass what candidates() returns to a Filter, and a request ranks those rows and no others:
///
///   const IvfCandidates index(rows, dims, 1024, Metric::cosine);
///   const Filter filter(pool, index.candidates(query, 32, 20000));
///   request.filter = &filter;
///
/// Contract: the certificate of such a request speaks of the candidates, not of the pool. Score regret and certified
/// recall are relative to the best of the proposed rows; what the probed cells miss is bounded by nothing. A request
/// without a filter is certified over the whole pool.
class IvfCandidates {
 public:
  /// The numbers of the rows, 0 to n - 1, are the ids that Pool::build gives them. Keeps no reference to `rows`.
  ///
  /// @param rows   [n, dims], finite; for cosine no row may have length zero, otherwise squared distances must fit float
  ///               (magnitudes up to sqrt(largest float / (16 dims)))    @param cells  in [1, n]
  /// @param metric how cells are ranked for a query; rows belong to the cell with the nearest centre (for cosine after
  ///               scaling to unit length). Deterministic for a seed and a FAISS version.
  /// @throws ShapeError, ValueError; BackendUnavailable if the library was built without FAISS
  IvfCandidates(std::span<const float> rows, std::size_t dims, std::size_t cells, Metric metric,
                std::uint64_t seed = 1);
  ~IvfCandidates();
  IvfCandidates(IvfCandidates&&) noexcept;
  IvfCandidates& operator=(IvfCandidates&&) noexcept;

  /// Rows of the `nprobe` cells that suit the query best, cell after cell, each in ascending order; the first `limit`.
  /// Thread-safe.
  /// @param query  [dims], magnitudes as for rows    @param nprobe  at least 1; more than cells() means all
  /// @return       each row at most once; all rows if nprobe >= cells() and limit >= n
  [[nodiscard]] std::vector<std::uint64_t> candidates(std::span<const float> query, std::size_t nprobe,
                                                      std::size_t limit) const;

  [[nodiscard]] std::size_t dims() const noexcept;
  [[nodiscard]] std::size_t cells() const noexcept;
  [[nodiscard]] Bytes bytes() const noexcept;  ///< host memory: centres and 4 bytes a row

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mpp::ranking
