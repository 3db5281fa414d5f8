#include <mpp/core/error.hpp>
