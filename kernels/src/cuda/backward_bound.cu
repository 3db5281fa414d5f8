// One thread block owns one utterance: its frames follow one another, and each is a few short phases over the states of
// the graph with a barrier between them. The rows of an utterance are some 12 bytes a state and stay in the caches of the
// multiprocessor; the graph is shared by all blocks and comes from the second-level cache.
//
// Warps take whole groups of arcs in turn, then quarter warps whole columns: the arcs of a group, and the states of a
// column, are neighbours, so their loads coalesce, those of states are 16 bytes wide, and a group that is out of the
// question costs one comparison. Two arcs may leave the same state, hence atomic maxima; they are integers, so the order does not matter
// and the results equal those of the CPU.
#include "check.cuh"
#include "ops.hpp"
#include "src/backward_rows.hpp"

namespace mpp::kernels::cuda {
namespace {

constexpr unsigned block_width = 1024;
constexpr unsigned warp = 32;
constexpr unsigned warps = block_width / warp;
constexpr unsigned all = ~0U;

// Spans as pointers and counts: what a kernel takes by value.
struct Graph {
  const std::uint32_t *column_begin, *column_token, *root_token;
  const BackwardGroup* groups;
  const BackwardTarget* targets;
  const BackwardArc* arcs;
  const std::uint32_t* arc_to;
  const BackwardRepeat* repeats;
  const BackwardRootArc* root_arcs;
  unsigned states, columns, roots, tokens, group_count, repeat_count, root_arc_count, blank, silence;
  BackwardLayout at;

  __device__ unsigned width() const { return columns + roots + 1; }
};

// Largest value over the block, for all threads. Contains two barriers.
__device__ int block_max(int value) {
  __shared__ int partial[warps];
  value = __reduce_max_sync(all, value);
  __syncthreads();  // the last use of `partial` is over
  if (threadIdx.x % warp == 0) partial[threadIdx.x / warp] = value;
  __syncthreads();
  return __reduce_max_sync(all, partial[threadIdx.x % warp]);
}

// The rows of one utterance.
struct Rows {
  int *label, *blank, *leaving, *repeat, *row, *root;

