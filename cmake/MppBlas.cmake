# Linear algebra for the domains: target mpp_linalg = Eigen's headers, with OpenBLAS behind them for large products
# when it is installed (MPP_HAVE_BLAS). Set BLA_VENDOR to take another optimised BLAS; the reference BLAS is never
# taken by itself, because Eigen's own product is faster.
include_guard(GLOBAL)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)

set(MPP_HAVE_BLAS OFF)
if(NOT MPP_BUNDLE)
  set(asked ${BLA_VENDOR})
  if(NOT BLA_VENDOR)
    set(BLA_VENDOR OpenBLAS)
  endif()
  find_package(BLAS QUIET)
  if(BLAS_FOUND)
    set(MPP_HAVE_BLAS ON)
  endif()
  set(vendor ${BLA_VENDOR})
  set(BLA_VENDOR ${asked})
endif()
message(STATUS "mpp: BLAS behind Eigen ${MPP_HAVE_BLAS}")

# Eigen3::Eigen is imported, so its headers are system headers and our warnings do not apply to them. An installed
# library needs the BLAS at link time, but no longer the headers.
add_library(mpp_linalg INTERFACE)
set_target_properties(mpp_linalg PROPERTIES EXPORT_NAME linalg)
target_link_libraries(mpp_linalg INTERFACE $<BUILD_INTERFACE:Eigen3::Eigen>)
if(MPP_HAVE_BLAS)
  target_compile_definitions(mpp_linalg INTERFACE $<BUILD_INTERFACE:EIGEN_USE_BLAS>)
  target_link_libraries(mpp_linalg INTERFACE BLAS::BLAS)
  mpp_third_party(mpp_linalg "set(mpp_asked \${BLA_VENDOR})" "set(BLA_VENDOR ${vendor})" "find_dependency(BLAS)"
                  "set(BLA_VENDOR \${mpp_asked})")
else()
  mpp_third_party(mpp_linalg)
endif()
