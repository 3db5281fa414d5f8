// One block owns one page: its numbers as floats and its codes in shared memory, keys first, then values. A thread makes the
// grid of a channel, whole words of planes, or the norms of a token. Each norm is a sum in double over the channels in order,
// by one thread, as on the CPU: that the bytes agree is worth more here than speed, as a page is coded once.
#include <limits>

#include "ops.hpp"
#include "scratch.cuh"
#include "signs.cuh"
#include "spectral_norm.cuh"
#include "src/page_code.hpp"
#include "src/stored_page.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 256;
static_assert(block_width == Spectrum::width);
constexpr auto page_rows = static_cast<unsigned>(page_tokens);

using Position = unsigned long long;  // of the first number that is not finite: page, matrix, token, channel, kind

struct Layout {
  unsigned head_dim;
  __host__ __device__ unsigned exact_row() const { return head_dim + 1; }  // the tokens of a warp in different banks
  __host__ __device__ unsigned code_row() const { return head_dim + 2; }
  __host__ __device__ unsigned bytes() const {
    return 2 * head_dim * 8 + page_rows * (exact_row() * 4 + code_row() * 2);
  }
};

__device__ float device_number(KvType type, std::uint16_t bits) {
  return type == KvType::float16 ? device_float(Half{bits}) : __uint_as_float(std::uint32_t{bits} << 16);
}

/// Smallest Half >= value, which is finite and within its range.
__device__ Half signed_half_above(double value) {
  const Half nearest = device_nearest_half(value);
  if (static_cast<double>(device_float(nearest)) >= value) return nearest;
  const int next = (nearest.bits & 0x8000) != 0 ? nearest.bits - 1 : nearest.bits + 1;
  return {static_cast<std::uint16_t>(next)};
}

__device__ float rounded_up(double value) { return __double2float_ru(value * summary_slack); }

// Keys or values of a page in shared memory. The same steps as in cpu/quantize_page.cpp.
class Matrix {
 public:
  __device__ Matrix(std::byte* memory, Layout layout) : layout_(layout) {
    zero_ = reinterpret_cast<double*>(memory);
    step_ = zero_ + layout.head_dim;
    exact_ = reinterpret_cast<float*>(step_ + layout.head_dim);
    code_ = reinterpret_cast<std::uint16_t*>(exact_ + page_rows * layout.exact_row());
  }
  __device__ float exact(unsigned i, unsigned j) const { return exact_[i * layout_.exact_row() + j]; }
  __device__ int code(unsigned i, unsigned j) const { return code_[i * layout_.code_row() + j]; }
  __device__ double zero(unsigned j) const { return zero_[j]; }
  __device__ double step(unsigned j) const { return step_[j]; }
  __device__ double above_zero(unsigned i, unsigned j) const { return static_cast<double>(exact(i, j)) - zero_[j]; }

  __device__ void load(KvType type, unsigned tokens, const std::uint16_t* bits, Position matrix, Position* first_bad) {
    __syncthreads();
    for (unsigned k = threadIdx.x; k < tokens * layout_.head_dim; k += block_width) {
      const unsigned i = k / layout_.head_dim, j = k % layout_.head_dim;
      const float number = device_number(type, bits[k]);
      exact_[i * layout_.exact_row() + j] = number;
      if (isfinite(number)) continue;
      const Position kind = (isnan(number) ? 2U : 0U) + (bits[k] >> 15);
      atomicMin(first_bad, (((matrix * page_rows + i) << 8 | j) << 2) | kind);
    }
    __syncthreads();
  }

