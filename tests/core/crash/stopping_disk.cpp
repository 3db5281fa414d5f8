#include "core/crash/stopping_disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mpp::test::disk {
namespace {

struct Rename {
  std::string to;
  std::optional<std::string> before;  // what the name held; nothing: there was no such file
};

bool counting = false;
int calls_left = 0;
std::size_t bytes_left = 0;
bool is_stopped = false;
std::size_t fatal_write = 0;
std::map<ino_t, std::size_t> flushed;  // of files that were written to: bytes that are safe
std::vector<Rename> unflushed_renames;

// True if this call still reaches the disk.
bool reaches() {
  if (is_stopped) return false;
  is_stopped = calls_left-- == 0;
  return !is_stopped;
}

std::optional<std::string> contents(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

struct stat status(int fd) {
  struct stat found {};
  ::fstat(fd, &found);
  return found;
}

int fail() {
  errno = EIO;
  return -1;
}

}  // namespace

void start(int stop_after, std::size_t fatal_bytes) {
  counting = true;
  calls_left = stop_after;
  bytes_left = fatal_bytes;
  is_stopped = false;
  fatal_write = 0;
  flushed.clear();
  unflushed_renames.clear();
}
bool stopped() { return is_stopped; }
std::size_t fatal_write_size() { return fatal_write; }

void restart(const Loss& loss, const std::filesystem::path& folder) {
  counting = false;
  if (!loss.power) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    struct stat found {};
    ::stat(entry.path().c_str(), &found);
    const auto file = flushed.find(found.st_ino);
    if (file == flushed.end()) continue;
    const auto size = static_cast<std::size_t>(found.st_size), safe = std::min(file->second, size);
    const auto kept = safe + static_cast<std::size_t>(static_cast<double>(size - safe) * loss.unflushed_part);
    std::filesystem::resize_file(entry.path(), kept);
  }
  if (!loss.renames_undone) return;
  for (auto rename = unflushed_renames.rbegin(); rename != unflushed_renames.rend(); ++rename) {
    std::filesystem::remove(rename->to);
    if (rename->before) std::ofstream(rename->to, std::ios::binary) << *rename->before;
  }
}

}  // namespace mpp::test::disk

// The definitions of a program come before those of the C library.
using namespace mpp::test::disk;

extern "C" ssize_t write(int fd, const void* data, std::size_t size) {
  if (counting && S_ISREG(status(fd).st_mode)) {
    flushed.try_emplace(status(fd).st_ino, 0);
    const bool was_stopped = is_stopped;
    if (!reaches()) {
      if (was_stopped) return fail();
      fatal_write = size;
      static_cast<void>(::syscall(SYS_write, fd, data, std::min(size, bytes_left)));
      return fail();
    }
  }
  return ::syscall(SYS_write, fd, data, size);
}

extern "C" int fsync(int fd) {
  if (!counting) return 0;
  if (!reaches()) return fail();
  const struct stat found = status(fd);
  if (S_ISDIR(found.st_mode)) unflushed_renames.clear();
  if (S_ISREG(found.st_mode)) flushed[found.st_ino] = static_cast<std::size_t>(found.st_size);
  return 0;  // no need to wait for a real disk: the model keeps the books
}

extern "C" int rename(const char* from, const char* to) noexcept {
  if (counting) {
    if (!reaches()) return fail();
    unflushed_renames.push_back({to, contents(to)});
  }
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

extern "C" int unlink(const char* path) noexcept {
  if (counting && !reaches()) return fail();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
