#include <mpp/llm/kv_tier.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <mpp/core/error.hpp>
#include <mpp/kernels/quantize_page.hpp>

#include "promotion_plan.hpp"
#include "read_shape.hpp"

namespace mpp::llm {
namespace {

using kernels::KvPage;
using kernels::PageLevel;

void require_one_page(std::span<KvPage> pages) {
  if (std::ranges::any_of(pages, [](const KvPage& page) { return page.key_level != PageLevel::omitted; })) return;
  KvPage& last = pages.back();
  expects<ValueError>(last.exact_keys != nullptr,
                      "KvTier: all pages are evicted, and the last one's exact numbers dropped: "
                      "there is nothing to read");
  last.key_level = last.value_level = PageLevel::exact;
}

}  // namespace

double AttentionResult::error(AttentionMetric metric) const noexcept {
  double most = 0.0;
  for (const AttentionCertificate& head : heads) {
    const double error = metric == AttentionMetric::attention_tv ? head.attention_tv : head.output_relative;
    if (!(error <= std::numeric_limits<double>::infinity())) return std::numeric_limits<double>::quiet_NaN();
    most = std::max(most, error);
  }
  return most;
}

AttentionState::AttentionState(std::pmr::memory_resource* memory)
    : tables_(memory), statistics_(memory), output_(memory), log_sum_exp_(memory),
      planes_{DeviceBlock(memory), DeviceBlock(memory)}, reads_(memory), sums_(memory), certificates_(memory),
      targets_(memory), steps_(memory), predicted_(memory) {}

KvTier::KvTier(Level first) : first_(first) {
  expects<ValueError>(first <= resident, "KvTier: first is ", first, ", expected at most ", resident);
}

Footprint KvTier::footprint(const Request& request, Level level) const {
  const ReadShape shape = check_request(request);
  Footprint bytes = base_bytes(request, shape);
  if (level >= promoted && request.epsilon.value > 0.0)  // else it starts at the exact level
    bytes += plane_bytes(request, shape, most_planes(request, shape));
  return bytes;
}

Footprint KvTier::increment(const Request& request, const State& state, Level level) const {
  const ReadShape shape = check_request(request);
  Footprint bytes = state.started_ ? Footprint{} : base_bytes(request, shape);
  if (level != promoted && level != promoted_again) return bytes;
  if (!state.planned_) return bytes + plane_bytes(request, shape, most_planes(request, shape));
  std::size_t planes = 0;
  for (std::size_t i = 0; i < state.targets_.size(); ++i)
    planes += missing_planes(state.tables_.host()[i], state.targets_[i]);
  return bytes + plane_bytes(request, shape, planes);
}

void KvTier::start(const Request& request, State& state) const {
  const ReadShape shape = check_request(request);
  const kernels::Context& context = request.cache->context();
  const std::size_t queries = shape.heads * shape.group, per_head = shape.statistics();
  state.tables_.allocate(context, shape.heads * shape.pages);
  state.statistics_.allocate(context, shape.heads * per_head);
  state.output_.allocate(context, queries * shape.dim);
  state.log_sum_exp_.allocate(context, queries);
  state.reads_.resize(shape.heads);
  state.sums_.resize(queries);
  state.certificates_.resize(queries);
  state.targets_.resize(shape.heads * shape.pages);
  state.steps_.reserve(4 * shape.pages);
  state.predicted_.resize(per_head);
  state.heads_ = shape.heads;
  state.group_ = shape.group;
  state.pages_ = shape.pages;
  for (std::size_t head = 0; head < shape.heads; ++head) {
    state.reads_[head] = {.pages = state.tables_.device() + head * shape.pages,
                          .page_count = shape.pages,
                          .queries = request.queries.data() + head * shape.group * shape.dim,
                          .output = state.output_.device() + head * shape.group * shape.dim,
                          .log_sum_exp = state.log_sum_exp_.device() + head * shape.group,
                          .statistics = shape.statistics_at(state.statistics_.device() + head * per_head)};
  }
  state.started_ = true;
}

// The block tables of the cache, with the planes that this read has made already left out.
void KvTier::copy_tables(const Request& request, State& state) const {
  for (std::size_t head = 0; head < state.heads_; ++head) {
    const std::span<const KvPage> pages = request.cache->pages(request.sequence, request.layer, head);
    expects<kernels::StalePage>(pages.size() == state.pages_, "KvTier: the sequence had ", state.pages_,
                                " pages when the read began, and has ", pages.size());
    std::ranges::copy(pages, state.tables_.host() + head * state.pages_);
  }
}

// Codes what the targets need into planes of this read.
void KvTier::promote(const Request& request, State& state, DeviceBlock& block) const {
  const KvGeometry& geometry = request.cache->geometry();
  const std::span<KvPage> tables(state.tables_.host(), state.tables_.size());
  if (!state.planned_)
    for (std::size_t i = 0; i < tables.size(); ++i) state.targets_[i] = highest_targets(tables[i], request.metric);
  std::size_t planes = 0;
  for (std::size_t i = 0; i < tables.size(); ++i) planes += missing_planes(tables[i], state.targets_[i]);
  const std::size_t bytes = kernels::page_plane_bytes(geometry.head_dim);
  block.allocate(request.cache->context(), planes * bytes);
  std::byte* next = block.data();
  std::array<kernels::PageToQuantize, 64> batch;
  std::size_t coded = 0;
  const auto encode = [&] {
    kernels::encode_planes(request.cache->context(), geometry.type, geometry.head_dim, std::span(batch).first(coded));
    coded = 0;
  };
  for (std::size_t i = 0; i < tables.size(); ++i) {
    KvPage& page = tables[i];
    const Targets& target = state.targets_[i];
    if (missing_planes(page, target) > 0) {
      if (coded == batch.size()) encode();
      kernels::PageToQuantize& made = batch[coded++];
      made = {.keys = page.exact_keys,
              .values = page.exact_values,
              .metadata = const_cast<std::byte*>(page.metadata)};  // encode_planes() only reads it
      const auto add = [&](std::size_t b, PageLevel level, const std::uint32_t*& plane, std::uint32_t*& out) {
        if (level == PageLevel::exact || b >= static_cast<std::size_t>(level) || plane != nullptr) return;
        plane = out = reinterpret_cast<std::uint32_t*>(next);
        next += bytes;
      };
      for (std::size_t b = 0; b < 3; ++b) add(b, target[0], page.key_planes[b], made.key_planes[b]);
      for (std::size_t b = 0; b < 2; ++b) add(b, target[1], page.value_planes[b], made.value_planes[b]);
    }
    page.key_level = target[0];
    page.value_level = target[1];
  }
  encode();
}

void KvTier::materialise(const Request& request, State& state, Level level) const {
  const bool fresh = !state.started_;
  if (fresh) start(request, state);
  const std::span<KvPage> tables(state.tables_.host(), state.tables_.size());
  if (fresh || level <= resident) copy_tables(request, state);
  if (level == draft)
    for (KvPage& page : tables) {
      if (page.tokens < kernels::page_tokens || page.key_planes[0] == nullptr) continue;
      page.key_level = page.value_level = PageLevel::bits4;
    }
  if (level == promoted || level == promoted_again) promote(request, state, state.planes_[level - promoted]);
  if (level == exact)
    for (std::size_t i = 0; i < tables.size(); ++i) {
      expects<ValueError>(tables[i].exact_keys != nullptr && tables[i].exact_values != nullptr, "KvTier: page ",
                          i % state.pages_, " of layer ", request.layer, ", KV head ", i / state.pages_,
                          " has no exact numbers any more: there is no exact level");
      tables[i].key_level = tables[i].value_level = PageLevel::exact;
    }
  for (std::size_t head = 0; head < state.heads_; ++head)
    require_one_page(tables.subspan(head * state.pages_, state.pages_));
  state.tables_.upload();
}

KvTier::Result KvTier::execute(const Request& request, State& state, Level level) const {
  const KvGeometry& geometry = request.cache->geometry();
  const kernels::Context& context = request.cache->context();
  const std::size_t dim = geometry.head_dim;
  const float scale = request.scale > 0.0F ? request.scale : 1.0F / std::sqrt(static_cast<float>(dim));
  const kernels::AttendShape shape{.head_dim = dim, .group = state.group_, .type = geometry.type, .scale = scale};
  kernels::attend_paged(context, shape, state.reads_);
  kernels::certificate_sums(context, shape, state.reads_, state.sums_);
  state.output_.download();
  state.log_sum_exp_.download();
  const std::span<const float> output(state.output_.host(), state.output_.size());
  for (std::size_t i = 0; i < state.sums_.size(); ++i) {
    const double length = norm(output.subspan(i * dim, dim));
    expects<ValueError>(std::isfinite(length), "KvTier: the output of head ", i, " of layer ", request.layer,
                        " is not finite: logits, or sums of values, are beyond the largest float");
    state.certificates_[i] = certify(state.sums_[i], length);
  }

  Result result;
  result.output.assign(output.begin(), output.end());
  result.log_sum_exp.assign(state.log_sum_exp_.host(), state.log_sum_exp_.host() + state.log_sum_exp_.size());
  result.heads.assign(state.certificates_.begin(), state.certificates_.end());
  result.pages = state.tables_.size();
  if (level == promoted || level == promoted_again) list_promotions(request, state, result);
  if (level == resident || level == promoted) {
    state.statistics_.download();
    PromotionPlan(request, state, level == resident ? 0.9 : 0.6).make();
    state.planned_ = true;
  }
  return result;
}

void KvTier::list_promotions(const Request& request, const State& state, Result& result) const {
  for (std::size_t head = 0; head < state.heads_; ++head) {
    const std::span<const KvPage> held = request.cache->pages(request.sequence, request.layer, head);
    for (std::size_t p = 0; p < std::min(held.size(), state.pages_); ++p) {
      const KvPage& page = state.tables_.host()[head * state.pages_ + p];
      if (page.key_level > held[p].key_level || page.value_level > held[p].value_level)
        result.promotions.push_back({{request.layer, head, p, page.generation}, page.key_level, page.value_level});
    }
  }
}

std::optional<Denial> keep_promotions(PagedKvCache& cache, SequenceId sequence, const AttentionResult& result) {
  for (const Promotion& promotion : result.promotions)
    if (auto denial = cache.promote(sequence, promotion.page, promotion.keys, promotion.values)) return denial;
  return std::nullopt;
}

}  // namespace mpp::llm