  /// @return whether this thread's channels are in the range of Half
  __device__ bool make_grid(Half* steps, Half* zeros) {
    bool in_range = true;
    for (unsigned j = threadIdx.x; j < layout_.head_dim; j += block_width) {
      float least = exact(0, j), most = exact(0, j);
      for (unsigned i = 1; i < page_rows; ++i) least = fminf(least, exact(i, j)), most = fmaxf(most, exact(i, j));
      const bool fits = static_cast<double>(fmaxf(-least, most)) <= half_range_end;
      Half zero{}, step{};
      if (fits) {
        zero = signed_half_above(-static_cast<double>(least));
        zero.bits ^= 0x8000;
        const double width = static_cast<double>(most) - static_cast<double>(device_float(zero));
        step = signed_half_above(fmax(width / 256.0, 0x1p-24));
      }
      zeros[j] = zero, zero_[j] = static_cast<double>(device_float(zero));
      steps[j] = step, step_[j] = static_cast<double>(device_float(step));
      in_range = in_range && fits;
    }
    __syncthreads();
    return in_range;
  }

  /// The grid that was made before.
  __device__ void take_grid(const Half* steps, const Half* zeros) {
    for (unsigned j = threadIdx.x; j < layout_.head_dim; j += block_width) {
      zero_[j] = static_cast<double>(device_float(zeros[j]));
      step_[j] = static_cast<double>(device_float(steps[j]));
    }
    __syncthreads();
  }

  __device__ void make_codes() {
    for (unsigned k = threadIdx.x; k < page_rows * layout_.head_dim; k += block_width) {
      const unsigned i = k / layout_.head_dim, j = k % layout_.head_dim;
      const int made = step_[j] > 0.0 ? fine_code(above_zero(i, j) / (step_[j] / 16.0)) : 0;
      code_[i * layout_.code_row() + j] = static_cast<std::uint16_t>(made);
    }
    __syncthreads();
  }

  __device__ void pack(int shift, bool rows_are_channels, std::uint32_t* words) const {
    if (words == nullptr) return;
    const unsigned columns = rows_are_channels ? page_rows : layout_.head_dim;
    for (unsigned k = threadIdx.x; k < page_rows * layout_.head_dim / 8; k += block_width) {
      const unsigned column = k % columns;
      std::uint32_t word = 0;
      for (unsigned r = 0; r < 8; ++r) {
        const unsigned row = k / columns * 8 + r;
        const int of = rows_are_channels ? code(column, row) : code(row, column);
        word |= static_cast<std::uint32_t>(of >> shift & 15) << nibble_shift(row);
      }
      words[k] = word;
    }
  }

 private:
  Layout layout_;
  double *zero_, *step_;
  float* exact_;
  std::uint16_t* code_;
};

// Largest of the norms of several rows of terms: doubles >= 0 are in the order of their bits.
template <class Term>
__device__ double norm(unsigned head_dim, Term term) {
  double square = 0.0;
  for (unsigned j = 0; j < head_dim; ++j) {
    const double x = term(j);
    square += x * x;
  }
  return sqrt(square);
}
__device__ void raise(unsigned long long* largest, double value) {
  atomicMax(largest, static_cast<unsigned long long>(__double_as_longlong(value)));
}
__device__ double raised(unsigned long long largest) { return __longlong_as_double(static_cast<long long>(largest)); }

constexpr int dropped_bits(unsigned level) { return 8 - 4 * static_cast<int>(level); }

__device__ double exact_norm(const Matrix& matrix, unsigned head_dim, unsigned token) {
  return norm(head_dim, [&](unsigned j) { return static_cast<double>(matrix.exact(token, j)); });
}

// What a number is off by at a level: keys in steps of it.
__device__ double key_residual(const Matrix& keys, unsigned level, unsigned i, unsigned j) {
  if (keys.step(j) == 0.0) return 0.0;
  const int dropped = dropped_bits(level);
  const double cell = keys.above_zero(i, j) / (keys.step(j) / 16.0);
  return (cell - cell_middle(keys.code(i, j), dropped)) / static_cast<double>(1 << dropped);
}
__device__ double coded_value(const Matrix& values, unsigned level, unsigned i, unsigned j) {
  return values.zero(j) + cell_middle(values.code(i, j), dropped_bits(level)) * (values.step(j) / 16.0);
}
__device__ double value_residual(const Matrix& values, unsigned level, unsigned i, unsigned j) {
  return static_cast<double>(values.exact(i, j)) - coded_value(values, level, i, j);
}

