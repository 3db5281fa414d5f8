#include "mpp/state_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

namespace mpp::tools {
namespace {

std::filesystem::path beside(std::filesystem::path state) { return state += ".lock"; }

// 0600: who may not read the state has no business to hold it up.
int open_lock(const std::filesystem::path& file) { return ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }

}  // namespace

StateLock::StateLock(const std::filesystem::path& state) : file_(open_lock(beside(state))) {
  int result = file_.get() < 0 ? -1 : ::flock(file_.get(), LOCK_EX);
  while (result < 0 && errno == EINTR) result = ::flock(file_.get(), LOCK_EX);
  if (result < 0)
    throw std::filesystem::filesystem_error("mpp audit: cannot lock", beside(state),
                                            std::error_code(errno, std::generic_category()));
}

}  // namespace mpp::tools
