#pragma once
#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace mpp::test {

/// A file of the public data, which is not part of the repository: MPP_DATA_DIR names its folder. A test that needs the
/// file skips with the reason when it is not there.
inline std::filesystem::path shared_data(std::string_view file) {
  const char* folder = std::getenv("MPP_DATA_DIR");
  return std::filesystem::path(folder != nullptr ? folder : "../shared/data") / file;
}

}  // namespace mpp::test