// Norms of one kind for one token. Kinds of keys: residuals of 3 levels, codes of 3 levels, exact numbers.
constexpr unsigned key_kinds = 7;
__device__ double key_norm(const Matrix& keys, unsigned head_dim, unsigned kind, unsigned i) {
  if (kind == key_kinds - 1) return exact_norm(keys, head_dim, i);
  if (kind < 3) return norm(head_dim, [&](unsigned j) { return key_residual(keys, kind, i, j); });
  const int dropped = dropped_bits(kind - 3);
  return norm(head_dim, [&](unsigned j) { return cell_middle(keys.code(i, j), dropped) / 16.0 - 128.0; });
}
// Kinds of values: residuals of 2 levels, what codes of 2 levels stand for, exact numbers.
constexpr unsigned value_kinds = 5;
__device__ double value_norm(const Matrix& values, unsigned head_dim, unsigned kind, unsigned i) {
  if (kind == value_kinds - 1) return exact_norm(values, head_dim, i);
  if (kind < 2) return norm(head_dim, [&](unsigned j) { return value_residual(values, kind, i, j); });
  return norm(head_dim, [&](unsigned j) { return coded_value(values, kind - 2, i, j); });
}

struct Norms {
  unsigned long long largest[key_kinds];
  double exact[page_rows];
  __device__ double of(unsigned kind) const { return raised(largest[kind]); }
};

template <unsigned kinds, class Norm>
__device__ void measure(Norms& norms, unsigned first_kind, unsigned tokens, Norm norm_of) {
  if (threadIdx.x < kinds) norms.largest[threadIdx.x] = 0;
  __syncthreads();
  for (unsigned k = first_kind * page_rows + threadIdx.x; k < kinds * page_rows; k += block_width) {
    const unsigned kind = k / page_rows, token = k % page_rows;
    if (token >= tokens) continue;
    const double value = norm_of(kind, token);
    if (kind == kinds - 1) norms.exact[token] = value;
    raise(&norms.largest[kind], value);
  }
  __syncthreads();
}

__device__ void write_value_norms(const Norms& norms, double coded_reach, unsigned tokens, PageSummary& summary,
                                  Half* value_norms) {
  const float reach = rounded_up(fmax(coded_reach, norms.of(value_kinds - 1)));
  for (unsigned i = threadIdx.x; i < page_rows; i += block_width)
    value_norms[i] =
        i < tokens && reach > 0.0F ? device_nearest_half(norms.exact[i] / static_cast<double>(reach)) : Half{};
  if (threadIdx.x == 0) summary.value_reach = reach;
}

struct Fields {
  PageSummary* summary;
  Half* row[4];
  Half* value_norm;
  __device__ Fields(std::byte* metadata, unsigned head_dim) {
    summary = reinterpret_cast<PageSummary*>(metadata);
    for (unsigned f = 0; f < 4; ++f) row[f] = reinterpret_cast<Half*>(metadata + page_summary_bytes) + f * head_dim;
    value_norm = row[3] + head_dim;
  }
};

constexpr float unknown = std::numeric_limits<float>::infinity();

