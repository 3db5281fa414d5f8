#include <mpp/llm/kv_geometry.hpp>

namespace mpp::llm {

Footprint kv_data_bytes(kernels::Device device, const KvGeometry& geometry, const KvUsage& count) noexcept {
  const Bytes metadata{kernels::page_metadata_bytes(geometry.head_dim)};
  const Bytes plane{kernels::page_plane_bytes(geometry.head_dim)};
  const Bytes exact{kernels::page_exact_bytes(geometry.head_dim)};
  return Footprint::of(plane_space(device), metadata * count.pages + plane * count.planes) +
         Footprint::device(exact * count.device_exact) + Footprint::host(exact * count.host_exact);
}

Footprint kv_table_bytes(kernels::Device device, const KvUsage& count) noexcept {
  const Footprint host =
      Footprint::host(Bytes{kv_page_record_bytes} * count.pages + Bytes{kv_table_entry_bytes} * count.table_entries);
  if (device == kernels::Device::cpu) return host;
  return host + Footprint::device(bytes_of<kernels::KvPage>(count.table_entries));
}

}  // namespace mpp::llm
