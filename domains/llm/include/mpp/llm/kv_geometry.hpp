#pragma once
#include <cstddef>
#include <cstdint>

#include <mpp/core/memory/footprint.hpp>
#include <mpp/kernels/context.hpp>
#include <mpp/kernels/kv_page.hpp>

namespace mpp::llm {

/// What one cache stores.
struct KvGeometry {
  std::size_t layers = 1;
  std::size_t num_kv_heads = 1;
  std::size_t head_dim = 128;                       ///< a multiple of 32, at most kernels::max_head_dim
  kernels::KvType type = kernels::KvType::float16;  ///< of exact keys and values
  friend bool operator==(const KvGeometry&, const KvGeometry&) noexcept = default;
};
/// Most layers, and most KV heads of a layer. With these no size of a cache overflows.
inline constexpr std::size_t most_layers = 4096, most_kv_heads = 4096;

/// Memory of a cache by kind. A page is kernels::page_tokens tokens of one KV head of one layer.
struct KvUsage {
  std::size_t pages = 0;          ///< of any kind; each has metadata
  std::size_t planes = 0;         ///< of 4 bits a number, keys and values
  std::size_t device_exact = 0;   ///< exact keys, or values, of a page in the memory of a CUDA device
  std::size_t host_exact = 0;     ///< exact keys, or values, of a page in host memory
  std::size_t table_entries = 0;  ///< capacity of all block tables

  Footprint data;         ///< of metadata, planes and exact numbers in use: kv_data_bytes()
  Footprint spare;        ///< of the same, allocated and free
  Footprint tables;       ///< records of pages and block tables: kv_table_bytes()
  Footprint bookkeeping;  ///< sequences, lists of slabs, staging
  [[nodiscard]] Footprint total() const noexcept { return data + spare + tables + bookkeeping; }
};

/// Bytes the cache keeps of each page beside its data, and of each block table entry. Entries come in powers of two.
inline constexpr std::size_t kv_page_record_bytes = 192;
inline constexpr std::size_t kv_table_entry_bytes = sizeof(kernels::KvPage) + sizeof(void*);
inline constexpr std::size_t kv_least_table_entries = 8;

/// Where planes and metadata are: on the device, which for the CPU is the host.
constexpr MemorySpace plane_space(kernels::Device device) noexcept {
  return device == kernels::Device::cpu ? MemorySpace::host : MemorySpace::device;
}

/// The documented formula: pages metadata + planes of 4 bits + exact numbers of 16 bits.
[[nodiscard]] Footprint kv_data_bytes(kernels::Device device, const KvGeometry& geometry,
                                      const KvUsage& count) noexcept;
/// Records of pages and block table entries; the device holds a second copy of the entries if it is not the CPU.
[[nodiscard]] Footprint kv_table_bytes(kernels::Device device, const KvUsage& count) noexcept;

}  // namespace mpp::llm
