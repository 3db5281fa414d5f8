#pragma once
#include <filesystem>

#include <mpp/core/storage/file_io.hpp>

namespace mpp::tools {

/// Keeps other commands away from a state file for as long as it lives; waits for its turn. Taken on `<state>.lock`,
/// because saving replaces the state file itself. The lock file stays: who removed it might remove that of another one.
class StateLock {
 public:
  /// @throws std::filesystem::filesystem_error if the lock file cannot be made, opened or locked
  explicit StateLock(const std::filesystem::path& state);

 private:
  FileDescriptor file_;
};

}  // namespace mpp::tools
