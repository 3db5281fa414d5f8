#pragma once
#include <faiss/Index.h>

namespace mpp::ranking {

/// FAISS's number of a row: Index::idx_t up to 1.7.3, faiss::idx_t since. This member has had that type in both.
using FaissId = decltype(faiss::Index::ntotal);

}  // namespace mpp::ranking
