#pragma once
#include <mpp/ranking/pool_columns.hpp>

namespace mpp::ranking {

/// How the columns of a pool must fit together. @throws FormatError naming the field, what came and what was expected
void check_columns(const PoolColumns& columns);

}  // namespace mpp::ranking