  __device__ Rows(int* scratch, const BackwardLayout& at)
      : label(scratch + at.label), blank(scratch + at.blank), leaving(scratch + at.leaving),
        repeat(scratch + at.repeat), row(scratch + at.row), root(scratch + at.root) {}
};

// Follows the arcs of the likely groups. Returns, for this thread, what the others are worth at most.
__device__ int follow_arcs(const Graph& g, const Rows& rows, const int* loss, int top, int follow) {
  int least = backward_lowest;
  const unsigned lane = threadIdx.x % warp;
  for (unsigned i = threadIdx.x / warp; i < g.group_count; i += warps) {
    const BackwardGroup group = g.groups[i], next = g.groups[i + 1];
    const int gain = loss[group.token] - top, best = rows.row[group.row] + gain;
    if (best < -follow) {
      least = max(least, best);
      for (unsigned r = group.repeats + lane; r < next.repeats; r += warp) rows.repeat[r] = backward_lowest;
      continue;
    }
    for (unsigned a = g.targets[group.targets].arcs + lane; a < g.targets[next.targets].arcs; a += warp) {
      const BackwardArc arc = g.arcs[a];
      const int value = rows.label[g.arc_to[a]] + gain;
      if (value < -follow)
        least = max(least, value);
      else
        atomicMax(rows.leaving + arc.from, value + arc.weight);
    }
    for (unsigned r = group.repeats + lane; r < next.repeats; r += warp)
      rows.repeat[r] = rows.label[g.repeats[r].to] + (g.repeats[r].weight + gain);
  }
  return least;
}

// Eight lanes share a column: four states each, a padded column of 32 at a time.
__device__ void step_columns(const Graph& g, const Rows& rows, const int* loss, int top, int least) {
  constexpr unsigned lanes = 8;
  const unsigned lane = threadIdx.x % lanes;
  const unsigned group = 0xFFU << (threadIdx.x % warp - lane);
  const int pause = loss[g.blank] - top;
  auto* const label = reinterpret_cast<int4*>(rows.label);
  auto* const blank = reinterpret_cast<int4*>(rows.blank);
  auto* const leaving = reinterpret_cast<int4*>(rows.leaving);
  for (unsigned column = threadIdx.x / lanes; column < g.columns; column += block_width / lanes) {
    const int stay = loss[g.column_token[column]] - top;
    int largest = backward_lowest;
    for (unsigned v = g.column_begin[column] / 4 + lane; v < g.column_begin[column + 1] / 4; v += lanes) {
      int4 after_label = label[v], after_blank = blank[v];
      const int4 left = leaving[v];
      const auto step = [&](int& l, int& b, int arcs) {
        b = max(b + pause, max(arcs, least));
        l = max(l + stay, b);
        largest = max(largest, l);
      };
      step(after_label.x, after_blank.x, left.x);
      step(after_label.y, after_blank.y, left.y);
      step(after_label.z, after_blank.z, left.z);
      step(after_label.w, after_blank.w, left.w);
      label[v] = after_label;
      blank[v] = after_blank;
      leaving[v] = make_int4(backward_lowest, backward_lowest, backward_lowest, backward_lowest);
    }
    largest = __reduce_max_sync(group, largest);
    if (lane == 0) rows.row[column] = largest;
  }
}

__device__ void apply_repeats(const Graph& g, const Rows& rows) {
  for (unsigned r = threadIdx.x; r < g.repeat_count; r += block_width) {
    atomicMax(rows.blank + g.repeats[r].from, rows.repeat[r]);
    atomicMax(rows.row + g.repeats[r].column, rows.repeat[r]);
  }
}

// After token k a word cannot begin with k: the best word, and the best that begins with another token than it. Of equal
// words the first counts: which one it is makes no difference to the values.
__device__ void step_root(const Graph& g, const Rows& rows, const int* loss, int top) {
  int* const after = rows.row + g.columns;
  int own = backward_lowest;
  for (unsigned a = threadIdx.x; a < g.root_arc_count; a += block_width) own = max(own, rows.root[a]);
  const int best = block_max(own);
  int first = 0x7FFFFFFF;
  for (unsigned a = threadIdx.x; a < g.root_arc_count; a += block_width)
    if (rows.root[a] == best) first = min(first, static_cast<int>(a));
  const unsigned at = static_cast<unsigned>(-block_max(-first));
  const unsigned token = at < g.root_arc_count ? g.root_arcs[at].token : 0;  // none when all are below the lowest
  own = backward_lowest;
  for (unsigned a = threadIdx.x; a < g.root_arc_count; a += block_width)
    if (g.root_arcs[a].token != token) own = max(own, rows.root[a]);
  const int other = block_max(own);

  int idle = max(backward_lowest, after[g.roots] + (loss[g.blank] - top));
  if (g.silence != BackwardGraph::no_root) idle = max(idle, after[g.silence] + (loss[g.root_token[g.silence]] - top));
  __syncthreads();  // everybody has read the old values
  for (unsigned i = threadIdx.x; i < g.roots; i += block_width) {
    const unsigned last = g.root_token[i];
    after[i] = max(max(after[i] + (loss[last] - top), idle), last == token ? other : best);
  }
  if (threadIdx.x == 0) after[g.roots] = max(idle, best);
}

// What the next frame needs of this one, and the codes. Returns the largest value.
__device__ int finish_row(const Graph& g, const Rows& rows, unsigned shift, std::int16_t* code) {
  const int* const after = rows.row + g.columns;
  for (unsigned i = threadIdx.x; i < g.roots; i += block_width) rows.label[g.states + i] = after[i];
  int top = backward_lowest;
  for (unsigned c = threadIdx.x; c < g.width(); c += block_width) top = max(top, rows.row[c]);
  top = block_max(top);
  for (unsigned c = threadIdx.x; c < g.width(); c += block_width)
    code[c] = static_cast<std::int16_t>(-min((top - rows.row[c]) >> shift, 32767));
  __syncthreads();
  return top;
}

__global__ void __launch_bounds__(block_width)
    backward_kernel(Graph g, const int* losses, const std::uint32_t* frame_begin, BackwardOptions options, int* scratch,
                    std::int16_t* codes, std::int64_t* offsets) {
  const std::size_t u = blockIdx.x;
  const Rows rows(scratch + u * g.at.size, g.at);
  std::size_t row = std::size_t{frame_begin[u + 1]} + u;
  const int inside = options.open_end ? 0 : backward_lowest;
  for (unsigned s = threadIdx.x; s < g.states; s += block_width) {
    rows.label[s] = rows.blank[s] = inside;
    rows.leaving[s] = backward_lowest;
  }
  for (unsigned c = threadIdx.x; c < g.width(); c += block_width) rows.row[c] = c < g.columns ? inside : options.last;
  __syncthreads();
  int top = finish_row(g, rows, options.shift, codes + row * g.width());
  for (unsigned c = threadIdx.x; c < g.columns && !options.open_end; c += block_width)
    codes[row * g.width() + c] = backward_dead;
  std::int64_t base = 0;
  if (threadIdx.x == 0) offsets[row] = top;

  for (std::size_t t = frame_begin[u + 1]; t-- > frame_begin[u];) {
    --row;
    const int* const loss = losses + t * g.tokens;
    const int least = block_max(follow_arcs(g, rows, loss, top, options.follow));
    for (unsigned a = threadIdx.x; a < g.root_arc_count; a += block_width) {
      const BackwardRootArc arc = g.root_arcs[a];
      rows.root[a] = rows.label[arc.to] + (arc.weight + loss[arc.token] - top);
    }
    __syncthreads();  // the old labels have been read
    step_columns(g, rows, loss, top, least);
    __syncthreads();
    apply_repeats(g, rows);
    step_root(g, rows, loss, top);
    __syncthreads();
    base += top;
    top = finish_row(g, rows, options.shift, codes + row * g.width());
    if (threadIdx.x == 0) offsets[row] = base + top;
  }
}

}  // namespace

void backward_bound(const Context& context, const BackwardGraph& graph, std::span<const std::int32_t> loss,
                    std::span<const std::uint32_t> frame_begin, const BackwardOptions& options,
                    std::span<std::int32_t> scratch, std::span<std::int16_t> code, std::span<std::int64_t> offset) {
  constexpr const char* operation = "backward_bound";
  const std::size_t utterances = frame_begin.size() - 1;
  if (utterances == 0) return;
  expects_aligned(scratch.data(), sizeof(int4), operation, "scratch");
  const auto count = [](std::size_t n) { return static_cast<unsigned>(n); };
  const Graph g{.column_begin = graph.column_begin.data(),
                .column_token = graph.column_token.data(),
                .root_token = graph.root_token.data(),
                .groups = graph.groups.data(),
                .targets = graph.targets.data(),
                .arcs = graph.arcs.data(),
                .arc_to = graph.arc_to.data(),
                .repeats = graph.repeats.data(),
                .root_arcs = graph.root_arcs.data(),
                .states = count(graph.states),
                .columns = count(graph.columns()),
                .roots = count(graph.root_token.size()),
                .tokens = count(graph.tokens),
                .group_count = count(graph.groups.size() - 1),
                .repeat_count = count(graph.repeats.size()),
                .root_arc_count = count(graph.root_arcs.size()),
                .blank = graph.blank,
                .silence = graph.silence,
                .at = backward_layout(graph)};
  backward_kernel<<<grid_of(utterances, 1, operation), block_width, 0, stream_of(context)>>>(
      g, loss.data(), frame_begin.data(), options, scratch.data(), code.data(), offset.data());
  check_launch(operation);
  finish(context, operation);
}

}  // namespace mpp::kernels::cuda
