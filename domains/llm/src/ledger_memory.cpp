#include "ledger_memory.hpp"

namespace mpp::llm {

void* LedgerResource::do_allocate(std::size_t bytes, std::size_t alignment) {
  const Footprint footprint = Footprint::host(Bytes{bytes});
  Charge claimed(reservation_, footprint);
  void* const memory = std::pmr::new_delete_resource()->allocate(bytes, alignment);
  claimed.use();
  claimed.keep();
  return memory;
}

void LedgerResource::do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) {
  std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  const Footprint footprint = Footprint::host(Bytes{bytes});
  reservation_.unuse(footprint);
  reservation_.shrink(footprint);
}

}  // namespace mpp::llm
