#pragma once
#include <mpp/core/error.hpp>

namespace mpp::ranking {

/// What an operation that needs FAISS says in a build without it.
[[noreturn]] inline void throw_without_faiss(const char* operation) {
  throw BackendUnavailable(text(operation,
                                ": this build has no FAISS; install it (Debian: libfaiss-dev) and configure "
                                "with -DMPP_FAISS=ON"));
}

}  // namespace mpp::ranking
