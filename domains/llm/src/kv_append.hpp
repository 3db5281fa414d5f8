#pragma once
#include <array>
#include <span>

#include "kv_cache_state.hpp"

namespace mpp::llm {

/// One call of append(). acquire() takes all memory, fill() writes where no sequence looks yet, commit() makes it theirs.
class KvAppend {
 public:
  KvAppend(KvCacheState& cache, KvSequence& sequence, std::size_t layer, std::span<const std::uint16_t> keys,
           std::span<const std::uint16_t> values);
  void acquire();
  void fill();
  void commit();

 private:
  struct Target {
    std::byte* exact[2];  // keys, values [page_tokens][head_dim] in the memory of the context's device
    bool is_open_page;    // the page that was open already has its tokens there
  };
  std::size_t pages() const noexcept { return end_page_ - first_page_; }
  std::size_t tokens_of(std::size_t p) const noexcept;
  Page* open_page(std::size_t p, std::size_t head) const noexcept;
  bool takes_over(std::size_t p, std::size_t head) const noexcept;
  PageRef& made(std::size_t p, std::size_t head) noexcept { return made_[(p - first_page_) * heads_ + head]; }
  Target target(std::size_t p, std::size_t head) noexcept;
  void write_tokens(std::size_t p, std::size_t head, const Target& target, CopyBatch& copies) const;
  void seal(std::size_t p, CopyBatch& copies);

  KvCacheState& cache_;
  KvSequence& sequence_;
  std::size_t layer_, heads_, row_bytes_, before_, after_, first_page_, end_page_;
  std::array<std::span<const std::uint16_t>, 2> input_;  // keys, values
  std::pmr::vector<BlockTable::Room> rooms_;             // [heads]
  std::pmr::vector<PageRef> made_;                       // [pages][heads], null where the open page stays
  std::pmr::vector<Slot> staging_;                       // [heads][2], where exact pages are not written in place
  std::pmr::vector<kernels::PageToQuantize> batch_;      // [heads]
};

/// @throws ValueError, naming token, KV head and channel of a number that is not finite
void expect_finite(const KvCacheState& cache, std::span<const std::uint16_t> numbers, const char* argument);

}  // namespace mpp::llm
