# FAISS for the domains that use it: MPP_HAVE_FAISS, MPP_HAVE_FAISS_GPU and target mpp_faiss when it is there.
# Its target is called `faiss` both in Debian's 1.7.3 and upstream, and neither config file looks for what that target
# links (OpenMP, BLAS, LAPACK): we do, before and not after.
include_guard(GLOBAL)
set(MPP_HAVE_FAISS OFF)
set(MPP_HAVE_FAISS_GPU OFF)

if(MPP_FAISS STREQUAL "ON" OR (MPP_FAISS STREQUAL "AUTO" AND NOT MPP_BUNDLE))
  find_package(OpenMP QUIET COMPONENTS CXX)
  find_package(BLAS QUIET)
  find_package(LAPACK QUIET)
  if(OpenMP_CXX_FOUND AND BLAS_FOUND AND LAPACK_FOUND)
    find_package(faiss CONFIG QUIET)
  endif()
  if(faiss_FOUND)
    set(MPP_HAVE_FAISS ON)
  elseif(MPP_FAISS STREQUAL "ON")
    message(FATAL_ERROR "MPP_FAISS=ON, but FAISS or what it links is missing (OpenMP for C++: ${OpenMP_CXX_FOUND}, "
                        "BLAS: ${BLAS_FOUND}, LAPACK: ${LAPACK_FOUND}, faiss: ${faiss_FOUND}); "
                        "install libfaiss-dev or set MPP_FAISS=OFF")
  endif()
endif()

if(MPP_HAVE_FAISS)
  add_library(mpp_faiss INTERFACE)
  set_target_properties(mpp_faiss PROPERTIES EXPORT_NAME faiss)
  target_link_libraries(mpp_faiss INTERFACE faiss)
  mpp_third_party(mpp_faiss "find_dependency(OpenMP COMPONENTS CXX)" "find_dependency(BLAS)" "find_dependency(LAPACK)"
                  "find_dependency(faiss CONFIG)")
endif()

if(MPP_FAISS_GPU)
  if(MPP_HAVE_FAISS)
    get_target_property(include faiss INTERFACE_INCLUDE_DIRECTORIES)
    find_path(MPP_FAISS_GPU_INCLUDE faiss/gpu/StandardGpuResources.h PATHS ${include} NO_DEFAULT_PATH)
  endif()
  if(NOT MPP_FAISS_GPU_INCLUDE)
    message(FATAL_ERROR "MPP_FAISS_GPU=ON, but FAISS has no faiss/gpu/StandardGpuResources.h "
                        "(found FAISS: ${MPP_HAVE_FAISS}); use a FAISS built with FAISS_ENABLE_GPU or set it OFF")
  endif()
  find_package(CUDAToolkit REQUIRED)
  target_link_libraries(mpp_faiss INTERFACE CUDA::cudart)
  set(MPP_HAVE_FAISS_GPU ON)
endif()
message(STATUS "mpp: FAISS ${MPP_HAVE_FAISS}, on the GPU ${MPP_HAVE_FAISS_GPU}")
