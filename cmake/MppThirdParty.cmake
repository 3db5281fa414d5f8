# What we link and did not write. Looked for here, at the top: imported targets are visible in their folder and below,
# and a static library's users in other folders need them at link time.

# mpp_third_party(hwy::hwy "find_dependency(hwy)"): the lines an installed mppConfig.cmake needs when one of our
# libraries links this target. Static libraries pass on even what they link privately.
function(mpp_third_party target)
  set_property(GLOBAL APPEND PROPERTY MPP_THIRD_PARTY ${target})
  set_property(GLOBAL PROPERTY MPP_FIND_${target} "${ARGN}")
endfunction()

find_package(Threads REQUIRED)
mpp_third_party(Threads::Threads "find_dependency(Threads)")
mpp_third_party(CUDA::cudart_static "find_dependency(CUDAToolkit)")

include(MppBundle)

find_package(hwy REQUIRED)
mpp_third_party(hwy::hwy "find_dependency(hwy)")

include(MppBlas)
include(MppCublas)
include(MppFaiss)
