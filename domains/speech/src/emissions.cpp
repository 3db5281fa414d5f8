#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/speech/emissions.hpp>

namespace mpp::speech {

void check_emissions(const Emissions& e, std::uint64_t first_frame) {
  constexpr std::size_t limit = std::size_t{1} << 31;
  expects<ShapeError>(e.frames >= 1 && e.frames < limit, "emissions: ", e.frames, " frames, expected 1 to 2^31 - 1");
  expects<ShapeError>(e.tokens >= 1 && e.tokens < limit, "emissions: ", e.tokens, " tokens, expected 1 to 2^31 - 1");
  expects<ShapeError>(e.log_probs.size() == e.frames * e.tokens, "emissions: log_probs has ", e.log_probs.size(),
                      " values, expected frames x tokens = ", e.frames, " x ", e.tokens);
  expects<ValueError>(e.blank < e.tokens, "emissions: blank is ", e.blank, ", expected below tokens = ", e.tokens);
  for (std::size_t i = 0; i < e.log_probs.size(); ++i)
    expects<ValueError>(e.log_probs[i] < std::numeric_limits<float>::infinity(), "emissions: frame ",
                        first_frame + i / e.tokens, ", token ", i % e.tokens, " is ", e.log_probs[i],
                        ", expected a number or -infinity");
}

void check_normalised(const Emissions& e, std::uint64_t first_frame) {
  check_emissions(e, first_frame);
  for (std::size_t t = 0; t < e.frames; ++t) {
    double sum = 0.0;
    for (const float value : e.row(t)) sum += std::exp(static_cast<double>(value));
    expects<ValueError>(std::abs(sum - 1.0) <= row_sum_tolerance, "emissions: the probabilities of frame ",
                        first_frame + t, " sum to ", sum, ", expected 1 within ", row_sum_tolerance,
                        "; log_softmax() normalises logits");
  }
}

EmissionMatrix log_softmax(const EmissionMatrix& matrix) {
  check_emissions(matrix.view(0));
  EmissionMatrix out = matrix;
  for (std::size_t t = 0; t < matrix.frames; ++t) {
    const std::span row = std::span(out.log_probs).subspan(t * matrix.tokens, matrix.tokens);
    double most = -std::numeric_limits<double>::infinity();
    for (const float value : row) most = std::max(most, static_cast<double>(value));
    expects<ValueError>(std::isfinite(most), "log_softmax: every value of frame ", t, " is -infinity");
    double sum = 0.0;
    for (const float value : row) sum += std::exp(static_cast<double>(value) - most);
    const double shift = most + std::log(sum);
    for (float& value : row) value = static_cast<float>(static_cast<double>(value) - shift);
  }
  return out;
}

}  // namespace mpp::speech
