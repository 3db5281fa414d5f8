// MPP_INSTRUCTION_SET=SSE4 runs this binary as on a machine that has nothing better. Status 77: this one lacks it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <hwy/targets.h>

namespace {

std::int64_t target_named(std::string_view name) {
  for (std::int64_t bit = 1; bit > 0; bit <<= 1)
    if (name == hwy::TargetName(bit)) return bit;
  std::fprintf(stderr, "MPP_INSTRUCTION_SET is %s, which Highway does not know\n", name.data());
  std::exit(1);
}

[[maybe_unused]] const bool chosen = [] {
  const char* name = std::getenv("MPP_INSTRUCTION_SET");
  if (name == nullptr) return false;
  const std::int64_t target = target_named(name);
  if ((hwy::SupportedTargets() & target) == 0) {
    std::fprintf(stderr, "skipped: this machine has no %s\n", name);
    std::exit(77);
  }
  hwy::SetSupportedTargetsForTest(target);
  return true;
}();

}  // namespace
