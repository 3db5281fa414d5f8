#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace mpp {

/// An open file, closed by its destructor.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// A regular file opened for reading. What the system refuses is a std::filesystem::filesystem_error with `operation`
/// and the path; a file that is not regular or ends early is a FormatError without the path.
class InputFile {
 public:
  InputFile(const char* operation, std::filesystem::path path);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Fills `out` from `offset` on.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  /// The whole file, read-only; unmapped with the last copy of the pointer. size() > 0.
  [[nodiscard]] std::shared_ptr<const std::byte> map() const;

 private:
  [[noreturn]] void refuse(const char* what) const;

  std::string operation_;
  std::filesystem::path path_;
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
};

/// A file that appears under its name only once it is complete and on the disk; until then it is a file beside it,
/// which the destructor removes. Errors are std::filesystem::filesystem_error with `operation` and the path.
///
/// Where the path is a symbolic link, the file it leads to is replaced, not the link. The new file has the permissions of
/// the one it replaces (not its owner or its other attributes), or `mode` less the umask if there was none.
class NewFile {
 public:
  NewFile(const char* operation, std::filesystem::path path, unsigned mode = 0666);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Flushes, renames over what was there, and flushes the folder.
  void commit();

 private:
  [[noreturn]] void refuse(const char* what) const;
  [[nodiscard]] std::filesystem::path followed() const;
  [[nodiscard]] int open_beside(unsigned mode);

  std::string operation_;
  std::filesystem::path path_;
  std::filesystem::path partial_;
  FileDescriptor fd_;
};

}  // namespace mpp
