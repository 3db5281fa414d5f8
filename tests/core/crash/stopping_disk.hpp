#pragma once
#include <cstddef>
#include <filesystem>

/// The system calls that change files go through a model of a machine that stops: write, fsync, rename and unlink of
/// this program are replaced by those of stopping_disk.cpp.
namespace mpp::test::disk {

/// What a machine that loses its power makes of what was not flushed. The contents of a file that fsync has not seen end
/// anywhere; a rename whose folder fsync has not seen may or may not have happened. A killed process loses neither.
struct Loss {
  bool power = false;           ///< false: only the process dies
  double unflushed_part = 0.0;  ///< of the bytes of a file that were not flushed, this part is on the disk
  bool renames_undone = false;  ///< renames that were not flushed have not happened
};

/// Counts calls until stop_after of them have reached the disk; the next one does not (of a write, `fatal_bytes` do), and
/// after it none does: all fail, as far as a program that is no longer there can notice.
void start(int stop_after, std::size_t fatal_bytes);
/// True when the machine has stopped since start().
bool stopped();
/// Bytes of the write that was the fatal call; 0 if it was another one.
std::size_t fatal_write_size();
/// The machine comes up again. Calls are passed on from here.
void restart(const Loss& loss, const std::filesystem::path& folder);

}  // namespace mpp::test::disk
