#pragma once
#include <mpp/ranking/pool_columns.hpp>

namespace mpp::ranking {

/// How the columns of a pool must fit together: sizes, ranges of scalars, cells and ids, and values that would turn a
/// bound into nonsense (NaN, infinity, a negative residual). Reads every resident column and the ids, and the rows only
/// when they are not mapped; codes and factors of planes 1 to 3 are not looked at.
/// Not checked, because only the builder can know: that the largest_* scalars, factors and bias really bound what
/// they claim to, that the codes were made with this rotation, and that it was drawn at random.
/// @throws FormatError naming the field, what came and what was expected
void check_columns(const PoolColumns& columns);

}  // namespace mpp::ranking
