# Build options and the two things every target shares: the language standard and the warnings.
include(CheckLanguage)
include(GNUInstallDirs)

option(MPP_BUILD_TESTS "Build the test suites" ${PROJECT_IS_TOP_LEVEL})
option(MPP_BUILD_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(MPP_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(MPP_BUILD_TOOLS "Build the program mpp (needs CLI11 and nlohmann-json)" ${PROJECT_IS_TOP_LEVEL})
option(MPP_WARNINGS_AS_ERRORS "Treat compiler warnings as errors (our presets switch this on)" OFF)
option(MPP_FUZZ "Build the libFuzzer targets (needs Clang)" OFF)
set(MPP_SANITIZE "" CACHE STRING "Sanitizers to build with, for example address,undefined or thread")
set(MPP_BUNDLE "" CACHE PATH "Folder made by `make bundle`: use its third-party sources instead of installed packages")

set(MPP_CUDA AUTO CACHE STRING "CUDA back end: AUTO (when nvcc is found), ON or OFF")
set_property(CACHE MPP_CUDA PROPERTY STRINGS AUTO ON OFF)
set(MPP_FAISS AUTO CACHE STRING "FAISS cells and candidates in the ranking domain: AUTO, ON or OFF")
set_property(CACHE MPP_FAISS PROPERTY STRINGS AUTO ON OFF)
option(MPP_FAISS_GPU "Use the GPU part of FAISS (needs a FAISS that was built with it)" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(MPP_CCACHE ccache)
if(PROJECT_IS_TOP_LEVEL AND MPP_CCACHE)
  foreach(language CXX CUDA)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${MPP_CCACHE})
    endif()
  endforeach()
endif()

set(MPP_HAVE_CUDA OFF)
if(NOT MPP_CUDA STREQUAL "OFF")
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)  # Ampere and Hopper code, PTX for what comes later
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know that nvcc 12 can do this
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(MPP_HAVE_CUDA ON)
  elseif(MPP_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MPP_CUDA=ON, but no CUDA compiler was found; set CMAKE_CUDA_COMPILER or MPP_CUDA=OFF")
  endif()
endif()
message(STATUS "mpp: CUDA back end ${MPP_HAVE_CUDA}")

# Bound arithmetic relies on IEEE rounding; contraction would change which roundings happen.
add_library(mpp_flags INTERFACE)
target_compile_options(mpp_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off>
  $<$<AND:$<BOOL:${MPP_WARNINGS_AS_ERRORS}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:--extended-lambda --expt-relaxed-constexpr -fmad=false>
  $<$<AND:$<BOOL:${MPP_WARNINGS_AS_ERRORS}>,$<COMPILE_LANGUAGE:CUDA>>:-Werror=all-warnings>)
if(MPP_SANITIZE)
  target_compile_options(mpp_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${MPP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(mpp_flags INTERFACE -fsanitize=${MPP_SANITIZE})
endif()
