// Promotion, demotion and eviction of single pages.
#include <algorithm>

#include "kv_cache_state.hpp"

namespace mpp::llm {
namespace {

using kernels::PageLevel;

// Planes that a level needs. A page that is promoted from nothing to exact gets the first: it can be demoted again.
std::size_t planes_for(PageLevel level) noexcept {
  return level == PageLevel::exact ? 1 : static_cast<std::size_t>(level);
}
// Planes that a level leaves a page that has some.
std::size_t planes_left(PageLevel level, std::size_t planes) noexcept {
  return level == PageLevel::exact ? planes : std::min(planes, static_cast<std::size_t>(level));
}

void check_levels(PageLevel keys, PageLevel values, const char* operation) {
  expects<ValueError>(keys <= PageLevel::exact && values <= PageLevel::exact && values != PageLevel::bits12,
                      "PagedKvCache::", operation, ": levels of keys and values are ", static_cast<int>(keys), " and ",
                      static_cast<int>(values), ", expected omitted, bits4, bits8, bits12 (keys only) or exact");
  expects<ValueError>((keys == PageLevel::omitted) == (values == PageLevel::omitted), "PagedKvCache::", operation,
                      ": levels of keys and values are ", static_cast<int>(keys), " and ", static_cast<int>(values),
                      ", expected both omitted or neither");
}

// Takes planes away from the last one down to `left`.
void drop_planes(Slot* planes, std::size_t have, std::size_t left) noexcept {
  for (std::size_t b = left; b < have; ++b) planes[b] = Slot();
}

}  // namespace

std::optional<Denial> PagedKvCache::promote(SequenceId sequence, const PageName& name, PageLevel keys,
                                            PageLevel values) {
  check_levels(keys, values, "promote");
  Page& page = state_->sealed_page(sequence, name, "promote");
  const bool exact[2] = {keys == PageLevel::exact, values == PageLevel::exact};
  const std::size_t have[2] = {page.key_plane_count(), page.value_plane_count()};
  const std::size_t need[2] = {std::max(have[0], planes_for(keys)), std::max(have[1], planes_for(values))};
  const bool makes_planes = need[0] > have[0] || need[1] > have[1];
  for (std::size_t which = 0; which < 2; ++which)
    expects<ValueError>((!makes_planes && !exact[which]) || page.exact_address(which) != nullptr,
                        "PagedKvCache::promote: page ", name.page, " lacks what is asked for, and its exact ",
                        which == 0 ? "keys" : "values", " were dropped");
  return state_->attempt([&] {
    PageStore& store = state_->store;
    Slot key_planes[3], value_planes[2], device_exact[2];
    kernels::PageToQuantize planes = store.to_quantize({}, page.exact_address(0), page.exact_address(1));
    const auto add = [&](Slot& slot, std::uint32_t*& words) {
      slot = store.acquire_plane();
      words = reinterpret_cast<std::uint32_t*>(slot.address());
    };
    for (std::size_t b = have[0]; b < need[0]; ++b) add(key_planes[b], planes.key_planes[b]);
    for (std::size_t b = have[1]; b < need[1]; ++b) add(value_planes[b], planes.value_planes[b]);
    CopyBatch copies(state_->context);
    for (std::size_t which = 0; which < 2; ++which) {
      if (!exact[which] || store.one_memory() || page.device_exact[which]) continue;
      device_exact[which] = store.acquire_device_exact();
      copies.add(page.exact_address(which), device_exact[which].address(),
                 kernels::page_exact_bytes(state_->geometry.head_dim));
    }
    copies.flush();
    planes.metadata = page.metadata.address();
    if (makes_planes) store.encode(planes);
    for (std::size_t b = have[0]; b < need[0]; ++b) page.key_planes[b] = std::move(key_planes[b]);
    for (std::size_t b = have[1]; b < need[1]; ++b) page.value_planes[b] = std::move(value_planes[b]);
    for (std::size_t which = 0; which < 2; ++which) {
      if (device_exact[which]) page.device_exact[which] = std::move(device_exact[which]);
      page.read_exact[which] = page.read_exact[which] || exact[which];
    }
    state_->refresh(name, page);
  });
}

void PagedKvCache::demote(SequenceId sequence, const PageName& name, PageLevel keys, PageLevel values) {
  check_levels(keys, values, "demote");
  Page& page = state_->sealed_page(sequence, name, "demote");
  const std::size_t have[2] = {page.key_plane_count(), page.value_plane_count()};
  const std::size_t left[2] = {planes_left(keys, have[0]), planes_left(values, have[1])};
  const bool exact[2] = {page.read_exact[0] && keys == PageLevel::exact,
                         page.read_exact[1] && values == PageLevel::exact};
  if (std::ranges::equal(have, left) && std::ranges::equal(page.read_exact, exact)) return;
  state_->store.tag(page);
  state_->store.write_tags();
  drop_planes(page.key_planes, have[0], left[0]);
  drop_planes(page.value_planes, have[1], left[1]);
  for (std::size_t which = 0; which < 2; ++which) {
    page.read_exact[which] = exact[which];
    if (!exact[which] && page.exact[which]) page.device_exact[which] = Slot();
  }
  state_->refresh(name, page);
}

void PagedKvCache::drop_exact(SequenceId sequence, const PageName& name) {
  Page& page = state_->sealed_page(sequence, name, "drop_exact");
  expects<ValueError>(!page.read_exact[0] && !page.read_exact[1], "PagedKvCache::drop_exact: page ", name.page,
                      " is read exactly, expected one that was demoted before");
  if (!page.exact[0]) return;
  state_->store.tag(page);
  state_->store.write_tags();
  for (Slot& slot : page.exact) slot = Slot();
  state_->refresh(name, page);
}

}  // namespace mpp::llm
