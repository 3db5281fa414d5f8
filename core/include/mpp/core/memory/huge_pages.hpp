#pragma once
#include <memory_resource>

namespace mpp {

/// Memory for large arrays that are read at random or filled at once: blocks of 1 MiB and more start on a 2 MiB boundary
/// and the system is asked to back them by huge pages (Linux: madvise; elsewhere this is plain new and delete). That
/// saves the page faults of a fresh block and most address translations of scattered reads. A hint: when it is refused,
/// the memory is ordinary. The last page of a block may hold up to 1 MiB that nobody asked for.
/// Lives as long as the program; thread-safe.
[[nodiscard]] std::pmr::memory_resource* huge_page_resource() noexcept;

}  // namespace mpp
