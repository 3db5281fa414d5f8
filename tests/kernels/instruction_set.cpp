// MPP_INSTRUCTION_SET=SSE4 runs this binary as on a machine that has nothing better, where this one has it at all.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <hwy/targets.h>

namespace {

[[maybe_unused]] const bool chosen = [] {
  const char* name = std::getenv("MPP_INSTRUCTION_SET");
  if (name == nullptr) return false;
  const std::int64_t supported = hwy::SupportedTargets();
  for (std::int64_t bit = 1; bit > 0 && bit <= supported; bit <<= 1)
    if ((supported & bit) != 0 && std::string_view(name) == hwy::TargetName(bit)) hwy::SetSupportedTargetsForTest(bit);
  return true;
}();

}  // namespace
