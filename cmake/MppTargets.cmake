# mpp_library(kernels SOURCES ... PUBLIC ... PRIVATE ...): one static library `mpp_<name>`, alias `mpp::<name>`, that
# exposes only its own include folder. Every public header is compiled alone when tests are built.
function(mpp_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(mpp_${name} STATIC ${ARG_SOURCES})
  add_library(mpp::${name} ALIAS mpp_${name})
  set_target_properties(mpp_${name} PROPERTIES EXPORT_NAME ${name} OUTPUT_NAME mpp_${name})
  target_compile_features(mpp_${name} PUBLIC cxx_std_20)
  # Public headers round bounds too: a fused multiply-add in a caller's source would change which roundings happen.
  target_compile_options(mpp_${name} PUBLIC $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-ffp-contract=off>)
  target_include_directories(mpp_${name}
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(mpp_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:mpp_flags>)
  if(MPP_BUILD_TESTS)
    mpp_check_headers(${name})
  endif()
  set_property(GLOBAL APPEND PROPERTY MPP_LIBRARIES mpp_${name})
endfunction()

# Compiles each public header in a source file of its own, so that none depends on what was included before it.
function(mpp_check_headers name)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/include
       ${CMAKE_CURRENT_SOURCE_DIR}/include/*.hpp)
  set(sources)
  foreach(header IN LISTS headers)
    string(REPLACE "/" "_" stem ${header})
    set(source ${CMAKE_CURRENT_BINARY_DIR}/header_alone/${stem}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include <${header}>\n#include <${header}>\n")
    list(APPEND sources ${source})
  endforeach()
  if(sources)
    add_library(mpp_${name}_headers_alone OBJECT ${sources})
    target_link_libraries(mpp_${name}_headers_alone PRIVATE mpp_${name} mpp_flags)
  endif()
endfunction()
