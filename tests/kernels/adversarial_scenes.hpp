#pragma once
#include <cmath>

#include "kernels/interval_scene.hpp"

namespace mpp::kernels {

/// `n` rows of about unit norm.
inline std::vector<float> unit_rows(std::size_t n, std::size_t dims, unsigned seed) {
  return gaussian(n * dims, seed, 1.0 / std::sqrt(static_cast<double>(dims)));
}
inline std::vector<double> unit_query(std::size_t dims, unsigned seed) {
  return gaussian<double>(dims, seed, 1.0 / std::sqrt(static_cast<double>(dims)));
}
inline void append(std::vector<float>& rows, const std::vector<float>& row) {
  rows.insert(rows.end(), row.begin(), row.end());
}
inline std::vector<float> mapped(std::size_t dims, const std::function<double(std::size_t)>& value) {
  std::vector<float> row(dims);
  for (std::size_t j = 0; j < dims; ++j) row[j] = static_cast<float>(value(j));
  return row;
}

/// A power of two near 1 / sqrt(dims): a step that makes integer queries of ones have norm about 1.
inline double unit_step(std::size_t dims) {
  return std::ldexp(1.0, -static_cast<int>(std::lround(std::log2(static_cast<double>(dims)) / 2)));
}

/// Rows c (3, 1, 3, 1, ...) against the query (1, -1, 1, -1, ...), exactly on the coarse grid: the query points along
/// the residual of the first plane, so that Cauchy-Schwarz is an equality and only the rounding of r is in between.
inline Scene along_the_residual(std::size_t dims) {
  Scene scene{.name = "along the residual",
              .dims = dims,
              .rows = {},
              .query = std::vector<double>(dims),
              .coarse_step = unit_step(dims) / 31};
  scene.coarse_step = std::ldexp(1.0, std::ilogb(scene.coarse_step));
  for (std::size_t j = 0; j < dims; ++j) scene.query[j] = (j % 2 == 0 ? 16 : -16) * scene.coarse_step;
  const auto sizes = gaussian<double>(64, 51);
  for (const double size : sizes) {
    const double c = (0.2 + std::fabs(size) / 10) / std::sqrt(static_cast<double>(dims));
    append(scene.rows, mapped(dims, [&](std::size_t j) { return j % 2 == 0 ? 3 * c : c; }));
  }
  return scene;
}

/// One-hot rows against a query that is almost parallel to their code: the square root is all that is left of a
/// difference of nearly equal numbers. Exactly on the coarse grid.
inline Scene almost_parallel_to_the_code(std::size_t dims) {
  const double step = std::ldexp(1.0, -5) * unit_step(dims);
  Scene scene{.name = "almost parallel to the code",
              .dims = dims,
              .rows = {},
              .query = std::vector<double>(dims, 31 * step),
              .coarse_step = step};
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t at = i * 4 % dims;  // one per group of 4, whose sum may grow to 127
    scene.query[at] = 32 * step;
    append(scene.rows, mapped(dims, [&](std::size_t j) { return j == at ? 1.0 : 0.0; }));
  }
  return scene;
}

/// One-hot rows against a query whose rounded form is longer along their code than the query itself: t overestimates
/// the projection, and Cauchy-Schwarz with |t| in place of |t| - e would leave nothing for what is orthogonal.
inline Scene rounded_towards_the_code(std::size_t dims) {
  const double step = std::ldexp(1.0, -5) * unit_step(dims);
  Scene scene{.name = "rounded towards the code",
              .dims = dims,
              .rows = {},
              .query = std::vector<double>(dims, 30.51 * step),
              .coarse_step = step};
  for (std::size_t i = 0; i < 64; ++i) {
    const std::size_t at = i * 4 % dims;  // one per group of 4, whose sum may grow to 127
    scene.query[at] = 33.51 * step;
    append(scene.rows, mapped(dims, [&](std::size_t j) { return j == at ? 1.0 : 0.0; }));
  }
  return scene;
}

