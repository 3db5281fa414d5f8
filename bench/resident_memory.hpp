#pragma once
// Resident memory of this process, as the kernel counts it: what a ledger does not see is in here too.
#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>

namespace mpp::bench {

/// A line of /proc/self/status in bytes, such as "VmRSS"; 0 where the system has none.
inline double status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) * 1024.0;
  return 0.0;
}

inline double resident_bytes() { return status_bytes("VmRSS"); }

/// Bytes by which the resident memory rises at most while `work` runs.
inline double resident_rise(const std::function<void()>& work) {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts again from here
  const double before = resident_bytes();
  work();
  return std::max(0.0, status_bytes("VmHWM") - before);
}

}  // namespace mpp::bench
