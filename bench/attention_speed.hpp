#pragma once
// Time of a read with and without its certificate, beside a plain copy in the same run. Pages lie in pools larger than the last
// cache and every pass reads a whole pool, so nothing is in a cache that would not be.
#include <cstring>
#include <map>
#include <string>

#include "attention_oracle.hpp"
#include "attention_scenes.hpp"
#include "bench_json.hpp"

namespace mpp::bench {

/// Copies of the pages of a head, one after the other: of each its metadata, and the planes or exact numbers that are read.
class PagePool {
 public:
  static constexpr std::size_t least_bytes = std::size_t{128} << 20;

  PagePool(const CodedHead& head, PageLevels levels, std::size_t least_pages) {
    const std::size_t dims = head.head_dim();
    std::vector<KvPage> views;
    for (std::size_t p = 0; p < head.pages(); ++p) views.push_back(head.view(p, levels.key, levels.value));
    const std::size_t key_planes = planes(levels.key), value_planes = planes(levels.value);
    const std::size_t plane = kernels::page_plane_bytes(dims), exact = kernels::page_exact_bytes(dims);
    const std::size_t metadata = (kernels::page_metadata_bytes(dims) + 63) / 64 * 64;
    page_bytes_ = metadata + (key_planes + value_planes) * plane + (key_planes == 0 ? exact : 0) +
                  (value_planes == 0 ? exact : 0);
    const std::size_t count = std::max(least_pages, least_bytes / page_bytes_ + 1);
    bytes_ = kernels::DeviceArray<std::byte>({}, count * page_bytes_);
    for (std::size_t p = 0; p < count; ++p) {
      const KvPage& source = views[p % views.size()];
      std::byte* at = bytes_.span().data() + p * page_bytes_;
      const auto copy = [&at](const void* from, std::size_t size, std::size_t room) {
        std::byte* const here = at;
        std::memcpy(here, from, size);
        at += room;
        return here;
      };
      KvPage page = source;
      page.metadata = copy(source.metadata, kernels::page_metadata_bytes(dims), metadata);
      page.exact_keys = page.exact_values = nullptr;
      for (auto& none : page.key_planes) none = nullptr;
      for (auto& none : page.value_planes) none = nullptr;
      for (std::size_t i = 0; i < key_planes; ++i)
        page.key_planes[i] = reinterpret_cast<const std::uint32_t*>(copy(source.key_planes[i], plane, plane));
      if (key_planes == 0)
        page.exact_keys = reinterpret_cast<const std::uint16_t*>(copy(source.exact_keys, exact, exact));
      for (std::size_t i = 0; i < value_planes; ++i)
        page.value_planes[i] = reinterpret_cast<const std::uint32_t*>(copy(source.value_planes[i], plane, plane));
      if (value_planes == 0)
        page.exact_values = reinterpret_cast<const std::uint16_t*>(copy(source.exact_values, exact, exact));
      pages_.push_back(page);
    }
  }

  [[nodiscard]] std::span<const KvPage> pages() const { return pages_; }
  [[nodiscard]] std::size_t page_bytes() const { return page_bytes_; }

 private:
  static std::size_t planes(PageLevel level) { return level == PageLevel::exact ? 0 : static_cast<std::size_t>(level); }

  std::size_t page_bytes_ = 0;
  kernels::DeviceArray<std::byte> bytes_;
  std::vector<KvPage> pages_;
};

/// Reads of `page_count` pages each that together take a pool once.
class PoolPass {
 public:
  PoolPass(const PagePool& pool, std::size_t head_dim, std::size_t page_count, std::size_t group,
           std::span<const float> queries)
      : shape_{head_dim, group, KvType::float16, 1.0F / std::sqrt(static_cast<float>(head_dim))},
        reads_(pool.pages().size() / page_count) {
    const std::size_t count = reads_.size();
    output_.resize(count * group * head_dim);
    log_sum_exp_.resize(count * group);
    for (auto& array : per_head_) array.resize(count * group * page_count);
    for (auto& array : per_page_) array.resize(count * page_count);
    sums_.resize(count * group);
    for (std::size_t i = 0; i < count; ++i) {
      reads_[i] = {
          pool.pages().data() + i * page_count, page_count, queries.data(), output_.data() + i * group * head_dim,
          log_sum_exp_.data() + i * group,      {}};
      const std::size_t head = i * group * page_count, page = i * page_count;
      statistics_.push_back({per_head_[0].data() + head, per_head_[1].data() + head, per_head_[2].data() + head,
                             per_head_[3].data() + head, per_head_[4].data() + head, per_page_[0].data() + page,
                             per_page_[1].data() + page, per_page_[2].data() + page});
    }
  }

