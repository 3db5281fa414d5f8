// Bytes are unsigned: a negative number of them is not a request.
// expect: narrowing
#include <mpp/core/memory/footprint.hpp>

#ifdef MPP_BROKEN
constexpr auto bytes = mpp::Footprint::host({-1});
#else
constexpr auto bytes = mpp::Footprint::host({1});
#endif
static_assert(bytes[mpp::MemorySpace::host].count == 1);