/// A one-hot row against queries within 2^-12 of its code: what is left under the square root is of the size of one
/// float rounding of its terms. dims is 8 times a number that makes sqrt(dims) exact in Half, so that no rounded-up
/// norm hides it; t is exact, so that no query error does.
inline std::vector<Scene> rounding_under_the_root() {
  std::vector<Scene> scenes;
  for (const std::size_t dims : {144, 576, 784})
    for (const int base : random_integers<int>(40, 3000, 4000, 55)) {
      const double step = std::ldexp(1.0, -12) * unit_step(dims);
      const double more = std::floor(base * std::sqrt(static_cast<double>(dims)) * 0x1p-12);
      Scene scene{.name = "rounding under the root",
                  .dims = dims,
                  .rows = std::vector<float>(dims, 0.0F),
                  .query = std::vector<double>(dims, base * step),
                  .fine_step = step};
      scene.rows[5] = 1.0F;
      scene.query[5] += more * step;
      scenes.push_back(scene);
    }
  return scenes;
}

/// Rows c (1, 1, ...) against a query with t = 0, whose rounding error points along the row: the score is a e, all of
/// it outside |a t| relative, and `a` is stored as Half.
inline Scene along_the_querys_rounding(std::size_t dims) {
  const double step = std::ldexp(1.0, -5) * unit_step(dims);
  Scene scene{.name = "along the query's rounding",
              .dims = dims,
              .rows = {},
              .query = std::vector<double>(dims),
              .coarse_step = step};
  for (std::size_t j = 0; j < dims; ++j) scene.query[j] = ((j % 2 == 0 ? 20 : -20) + 0.49) * step;
  const auto sizes = gaussian<double>(64, 52);
  for (const double size : sizes) {
    const double c = (0.5 + std::fabs(size) / 4) / std::sqrt(static_cast<double>(dims));
    append(scene.rows, mapped(dims, [&](std::size_t) { return c; }));
  }
  return scene;
}

/// Rows that a code holds exactly, up to the rounding of its scale, against a query exactly on the grid.
inline Scene exact_codes(std::size_t dims) {
  const double step = std::ldexp(1.0, -4) * unit_step(dims);
  Scene scene{.name = "exact codes", .dims = dims, .rows = {}, .query = std::vector<double>(dims), .coarse_step = step};
  for (std::size_t j = 0; j < dims; ++j) scene.query[j] = (j % 3 == 0 ? 31 : 15) * step;
  const auto sizes = gaussian<double>(64, 53);
  for (const double size : sizes) {
    const double c = (0.5 + std::fabs(size) / 4) / std::sqrt(static_cast<double>(dims));
    append(scene.rows, mapped(dims, [&](std::size_t j) { return j % 5 == 0 ? -c : c; }));
  }
  return scene;
}

/// Rows whose code after `plane` lies at a small angle to the query: q = v / ||v|| + beta r / ||r|| for row 0.
inline Scene tight_for_a_plane(const Context& context, std::size_t dims, std::size_t plane, double beta) {
  Scene scene{.name = text("tight for plane ", plane, ", beta ", beta),
              .dims = dims,
              .rows = unit_rows(1, dims, 54),
              .query = std::vector<double>(dims)};
  const HostCode code = quantize(context, scene.rows, dims);
  const auto v = reference::code_values(code.codes, 0, plane, dims);
  double yv = 0, vv = 0, rr = 0;
  for (std::size_t j = 0; j < dims; ++j) {
    yv += double{scene.rows[j]} * v[j];
    vv += double{1} * v[j] * v[j];
  }
  const auto residual = [&](std::size_t j) { return scene.rows[j] - yv / vv * v[j]; };
  for (std::size_t j = 0; j < dims; ++j) rr += residual(j) * residual(j);
  const double length = std::sqrt(1 + beta * beta);
  for (std::size_t j = 0; j < dims; ++j)
    scene.query[j] = (v[j] / std::sqrt(vv) + (rr == 0 ? 0 : beta * residual(j) / std::sqrt(rr))) / length;
  return scene;
}

