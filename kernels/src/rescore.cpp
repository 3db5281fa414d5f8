#include <mpp/kernels/rescore.hpp>

#include "src/dispatch.hpp"

namespace mpp::kernels {

void rescore(const Context& context, std::span<const float> rows, std::span<const float> query, Metric metric,
             std::span<double> scores) {
  expects<ShapeError>(!query.empty(), "rescore: query is empty");
  expects<ShapeError>(rows.size() == scores.size() * query.size(), "rescore: rows has ", rows.size(),
                      " values, expected ", scores.size() * query.size());
  dispatch(
      context, [&] { cpu::rescore(context, rows, query, metric, scores); },
      [&] { cuda::rescore(context, rows, query, metric, scores); });
}

}  // namespace mpp::kernels
