// Edits a valid pool file, with its checksums repaired or not, and reads it. Whatever the edits: FormatError or a pool
// whose columns fit together. Input: one byte (bit 0: repair checksums, bit 1: shorten the file), then edits of 4 bytes:
// offset (2), width (1), value (1) that is repeated or, with width bit 3, added.

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "domains/pool_samples.hpp"
#include "support/pool_file_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace {

using namespace mpp::test;
using mpp::ranking::Pool;

FileBytes valid_file() {
  const TemporaryFolder folder;
  small_pool(mpp::ranking::Metric::l2).save(folder / "pool.mpp");
  std::ifstream in(folder / "pool.mpp", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void edit(FileBytes& file, const std::uint8_t* change) {
  // Head and table are 512 of thousands of bytes: half of all edits go there.
  const std::size_t place = change[0] + 256U * change[1];
  const std::size_t first = (place & 1) != 0 ? place / 2 % head::size : place / 2 % file.size();
  for (std::size_t i = first; i < std::min(file.size(), first + change[2] % 8 + 1); ++i)
    file[i] = static_cast<std::uint8_t>((change[2] & 8) != 0 ? file[i] + change[3] : change[3]);
}

// Size of the pool that `read` makes of the file, or -1.
long rows_read(Pool (*read)(const std::filesystem::path&), const std::string& path) {
  try {
    const Pool pool = read(path);
    std::size_t live = 0;
    for (const std::uint64_t word : pool.columns().live.view()) live += static_cast<std::size_t>(std::popcount(word));
    std::uint8_t sum = 0;  // every byte of every column lies in memory that is ours
    each_column(pool.columns(), [&](std::string_view, const auto& column) {
      for (const std::byte b : std::as_bytes(column.view())) sum = static_cast<std::uint8_t>(sum + static_cast<int>(b));
    });
    volatile std::uint8_t sink = sum;
    static_cast<void>(sink);
    if (live != pool.size()) std::abort();
    return static_cast<long>(live);
  } catch (const mpp::FormatError&) {
    return -1;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const FileBytes valid = valid_file();
  if (size == 0) return 0;
  FileBytes file = valid;
  for (std::size_t i = 1; i + 4 <= size; i += 4) edit(file, data + i);
  if ((data[0] & 2) != 0 && size >= 3) file.resize((data[1] + 256U * data[2]) % (file.size() + 1));
  if ((data[0] & 1) != 0) repair_checksums(file);

  const int fd = ::memfd_create("pool", 0);
  if (fd < 0 || ::write(fd, file.data(), file.size()) != static_cast<ssize_t>(file.size())) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const long loaded = rows_read(Pool::load, path);
  const long mapped = rows_read(Pool::map, path);
  ::close(fd);
  // map() looks at less than load(): what load() takes, it takes too, and as the same pool.
  if (loaded >= 0 && mapped != loaded) std::abort();
  return 0;
}