/// Everything else that rows and queries can be.
inline std::vector<Scene> common_scenes(std::size_t dims) {
  const auto query = unit_query(dims, 61);
  Scene near_ties{.name = "near ties", .dims = dims, .rows = {}, .query = query};
  for (std::size_t i = 0; i < 64; ++i)  // neighbours differ by one unit in the last place of one coordinate
    append(near_ties.rows, mapped(dims, [&](std::size_t j) {
             const auto x = static_cast<float>(query[j]);
             return j == i % dims ? std::nextafter(x, i % 2 == 0 ? 2.0F : -2.0F) : x;
           }));
  Scene sparse{.name = "sparse", .dims = dims, .rows = {}, .query = query};
  for (std::size_t i = 0; i < 64; ++i)
    append(sparse.rows, mapped(dims, [&](std::size_t j) { return (i * 7 + j * 13) % 11 == 0 ? 0.3 : 0.0; }));
  Scene one_hot{.name = "one-hot rows and query", .dims = dims, .rows = {}, .query = std::vector<double>(dims, 0.0)};
  one_hot.query[3] = -1.0;
  for (std::size_t i = 0; i < 64; ++i)
    append(one_hot.rows, mapped(dims, [&](std::size_t j) { return j == i % dims ? (i % 2 == 0 ? 1.0 : -1.0) : 0.0; }));
  Scene mixed{.name = "norms from 1 down to 0", .dims = dims, .rows = {}, .query = query};
  const auto directions = unit_rows(64, dims, 62);
  for (std::size_t i = 0; i < 64; ++i)
    append(mixed.rows,
           mapped(dims, [&](std::size_t j) { return std::ldexp(directions[i * dims + j], -static_cast<int>(i)); }));
  append(mixed.rows, std::vector<float>(dims, 0.0F));
  Scene huge{.name = "huge", .dims = dims, .rows = unit_rows(64, dims, 63), .query = query, .unit_exponent = 120};
  for (float& x : huge.rows) x = std::ldexp(x, 120);
  Scene denormal{
      .name = "denormal", .dims = dims, .rows = unit_rows(64, dims, 64), .query = query, .unit_exponent = -130};
  for (float& x : denormal.rows) x = std::ldexp(x, -130);
  return {
      {.name = "gaussian", .dims = dims, .rows = unit_rows(130, dims, 65), .query = query},
      {.name = "offsets",
       .dims = dims,
       .rows = unit_rows(130, dims, 66),
       .query = query,
       .offset = -37.3F,
       .bias = 5.7F},
      {.name = "all equal",
       .dims = dims,
       .rows = std::vector<float>(64 * dims, 0.1F),
       .query = std::vector<double>(dims, 0.1)},
      {.name = "zero query", .dims = dims, .rows = unit_rows(64, dims, 67), .query = std::vector<double>(dims, 0.0)},
      near_ties,
      sparse,
      one_hot,
      mixed,
      huge,
      denormal,
  };
}

inline std::vector<Scene> all_scenes(const Context& context, std::size_t dims) {
  std::vector<Scene> scenes = common_scenes(dims);
  scenes.push_back(along_the_residual(dims));
  scenes.push_back(almost_parallel_to_the_code(dims));
  scenes.push_back(rounded_towards_the_code(dims));
  scenes.push_back(along_the_querys_rounding(dims));
  scenes.push_back(exact_codes(dims));
  for (std::size_t plane = 0; plane < planes; ++plane)
    for (const double beta : {0.0, 1e-4, -0.03, 0.3, -3.0, 1e4})
      scenes.push_back(tight_for_a_plane(context, dims, plane, beta));
  return scenes;
}

}  // namespace mpp::kernels
