# cuBLAS for matrix products on CUDA: MPP_HAVE_CUBLAS and target mpp_cublas. Looked for in MPP_CUBLAS_ROOT, in the toolkit,
# and in the Python package nvidia-cublas of the python3 that is active. Nothing is downloaded; without it, what needs
# matrix products says so when it is called.
include_guard(GLOBAL)
set(MPP_CUBLAS_ROOT "" CACHE PATH "Folder with include/cublas_v2.h and lib/libcublas.so*, where the CUDA toolkit has none")
set(MPP_HAVE_CUBLAS OFF)
if(NOT MPP_HAVE_CUDA)
  return()
endif()

set(major ${CUDAToolkit_VERSION_MAJOR})
set(roots ${MPP_CUBLAS_ROOT})
if(NOT MPP_CUBLAS_ROOT AND NOT TARGET CUDA::cublas)
  execute_process(COMMAND python3 -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                  OUTPUT_VARIABLE packages OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(roots ${packages}/nvidia/cu${major} ${packages}/nvidia/cublas)
  endif()
endif()
find_path(cublas_include cublas_v2.h PATHS ${roots} PATH_SUFFIXES include NO_DEFAULT_PATH NO_CACHE)
# The Python package has no link without a version; another major version is another interface.
find_library(cublas_library NAMES libcublas.so.${major} PATHS ${roots} PATH_SUFFIXES lib lib64 NO_DEFAULT_PATH NO_CACHE)

if(cublas_include AND cublas_library)
  set(MPP_HAVE_CUBLAS ON)
  set(cublas_linked ${cublas_library})
  set(cublas_found ${cublas_library})
elseif(MPP_CUBLAS_ROOT)
  message(FATAL_ERROR "MPP_CUBLAS_ROOT is ${MPP_CUBLAS_ROOT}, but include/cublas_v2.h or lib/libcublas.so.${major} is "
                      "missing (found: ${cublas_include}, ${cublas_library})")
elseif(TARGET CUDA::cublas)
  set(MPP_HAVE_CUBLAS ON)
  set(cublas_linked CUDA::cublas)
  set(cublas_found "of the toolkit")
else()
  set(cublas_found "OFF, so no prefill attention on CUDA: pip install 'nvidia-cublas==${major}.*' or set MPP_CUBLAS_ROOT")
endif()
message(STATUS "mpp: cuBLAS ${cublas_found}")

# A library outside the toolkit keeps its full path, which is where the loader looks for it: in the build tree, and, after an
# installation, in programs that CMake links.
if(MPP_HAVE_CUBLAS)
  add_library(mpp_cublas INTERFACE)
  set_target_properties(mpp_cublas PROPERTIES EXPORT_NAME cublas)
  target_link_libraries(mpp_cublas INTERFACE ${cublas_linked})
  if(cublas_include)
    target_include_directories(mpp_cublas SYSTEM INTERFACE $<BUILD_INTERFACE:${cublas_include}>)
  endif()
  mpp_third_party(mpp_cublas "find_dependency(CUDAToolkit)")
endif()
