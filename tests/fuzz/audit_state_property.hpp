#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/auditor.hpp>

namespace mpp::test {

/// What holds for the state of an auditor that has been read from `bytes`: it gives them back, goes on auditing, opens
/// no key by itself, and its next state can be read again.
inline bool canonical(guarantees::Auditor& auditor, std::span<const std::byte> bytes) {
  using namespace mpp::guarantees;
  const auto again = auditor.bytes();
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) return false;
  for (const AuditKey& key : auditor.keys()) {
    const AuditStatus before = auditor.status(key);
    for (std::uint64_t request = 0; request < 32; ++request)
      if (auditor.selects(key, request) && auditor.status(key).audited < Auditor::max_audits)
        auditor.observe(key, request, request % 2 == 0 ? 1.0 : 0.25);
    if (!before.open() && auditor.may_release(key)) return false;
  }
  const auto next = auditor.bytes();
  return Auditor::parse(next).bytes() == next;
}

/// What holds for any bytes: they are refused with a FormatError, or they are canonical.
/// @return false if not; any other exception passes through
inline bool refused_or_canonical(std::span<const std::byte> bytes) {
  std::unique_ptr<guarantees::Auditor> auditor;
  try {
    auditor.reset(new guarantees::Auditor(guarantees::Auditor::parse(bytes)));
  } catch (const FormatError&) {
    return true;
  }
  return canonical(*auditor, bytes);
}

/// Two keys, one of them alarmed, with evidence of 0/1 and graded losses.
inline std::vector<std::byte> sample_audit_state() {
  using namespace mpp::guarantees;
  Auditor auditor({.sampling_rate = 0.5, .seed = {3, 4}});
  const AuditKey open{"ranking", 1, "gold"}, closed{"speech", 0, ""};
  auditor.recalibrated(open, "r1", Delta{0.1});
  for (const char* record : {"r0", "r1", "r2"}) auditor.recalibrated(closed, record, Delta{0.01});
  for (std::uint64_t request = 0; request < 200; ++request) {
    if (auditor.selects(open, request)) auditor.observe(open, request, request % 9 == 0 ? 0.3 : 0.0);
    if (auditor.selects(closed, request)) auditor.observe(closed, request, 1.0);
  }
  return auditor.bytes();
}

}  // namespace mpp::test
