// Any bytes as an emission file: a FormatError, or a matrix that the checks take or refuse with a reason of their own, and
// whose decoding ends in a bound. Input: one byte (bit 0: JSON or separated text), then the file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory_resource>
#include <string>

#include <mpp/core/error.hpp>
#include <mpp/speech/score_gap.hpp>

namespace {

using namespace mpp::speech;

void decode(const EmissionMatrix& matrix) {
  if (matrix.frames > 40 || matrix.tokens > 40) return;  // the fuzzer is after the readers
  const EmissionMatrix m = log_softmax(matrix);
  const CtcRequest request{m.view(m.tokens - 1), 2};
  const CtcTier tier;
  CtcState state(std::pmr::new_delete_resource());
  for (mpp::Level level = 0; level < 2; ++level) {
    tier.materialise(request, state, level);
    if (!(tier.execute(request, state, level).gap >= 0.0)) std::abort();
  }
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
