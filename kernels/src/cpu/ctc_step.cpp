#include "src/cpu/ops.hpp"
#include "src/ctc/search.hpp"
#include "src/ctc/serial.hpp"

namespace mpp::kernels::cpu {

void ctc_step(const Context&, std::span<ctc::Work> work) {
  ctc::Board<most_ctc_cap> board;
  ctc::Serial serial;
  for (ctc::Work& one : work) ctc::Search(serial, board, one).run();
}

}  // namespace mpp::kernels::cpu
