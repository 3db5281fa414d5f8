// Any bytes as an emission file: a FormatError, or a matrix that the checks take or refuse with a reason of their own, and
// whose decoding ends in a bound, as one utterance and as a stream. Input: one byte (bit 0: JSON or separated text), then
// the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <string>

#include <mpp/core/error.hpp>
#include <mpp/speech/ctc_stream.hpp>
#include <mpp/speech/score_gap.hpp>

namespace {

using namespace mpp::speech;

void decode(const EmissionMatrix& matrix) {
  if (matrix.frames > 40 || matrix.tokens > 40) return;  // the fuzzer is after the readers
  const EmissionMatrix m = log_softmax(matrix);
  const CtcRequest request{m.view(m.tokens - 1), 2};
  const CtcTier tier;
  CtcState state(std::pmr::new_delete_resource());
  double found = 0.0;  // ln P
  for (mpp::Level level = 0; level < 2; ++level) {
    tier.materialise(request, state, level);
    const CtcResult result = tier.execute(request, state, level);
    if (!(result.gap >= 0.0)) std::abort();
    found = result.best.front().log_prob_lower;
  }
  CtcStream stream(std::pmr::new_delete_resource(), m.tokens, m.tokens - 1, {.shortest_segment = 5});
  StreamOutput output;
  stream.feed(request.emissions, output);
  const StreamResult result = stream.finish(output);
  // The stream divides rows by their sums, which log_softmax() leaves at 1 within the rounding of a float.
  if (!(result.gap >= 0.0 && result.log_prob_upper + result.gap >= found - 1e-3)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const int fd = ::memfd_create("emissions", 0);
  if (fd < 0 || ::write(fd, data + 1, size - 1) != static_cast<ssize_t>(size - 1)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  try {
    decode((data[0] & 1) != 0 ? read_emissions_json(path) : read_emissions_csv(path));
  } catch (const mpp::FormatError&) {  // not a file of ours
  } catch (const mpp::ValueError&) {   // a row without mass
  }
  ::close(fd);
  return 0;
}
