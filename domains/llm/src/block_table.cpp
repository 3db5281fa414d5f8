#include "block_table.hpp"

#include <algorithm>

namespace mpp::llm {

BlockTable::Room BlockTable::room_for(std::size_t pages, const kernels::Context& context,
                                      Reservation& reservation) const {
  Room room(room_.pages.get_allocator().resource());
  if (pages <= capacity()) return room;
  room.capacity = std::bit_ceil(std::max(pages, kv_least_table_entries));
  const bool copied = context.device != kernels::Device::cpu;
  const Bytes views = bytes_of<kernels::KvPage>(room.capacity);
  room.charge = Charge(reservation, Footprint::host(views) + (copied ? Footprint::device(views) : Footprint{}));
  room.views = kernels::HostBytes(context, views.count);
  if (copied) room.device_views = kernels::DeviceBytes(context, views.count);
  room.pages.reserve(room.capacity);
  room.charge.use();
  return room;
}

void BlockTable::move_into(Room&& room) noexcept {
  if (room.capacity == 0) return;
  std::ranges::copy(views(), reinterpret_cast<kernels::KvPage*>(room.views.data()));
  for (PageRef& page : room_.pages) room.pages.push_back(std::move(page));
  room_.pages.clear();
  std::swap(room_, room);
}

void BlockTable::share(const BlockTable& other) noexcept {
  room_.pages.assign(other.room_.pages.begin(), other.room_.pages.end());
  std::ranges::copy(other.views(), host());
}

void BlockTable::set(std::size_t p, PageRef page) noexcept {
  if (p == size())
    room_.pages.push_back(std::move(page));
  else
    room_.pages[p] = std::move(page);
  refresh(p);
}

void BlockTable::upload(std::size_t first, std::size_t end, CopyBatch& copies) const {
  if (room_.device_views.size() == 0 || first == end) return;
  copies.add(host() + first, static_cast<kernels::KvPage*>(room_.device_views.data()) + first,
             (end - first) * sizeof(kernels::KvPage));
}

}  // namespace mpp::llm