__global__ void __launch_bounds__(block_width)
    quantize_kernel(const PageToQuantize* pages, KvType type, Layout layout, Position* first_bad) {
  extern __shared__ __align__(16) std::byte memory[];
  __shared__ Norms norms;
  const PageToQuantize& page = pages[blockIdx.x];
  const unsigned head_dim = layout.head_dim;
  const Fields fields(page.metadata, head_dim);
  PageSummary& summary = *fields.summary;
  Matrix matrix(memory, layout);
  auto& spectrum = *reinterpret_cast<Spectrum*>(memory + layout.bytes());

  matrix.load(type, page_rows, page.keys, 2 * Position{blockIdx.x}, first_bad);
  const bool keys_fit = __syncthreads_or(!matrix.make_grid(fields.row[0], fields.row[1])) == 0;
  matrix.make_codes();
  for (int plane = 0; plane < 3; ++plane) matrix.pack(8 - 4 * plane, true, page.key_planes[plane]);
  measure<key_kinds>(norms, 0, page_rows,
                     [&](unsigned kind, unsigned token) { return key_norm(matrix, head_dim, kind, token); });
  for (unsigned level = 1; level < 3; ++level) {
    const double spread =
        spectral_norm(spectrum, head_dim, [&](unsigned i, unsigned j) { return key_residual(matrix, level, i, j); });
    if (threadIdx.x == 0) summary.key_spread[level - 1] = keys_fit ? rounded_up(spread + spread_floor) : unknown;
  }
  if (threadIdx.x == 0) {
    double reach = 0.0;
    for (unsigned j = 0; j < head_dim; ++j) {
      const double end = fabs(matrix.zero(j)) + 256.0 * matrix.step(j);
      reach += end * end;
    }
    for (unsigned level = 0; level < 3; ++level)
      summary.key_residual[level] = keys_fit ? rounded_up(norms.of(level)) : unknown;
    summary.code_norm = rounded_up(fmax(norms.of(3), fmax(norms.of(4), norms.of(5))));
    summary.key_reach = rounded_up(fmax(sqrt(reach), norms.of(6)));
    summary.tokens = page_rows;
  }

  matrix.load(type, page_rows, page.values, 2 * Position{blockIdx.x} + 1, first_bad);
  const bool values_fit = __syncthreads_or(!matrix.make_grid(fields.row[2], fields.row[3])) == 0;
  matrix.make_codes();
  for (int plane = 0; plane < 2; ++plane) matrix.pack(8 - 4 * plane, false, page.value_planes[plane]);
  measure<value_kinds>(norms, 0, page_rows,
                       [&](unsigned kind, unsigned token) { return value_norm(matrix, head_dim, kind, token); });
  for (unsigned level = 0; level < 2; ++level) {
    const double spread =
        spectral_norm(spectrum, head_dim, [&](unsigned i, unsigned j) { return value_residual(matrix, level, i, j); });
    if (threadIdx.x != 0) continue;
    // Never 0: that says that values are exact.
    constexpr float least = std::numeric_limits<float>::denorm_min();
    summary.value_residual[level] = values_fit ? fmaxf(rounded_up(norms.of(level)), least) : unknown;
    summary.value_spread[level] = values_fit ? fmaxf(rounded_up(spread), least) : unknown;
  }
  write_value_norms(norms, fmax(norms.of(2), norms.of(3)), page_rows, summary, fields.value_norm);
}

__global__ void __launch_bounds__(block_width)
    summarize_kernel(const PageToQuantize* pages, KvType type, Layout layout, Position* first_bad, unsigned tokens) {
  extern __shared__ __align__(16) std::byte memory[];
  __shared__ Norms norms;
  const PageToQuantize& page = pages[blockIdx.x];
  const unsigned head_dim = layout.head_dim;
  const Fields fields(page.metadata, head_dim);
  Matrix matrix(memory, layout);
  matrix.load(type, tokens, page.keys, 2 * Position{blockIdx.x}, first_bad);
  measure<key_kinds>(norms, key_kinds - 1, tokens,
                     [&](unsigned, unsigned token) { return exact_norm(matrix, head_dim, token); });
  if (threadIdx.x == 0) {
    const std::uint32_t generation = fields.summary->generation;
    *fields.summary = {};
    fields.summary->generation = generation;
    fields.summary->tokens = tokens;
    fields.summary->key_reach = rounded_up(norms.of(key_kinds - 1));
  }
  matrix.load(type, tokens, page.values, 2 * Position{blockIdx.x} + 1, first_bad);
  measure<value_kinds>(norms, value_kinds - 1, tokens,
                       [&](unsigned, unsigned token) { return exact_norm(matrix, head_dim, token); });
  write_value_norms(norms, 0.0, tokens, *fields.summary, fields.value_norm);
}

