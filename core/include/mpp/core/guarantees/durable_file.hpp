#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace mpp::guarantees {

/// Most bytes that one durable file holds: calibration records and audit states are far smaller.
inline constexpr std::size_t max_durable_bytes = std::size_t{1} << 26;

/// Replaces the file by `bytes` behind one line that names their number and CRC-32C: "mpp-durable 1 5 0bf2ab26\n".
///
/// The line and the bytes go to a new file in the same folder, which is flushed, renamed over `file`, and the folder is
/// flushed. So wherever the process or the machine stops, read_durably() finds what was there before or what is
/// written now; after a return it is what was written. What a crash leaves beside it ends in ".partial" and is read by
/// nobody. Concurrent writers do not disturb each other; the last rename stays.
/// Links are followed and permissions are kept, as NewFile does.
/// @param mode  permissions of a file that was not there, less the umask
/// @throws ShapeError for more than max_durable_bytes; std::filesystem::filesystem_error if the system refuses
///         (disk full, no such folder): `file` is then as it was before, unless only the flush of the folder failed
void write_durably(const std::filesystem::path& file, std::span<const std::byte> bytes, unsigned mode = 0666);

/// The bytes that write_durably() was given. Every shorter or longer file is refused, and every change within 32
/// neighbouring bits; other damage is with probability 1 - 2^-32. No protection against intent: who reads the bytes
/// must still check them.
/// @throws FormatError if the file is damaged, of another version or not ours; std::filesystem::filesystem_error if
///         it cannot be opened: a missing file is never an empty state
[[nodiscard]] std::vector<std::byte> read_durably(const std::filesystem::path& file);

}  // namespace mpp::guarantees
