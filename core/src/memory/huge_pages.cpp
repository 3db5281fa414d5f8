#include <mpp/core/memory/huge_pages.hpp>

#include <cstddef>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace mpp {
namespace {

constexpr std::size_t page = std::size_t{2} << 20;

class HugePages final : public std::pmr::memory_resource {
  static bool large(std::size_t bytes) { return bytes >= page / 2; }
  static std::size_t whole_pages(std::size_t bytes) { return (bytes + page - 1) / page * page; }

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (!large(bytes) || bytes > ~std::size_t{0} - page) return ::operator new(bytes, std::align_val_t{alignment});
    void* block = ::operator new(whole_pages(bytes), std::align_val_t{page});
#ifdef __linux__
    (void)::madvise(block, whole_pages(bytes), MADV_HUGEPAGE);  // only a hint
#endif
    return block;
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override {
    ::operator delete(block, std::align_val_t{large(bytes) && bytes <= ~std::size_t{0} - page ? page : alignment});
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

std::pmr::memory_resource* huge_page_resource() noexcept {
  static HugePages resource;
  return &resource;
}

}  // namespace mpp