__global__ void __launch_bounds__(block_width)
    encode_kernel(const PageToQuantize* pages, KvType type, Layout layout, Position* first_bad) {
  extern __shared__ __align__(16) std::byte memory[];
  const PageToQuantize& page = pages[blockIdx.x];
  const Fields fields(page.metadata, layout.head_dim);
  Matrix matrix(memory, layout);
  if (any_plane(page.key_planes)) {
    matrix.load(type, page_rows, page.keys, 2 * Position{blockIdx.x}, first_bad);
    matrix.take_grid(fields.row[0], fields.row[1]);
    matrix.make_codes();
    for (int plane = 0; plane < 3; ++plane) matrix.pack(8 - 4 * plane, true, page.key_planes[plane]);
  }
  if (any_plane(page.value_planes)) {
    matrix.load(type, page_rows, page.values, 2 * Position{blockIdx.x} + 1, first_bad);
    matrix.take_grid(fields.row[2], fields.row[3]);
    matrix.make_codes();
    for (int plane = 0; plane < 2; ++plane) matrix.pack(8 - 4 * plane, false, page.value_planes[plane]);
  }
}

void expects_finite(Position bad, const char* operation) {
  if (bad == ~Position{0}) return;
  constexpr float kinds[] = {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                             std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()};
  const Position channel = bad >> 2 & 255, token = bad >> 10 & (page_rows - 1), matrix = bad >> 16;
  throw ValueError(text(operation, ": page ", matrix / 2, ": ", matrix % 2 == 0 ? "key" : "value", " of token ", token,
                        ", channel ", channel, " is ", kinds[bad & 3], ", expected a finite number"));
}

// One block for each page, with `work_bytes` of shared memory beside its matrix.
template <class Kernel, class... More>
void run_on_pages(Kernel kernel, const Context& context, KvType type, std::size_t head_dim,
                  std::span<const PageToQuantize> pages, const char* operation, std::size_t work_bytes, More... more) {
  if (pages.empty()) return;
  const Layout layout{static_cast<unsigned>(head_dim)};
  const std::size_t bytes = layout.bytes() + work_bytes;
  const Scratch<PageToQuantize> views(context, pages.size(), operation);
  check(cudaMemcpyAsync(views.get(), pages.data(), pages.size_bytes(), cudaMemcpyHostToDevice, stream_of(context)),
        operation);
  const DeviceValue<Position> first_bad(context, operation, 0xFF);
  int device = 0, most = 0;
  check(cudaGetDevice(&device), operation);
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), operation);
  expects<BackendUnavailable>(bytes <= static_cast<std::size_t>(most), operation, ": head_dim ", head_dim, " takes ",
                              bytes, " bytes of shared memory, this GPU has ", most, " for a block");
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)), operation);
  kernel<<<grid_of(pages.size(), 1, operation), block_width, bytes, stream_of(context)>>>(views.get(), type, layout,
                                                                                          first_bad.get(), more...);
  check_launch(operation);
  expects_finite(first_bad.read(), operation);
}

}  // namespace

void quantize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  run_on_pages(quantize_kernel, context, type, head_dim, pages, "quantize_page", sizeof(Spectrum));
}

void encode_planes(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages) {
  run_on_pages(encode_kernel, context, type, head_dim, pages, "encode_planes", 0);
}

void summarize_page(const Context& context, KvType type, std::size_t head_dim, std::span<const PageToQuantize> pages,
                    std::size_t tokens) {
  run_on_pages(summarize_kernel, context, type, head_dim, pages, "summarize_page", 0, static_cast<unsigned>(tokens));
}

}  // namespace mpp::kernels::cuda
