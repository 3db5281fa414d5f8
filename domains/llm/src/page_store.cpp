#include "page_store.hpp"

namespace mpp::llm {
namespace {

std::size_t count(const Slot* slots, std::size_t most) noexcept {
  std::size_t n = 0;
  while (n < most && slots[n]) ++n;
  return n;
}

kernels::PageLevel level_of(std::size_t planes, bool exact) noexcept {
  return exact ? kernels::PageLevel::exact : static_cast<kernels::PageLevel>(planes);
}

const std::uint16_t* numbers(const std::byte* memory) noexcept {
  return reinterpret_cast<const std::uint16_t*>(memory);
}
std::uint32_t* words(const Slot& slot) noexcept { return reinterpret_cast<std::uint32_t*>(slot.address()); }

}  // namespace

std::size_t Page::key_plane_count() const noexcept { return count(key_planes, 3); }
std::size_t Page::value_plane_count() const noexcept { return count(value_planes, 2); }

std::byte* Page::exact_address(std::size_t which) const noexcept {
  return device_exact[which] ? device_exact[which].address() : exact[which].address();
}

kernels::KvPage Page::view() const noexcept {
  kernels::KvPage view;
  view.metadata = metadata.address();
  for (std::size_t b = 0; b < 3; ++b) view.key_planes[b] = words(key_planes[b]);
  for (std::size_t b = 0; b < 2; ++b) view.value_planes[b] = words(value_planes[b]);
  view.exact_keys = numbers(exact_address(0));
  view.exact_values = numbers(exact_address(1));
  view.generation = generation;
  view.tokens = static_cast<std::uint16_t>(tokens);
  view.key_level = level_of(key_plane_count(), read_exact[0]);
  view.value_level = level_of(value_plane_count(), read_exact[1]);
  return view;
}

PageRef::~PageRef() {
  if (page_ != nullptr && --page_->references == 0) page_->store->retire(*page_);
}

PageStore::PageStore(const kernels::Context& context, const KvGeometry& geometry, const KvCacheOptions& options,
                     Reservation& data, std::pmr::memory_resource* records, Reservation& bookkeeping,
                     std::pmr::memory_resource* lists)
    : context_(context), geometry_(geometry), options_(options), records_(records),
      tag_charge_(bookkeeping, Footprint::host(bytes_of<std::uint32_t>(most_tags))),
      tag_words_(context, most_tags * sizeof(std::uint32_t)), tag_copies_(context),
      metadata_(context, SlotMemory::device, kernels::page_metadata_bytes(geometry.head_dim), options.slab_slots, data,
                lists),
      planes_(context, SlotMemory::device, kernels::page_plane_bytes(geometry.head_dim), options.slab_slots, data,
              lists),
      host_exact_(context, SlotMemory::host, kernels::page_exact_bytes(geometry.head_dim), options.slab_slots, data,
                  lists),
      device_exact_(context, SlotMemory::device, kernels::page_exact_bytes(geometry.head_dim), options.slab_slots, data,
                    lists) {
  tag_charge_.use();
}

PageStore::~PageStore() { destroy_retired(); }

PageRef PageStore::make() {
  std::pmr::polymorphic_allocator<> allocator(records_);
  Slot metadata = metadata_.acquire();
  PageRef page(allocator.new_object<Page>());
  page->store = this;
  page->metadata = std::move(metadata);
  tag(*page);
  return page;
}

PageRef PageStore::make_open(bool with_exact) {
  PageRef page = make();
  for (std::size_t which = 0; which < 2 && with_exact; ++which)
    (one_memory() ? page->exact : page->device_exact)[which] = (one_memory() ? host_exact_ : device_exact_).acquire();
  page->read_exact[0] = page->read_exact[1] = true;
  return page;
}

PageRef PageStore::make_sealed(bool with_exact) {
  PageRef page = make();
  page->sealed = true;
  page->tokens = kernels::page_tokens;
  for (std::size_t b = 0; b < static_cast<std::size_t>(options_.key_level); ++b) page->key_planes[b] = acquire_plane();
  for (std::size_t b = 0; b < static_cast<std::size_t>(options_.value_level); ++b)
    page->value_planes[b] = acquire_plane();
  if (with_exact)
    for (Slot& slot : page->exact) slot = host_exact_.acquire();
  return page;
}

kernels::PageToQuantize PageStore::to_quantize(const Page& page, const void* keys, const void* values) const noexcept {
  kernels::PageToQuantize out;
  out.keys = static_cast<const std::uint16_t*>(keys);
  out.values = static_cast<const std::uint16_t*>(values);
  out.metadata = page.metadata.address();
  for (std::size_t b = 0; b < 3; ++b) out.key_planes[b] = words(page.key_planes[b]);
  for (std::size_t b = 0; b < 2; ++b) out.value_planes[b] = words(page.value_planes[b]);
  return out;
}

// 0 is no generation: it marks memory that was given up.
void PageStore::tag(Page& page) {
  if (++last_generation_ == 0) ++last_generation_;
  page.generation = last_generation_;
  write_tag(page, page.generation);
}

void PageStore::write_tag(const Page& page, std::uint32_t generation) {
  if (tags_ == most_tags) write_tags();
  auto* const words = reinterpret_cast<std::uint32_t*>(tag_words_.data());
  words[tags_] = generation;
  tag_copies_.add(words + tags_, page.metadata.address(), sizeof(generation));
  ++tags_;
}

void PageStore::write_tags() {
  tag_copies_.flush();
  tags_ = 0;
}

void PageStore::retire(Page& page) noexcept { page.next_retired = std::exchange(retired_, &page); }

void PageStore::settle() {
  write_tags();  // of what was made and is retired already: a piece of metadata is in a batch once
  for (const Page* page = retired_; page != nullptr; page = page->next_retired) write_tag(*page, 0);
  write_tags();
  destroy_retired();
}

void PageStore::destroy_retired() noexcept {
  std::pmr::polymorphic_allocator<> allocator(records_);
  while (retired_ != nullptr) allocator.delete_object(std::exchange(retired_, retired_->next_retired));
}

void PageStore::keep() {
  settle();
  for (SlotPool* pool : {&metadata_, &planes_, &host_exact_, &device_exact_}) pool->keep_fresh();
}
void PageStore::undo() {
  settle();
  for (SlotPool* pool : {&metadata_, &planes_, &host_exact_, &device_exact_}) pool->undo_fresh();
}
void PageStore::trim() noexcept {
  for (SlotPool* pool : {&metadata_, &planes_, &host_exact_, &device_exact_}) pool->trim();
}

KvUsage PageStore::count() const noexcept {
  KvUsage usage;
  usage.pages = metadata_.used();
  usage.planes = planes_.used();
  usage.host_exact = host_exact_.used();
  usage.device_exact = device_exact_.used();
  return usage;
}

}  // namespace mpp::llm
