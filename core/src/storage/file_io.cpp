#include <mpp/core/storage/file_io.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <mpp/core/error.hpp>

namespace mpp {
namespace {

constexpr std::size_t most_at_once = std::size_t{1} << 30;  // Linux transfers less than 2 GiB in one call

// Repeats a system call that a signal has interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

[[noreturn]] void throw_system_error(const std::string& operation, const char* what,
                                     const std::filesystem::path& path) {
  const std::error_code code(errno, std::generic_category());
  throw std::filesystem::filesystem_error(text(operation, ": ", what), path, code);
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

// O_NONBLOCK: a pipe under this name must not make us wait for a writer; regular files ignore it.
InputFile::InputFile(const char* operation, std::filesystem::path path)
    : operation_(operation), path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (fd_.get() < 0) refuse("cannot open");
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) refuse("cannot examine");
  expects<FormatError>(S_ISREG(status.st_mode), "the path names a folder, pipe or device, expected a regular file");
  size_ = static_cast<std::uint64_t>(status.st_size);
}

void InputFile::refuse(const char* what) const { throw_system_error(operation_, what, path_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const auto got = uninterrupted(
        [&] { return ::pread(fd_.get(), out.data(), std::min(out.size(), most_at_once), static_cast<off_t>(offset)); });
    if (got < 0) refuse("cannot read");
    expects<FormatError>(got > 0, "the file ends at byte ", offset, ", expected ", out.size(), " bytes more");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::shared_ptr<const std::byte> InputFile::map() const {
  const std::size_t size = size_;
  void* const start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_.get(), 0);
  if (start == MAP_FAILED) refuse("cannot map");
  return {static_cast<const std::byte*>(start), [start, size](const std::byte*) { ::munmap(start, size); }};
}

NewFile::NewFile(const char* operation, std::filesystem::path path, unsigned mode)
    : operation_(operation), path_(std::move(path)), fd_(((path_ = followed()), open_beside(mode))) {
  struct stat old {};
  if (::stat(path_.c_str(), &old) == 0 && ::fchmod(fd_.get(), old.st_mode & 0777U) != 0)
    refuse("cannot set the mode of");
}

// A rename replaces a link itself: readers by way of the file's own name would keep the old contents.
std::filesystem::path NewFile::followed() const {
  constexpr int most_links = 40;  // as many as Linux follows
  std::filesystem::path at = path_;
  std::error_code none;
  for (int links = 0; std::filesystem::is_symlink(at, none); ++links) {
    errno = ELOOP;
    if (links == most_links) refuse("cannot follow");
    at = at.parent_path() / std::filesystem::read_symlink(at);  // an absolute target stands for itself
  }
  return at;
}

// The name is ours alone: O_EXCL tells apart what other processes, threads and crashes have left. While another file is
// there to take the permissions from, nobody else may read this one.
int NewFile::open_beside(unsigned mode) {
  struct stat old {};
  if (::stat(path_.c_str(), &old) == 0) mode = 0600;
  for (int attempt = 0;; ++attempt) {
    partial_ = path_;
    partial_ += text(".", ::getpid(), ".", attempt, ".partial");
    const int fd = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    if (errno != EEXIST) refuse("cannot create a file beside");
  }
}

NewFile::~NewFile() {
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

void NewFile::refuse(const char* what) const { throw_system_error(operation_, what, path_); }

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto put =
        uninterrupted([&] { return ::write(fd_.get(), bytes.data(), std::min(bytes.size(), most_at_once)); });
    if (put < 0) refuse("cannot write");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
}

void NewFile::commit() {
  if (::fsync(fd_.get()) != 0) refuse("cannot flush");
  if (::rename(partial_.c_str(), path_.c_str()) != 0) refuse("cannot replace");
  partial_.clear();
  // The rename itself is on the disk only once the folder is. Some file systems cannot flush folders: EINVAL.
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const FileDescriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0 || (::fsync(handle.get()) != 0 && errno != EINVAL)) refuse("cannot flush the folder of");
}

}  // namespace mpp
