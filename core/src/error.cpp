// The error types are header-only; this file anchors nothing and keeps the library non-empty until sources exist.
#include <mpp/core/error.hpp>