  /// Seconds of this thread for one read.
  double seconds(bool certified) {
    for (std::size_t i = 0; i < reads_.size(); ++i)
      reads_[i].statistics = certified ? statistics_[i] : kernels::PageStatistics{};
    const ThreadStopwatch watch;
    kernels::attend_paged({}, shape_, reads_);
    if (certified) certify();
    return watch.seconds() / static_cast<double>(reads_.size());
  }

  [[nodiscard]] std::size_t reads() const { return reads_.size(); }
  [[nodiscard]] std::span<const float> first_output() const {
    return std::span(output_).first(shape_.group * shape_.head_dim);
  }

 private:
  void certify() {
    kernels::certificate_sums({}, shape_, reads_, sums_);
    for (std::size_t h = 0; h < sums_.size(); ++h) {
      double square = 0.0;
      for (std::size_t j = 0; j < shape_.head_dim; ++j) {
        const auto x = static_cast<double>(output_[h * shape_.head_dim + j]);
        square += x * x;
      }
      worst_tv_ = std::max(worst_tv_, llm::certify(sums_[h], std::sqrt(square)).attention_tv);
    }
  }

  kernels::AttendShape shape_;
  std::vector<kernels::KvRead> reads_;
  std::vector<kernels::PageStatistics> statistics_;
  std::vector<float> output_;
  std::vector<double> log_sum_exp_;
  std::array<std::vector<float>, 5> per_head_;
  std::array<std::vector<float>, 3> per_page_;
  std::vector<kernels::CertificateSums> sums_;
  double worst_tv_ = 0.0;
};

/// What one combination took, one number for each repetition.
struct ReadTimes {
  std::vector<double> plain, certified, cost;  ///< seconds for one read; relative cost of the certificate
};

/// Before anything is timed: reads of these pages are within their certificates.
inline void check_reads(const CodedHead& head, std::span<const float> queries, std::size_t group, PageLevels levels) {
  std::vector<KvPage> pages;
  for (std::size_t p = 0; p < head.pages(); ++p) pages.push_back(head.view(p, levels.key, levels.value));
  AttentionOracle oracle(head, pages);
  GroupRead read(head, group, 1.0F / std::sqrt(static_cast<float>(head.head_dim())));
  read.levels(std::move(pages));
  read.run(queries.first(group * head.head_dim()));
  for (std::size_t h = 0; h < group; ++h) {
    const TrueErrors truth = oracle.errors(read, h, queries.subspan(h * head.head_dim(), head.head_dim()));
    const llm::AttentionCertificate certificate = read.certificate(h);
    expects<std::runtime_error>(truth.tv - truth.tv_blur <= certificate.attention_tv &&
                                    truth.output <= certificate.output_error && truth.off_radius <= 1.0,
                                "bench_attention: a read of ", levels.name, " pages is outside of its certificate");
  }
}

inline double copy_gbps() {
  const std::vector<std::byte> source(PagePool::least_bytes, std::byte{1});
  std::vector<std::byte> target(source.size());
  std::vector<double> gbps;
  for (int repetition = 0; repetition < 5; ++repetition) {
    const ThreadStopwatch watch;
    std::memcpy(target.data(), source.data(), source.size());
    gbps.push_back(2.0 * static_cast<double>(source.size()) / watch.seconds() * 1e-9);
  }
  return median(gbps);
}

}  // namespace mpp::bench
