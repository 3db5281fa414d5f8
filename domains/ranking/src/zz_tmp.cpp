#include "src/check_columns.hpp"
#include <mpp/ranking/cells.hpp>
namespace mpp::ranking { void check_columns(const PoolColumns&) {}
Cells single_cell(std::span<const float> rows, std::size_t dims){ Cells c; c.centers.resize(dims); std::vector<double> m(dims); size_t n=rows.size()/dims; for(size_t i=0;i<n;i++)for(size_t j=0;j<dims;j++)m[j]+=rows[i*dims+j]; for(size_t j=0;j<dims;j++)c.centers[j]=n? (float)(m[j]/double(n)):0; c.assignment.assign(n,0); return c;}
Cells kmeans_cells(std::span<const float>, std::size_t, std::size_t, std::uint64_t){ throw BackendUnavailable("x"); }
}
