# Install and export: find_package(mpp) gives mpp::core, mpp::kernels and the domains that were built.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY MPP_LIBRARIES)
install(TARGETS ${libraries} EXPORT mppTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
foreach(folder core kernels domains/ranking)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endforeach()
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mpp)
install(EXPORT mppTargets NAMESPACE mpp:: DESTINATION ${config_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/mppConfig.cmake.in ${PROJECT_BINARY_DIR}/mppConfig.cmake
                              INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mppConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mppConfig.cmake ${PROJECT_BINARY_DIR}/mppConfigVersion.cmake
        DESTINATION ${config_dir})
