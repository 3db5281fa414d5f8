#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>

#include "domains/pool_samples.hpp"
#include "support/pool_file_bytes.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::ranking {
namespace {

using namespace mpp::test;
namespace fs = std::filesystem;

FileBytes read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const fs::path& path, const FileBytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void expect_equal(const PoolColumns& a, const PoolColumns& b) {
  EXPECT_EQ(a.metric, b.metric);
  EXPECT_EQ(a.dims, b.dims);
  EXPECT_EQ(a.coded_dims, b.coded_dims);
  EXPECT_EQ(a.unit_exponent, b.unit_exponent);
  EXPECT_EQ(a.next_id, b.next_id);
  EXPECT_EQ(a.tail_rows, b.tail_rows);
  EXPECT_EQ(a.largest_centered, b.largest_centered);
  EXPECT_EQ(a.largest_row, b.largest_row);
  EXPECT_EQ(a.largest_bias, b.largest_bias);
  std::vector<std::vector<std::byte>> bytes;
  each_column(a, [&](std::string_view, const auto& column) {
    const auto view = std::as_bytes(column.view());
    bytes.emplace_back(view.begin(), view.end());
  });
  std::size_t next = 0;
  each_column(b, [&](std::string_view name, const auto& column) {
    EXPECT_TRUE(std::ranges::equal(bytes[next++], std::as_bytes(column.view()))) << name;
  });
  EXPECT_TRUE(std::ranges::equal(a.block_plane[0].top_scale.view(), b.block_plane[0].top_scale.view()));
  EXPECT_TRUE(std::ranges::equal(a.block_plane[0].top_residual.view(), b.block_plane[0].top_residual.view()));
}

class PoolFile : public testing::Test {
 protected:
  // The sentence with which `read` refuses the file; empty if it does not.
  std::string refusal(Pool (*read)(const fs::path&)) const {
    try {
      static_cast<void>(read(file));
    } catch (const FormatError& error) {
      return error.what();
    }
    return "";
  }
  // Saves a small pool and returns its bytes.
  FileBytes saved(Metric metric = Metric::l2) const {
    small_pool(metric).save(file);
    return read_bytes(file);
  }
  std::size_t files_in_folder() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder.path()), {}));
  }

  TemporaryFolder folder;
  fs::path file = folder / "pool.mpp";
};

TEST_F(PoolFile, GivesBackEveryColumnOfEveryMetric) {
  for (const Metric metric : {Metric::inner_product, Metric::cosine, Metric::l2}) {
    const Pool pool = small_pool(metric);
    pool.save(file);
    const Pool loaded = Pool::load(file);
    const Pool mapped = Pool::map(file);
    expect_equal(pool.columns(), loaded.columns());
    expect_equal(pool.columns(), mapped.columns());
    EXPECT_EQ(loaded.size(), 71U);
    EXPECT_EQ(mapped.size(), 71U);
  }
}

TEST_F(PoolFile, GivesBackAPoolWithoutRows) {
  const Pool pool = Pool::build({}, 3);
  pool.save(file);
  expect_equal(pool.columns(), Pool::load(file).columns());
  expect_equal(pool.columns(), Pool::map(file).columns());
}

TEST_F(PoolFile, ALoadedPoolCanChangeAndAMappedOneCannot) {
  saved();
  Pool loaded = Pool::load(file);
  EXPECT_EQ(loaded.add(random_rows(1, 3, 3)), 72U);
  loaded.remove(72);
  Pool mapped = Pool::map(file);
  EXPECT_THROW(mapped.add(random_rows(1, 3, 3)), ValueError);
  EXPECT_THROW(mapped.remove(7), ValueError);
  EXPECT_EQ(loaded.backing()[MemorySpace::disk], Bytes{0});
  EXPECT_EQ(mapped.backing()[MemorySpace::host], Bytes{0});
}

TEST_F(PoolFile, MappedColumnsStartCacheLines) {
  saved();
  const Pool mapped = Pool::map(file);
  each_column(mapped.columns(), [](std::string_view name, const auto& column) {
    EXPECT_EQ(std::bit_cast<std::uintptr_t>(column.view().data()) % 64, 0U) << name;
  });
}

TEST_F(PoolFile, AMappedPoolOutlivesItsFile) {
  const Pool pool = small_pool(Metric::l2);
  pool.save(file);
  const Pool mapped = Pool::map(file);
  mapped.save(file);  // over the file it reads from
  expect_equal(pool.columns(), Pool::load(file).columns());
  fs::remove(file);
  expect_equal(pool.columns(), mapped.columns());
}

TEST_F(PoolFile, IsWhatTheFormatPageSays) {
  // Values of RFC 3720, appendix B.4, so that the checksum here is not merely ours.
  EXPECT_EQ(plain_crc32c(FileBytes(32, 0x00)), 0x8A9136AAU);
  EXPECT_EQ(plain_crc32c(FileBytes(32, 0xFF)), 0x62A8AB43U);
  const FileBytes bytes = saved();
  EXPECT_EQ(get<std::uint64_t>(bytes, head::file_bytes), bytes.size());
  EXPECT_EQ(get<std::uint32_t>(bytes, head::dims), 3U);
  EXPECT_EQ(bytes[head::metric], static_cast<std::uint8_t>(Metric::l2));
  EXPECT_EQ(get<std::uint32_t>(bytes, head::checksum), head_checksum(bytes));
  std::size_t end = head::size;
  for (std::size_t s = 0; s < head::sections; ++s) {
    EXPECT_EQ(get<std::uint16_t>(bytes, EntryAt(s).id), s);
    EXPECT_EQ(first_byte(bytes, s), end) << "section " << s;
    EXPECT_EQ(get<std::uint32_t>(bytes, EntryAt(s).checksum), section_checksum(bytes, s)) << "section " << s;
    end += padded_bytes(bytes, s);
  }
  EXPECT_EQ(end, bytes.size());
}

TEST_F(PoolFile, IsRefusedAtEveryShorterLength) {
  for (std::size_t length = saved().size(); length-- > 0;) {
    fs::resize_file(file, length);
    ASSERT_NE(refusal(Pool::load), "") << length << " bytes";
    ASSERT_NE(refusal(Pool::map), "") << length << " bytes";
  }
}

TEST_F(PoolFile, IsRefusedWithBytesBehindItsEnd) {
  FileBytes bytes = saved();
  bytes.resize(bytes.size() + 64);
  write_bytes(file, bytes);
  EXPECT_NE(refusal(Pool::load).find("file_bytes"), std::string::npos);
  EXPECT_NE(refusal(Pool::map).find("file_bytes"), std::string::npos);
  put<std::uint64_t>(bytes, head::file_bytes, bytes.size());
  repair_checksums(bytes);
  write_bytes(file, bytes);
  EXPECT_NE(refusal(Pool::load).find("end of its last section"), std::string::npos);
  EXPECT_NE(refusal(Pool::map).find("end of its last section"), std::string::npos);
}

// Changes each byte from `first` to `last` in place, once per mask, and asks `check` about the file.
template <class Check>
void with_each_byte_changed(const fs::path& file, FileBytes bytes, std::size_t first, std::size_t last, Check check) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  const auto set = [&](std::size_t i, int value) {
    stream.seekp(static_cast<std::streamoff>(i)).put(static_cast<char>(value)).flush();
  };
  for (std::size_t i = first; i < last; ++i) {
    for (const int mask : {0x01, 0x80, 0xFF}) {
      set(i, bytes[i] ^ mask);
      check(i);
    }
    set(i, bytes[i]);
  }
}

TEST_F(PoolFile, LoadFindsEveryChangedByte) {
  const FileBytes bytes = saved();
  with_each_byte_changed(file, bytes, 0, bytes.size(),
                         [&](std::size_t i) { ASSERT_NE(refusal(Pool::load), "") << "byte " << i; });
  EXPECT_EQ(refusal(Pool::load), "");
}

TEST_F(PoolFile, MapFindsEveryChangedByteOfHeadAndResidentColumns) {
  const FileBytes bytes = saved();
  with_each_byte_changed(file, bytes, 0, first_byte(bytes, signs_1),
                         [&](std::size_t i) { ASSERT_NE(refusal(Pool::map), "") << "byte " << i; });
}

// The page says so, and a reader must know: map() does not read what is read row by row.
TEST_F(PoolFile, MapDoesNotFindAChangedByteOfTheRows) {
  FileBytes bytes = saved();
  bytes[first_byte(bytes, rows) + 1] ^= 1;
  write_bytes(file, bytes);
  EXPECT_EQ(refusal(Pool::map), "");
  EXPECT_NE(refusal(Pool::load).find("rows: checksum"), std::string::npos);
}

// Proof that the tests above can fail: where a change keeps a file meaningful, nothing but the checksum finds it.
TEST_F(PoolFile, AChangedByteWithRepairedChecksumsIsNotFound) {
  const FileBytes bytes = saved();
  for (const std::size_t i : {head::largest_row, first_byte(bytes, rows) + 1, first_byte(bytes, signs_0)}) {
    FileBytes changed = bytes;
    changed[i] ^= 1;
    repair_checksums(changed);
    write_bytes(file, changed);
    EXPECT_EQ(refusal(Pool::load), "") << "byte " << i;
  }
}

struct Hostile {
  const char* what;  // must be in the sentence
  void (*change)(FileBytes&);
};

// Each file has right checksums. `map` has to refuse it as well, unless only the rows are wrong.
constexpr auto huge = std::uint64_t{1} << 62;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
const Hostile hostile[] = {
    {"magic", [](FileBytes& f) { f[0] = 'm'; }},
    {"version is 1", [](FileBytes& f) { put<std::uint32_t>(f, head::version, 1); }},
    {"file_bytes", [](FileBytes& f) { put(f, head::file_bytes, huge); }},
    {"reserved", [](FileBytes& f) { f[head::reserved + 2] = 1; }},
    {"metric is 3", [](FileBytes& f) { f[head::metric] = 3; }},
    {"dims is 0", [](FileBytes& f) { put<std::uint32_t>(f, head::dims, 0); }},
    {"dims is 32769", [](FileBytes& f) { put<std::uint32_t>(f, head::dims, 32769); }},
    {"dims is 4294967295", [](FileBytes& f) { put<std::uint32_t>(f, head::dims, 0xFFFFFFFF); }},
    {"coded_dims is 12", [](FileBytes& f) { put<std::uint32_t>(f, head::coded_dims, 12); }},
    {"coded_dims is 16", [](FileBytes& f) { put<std::uint32_t>(f, head::coded_dims, 16); }},
    {"unit_exponent is 512", [](FileBytes& f) { put<std::int32_t>(f, head::unit_exponent, 512); }},
    {"unit_exponent is -", [](FileBytes& f) { put(f, head::unit_exponent, std::numeric_limits<std::int32_t>::min()); }},
    {"next_id", [](FileBytes& f) { put(f, head::next_id, huge); }},
    {"expected below next_id = 71", [](FileBytes& f) { put<std::uint64_t>(f, head::next_id, 71); }},
    {"tail_rows", [](FileBytes& f) { put(f, head::tail_rows, huge); }},
    {"behind tail_rows = 1", [](FileBytes& f) { put<std::uint64_t>(f, head::tail_rows, 1); }},
    {"largest_centered", [](FileBytes& f) { put(f, head::largest_centered, nan); }},
    {"largest_row", [](FileBytes& f) { put(f, head::largest_row, -1.0); }},
    {"largest_bias", [](FileBytes& f) { put(f, head::largest_bias, std::numeric_limits<double>::infinity()); }},
    {"expected at most largest_bias", [](FileBytes& f) { put(f, head::largest_bias, 0.0); }},
    {"bias: section id", [](FileBytes& f) { put<std::uint16_t>(f, EntryAt(bias).id, rows); }},
    {"scale[0]: element_bytes", [](FileBytes& f) { put<std::uint16_t>(f, EntryAt(scale_0).element_bytes, 0); }},
    {"live: offset", [](FileBytes& f) { put(f, EntryAt(live).offset, huge); }},
    {"scale[0]: offset", [](FileBytes& f) { put(f, EntryAt(scale_0).offset, ~std::uint64_t{0}); }},
    {"residual[0]: offset",  // on top of its neighbour
     [](FileBytes& f) { put(f, EntryAt(residual_0).offset, get<std::uint64_t>(f, EntryAt(scale_0).offset)); }},
    {"rotation: bytes", [](FileBytes& f) { put(f, EntryAt(rotation).bytes, huge); }},
    {"ids: bytes", [](FileBytes& f) { put(f, EntryAt(ids).bytes, ~std::uint64_t{0}); }},
    {"rows: bytes", [](FileBytes& f) { put(f, EntryAt(rows).bytes, std::uint64_t{1} << 40); }},
    {"rows: bytes",  // ends in the file, but its padding does not
     [](FileBytes& f) { put(f, EntryAt(rows).bytes, get<std::uint64_t>(f, EntryAt(rows).bytes) + 4); }},
    {"ids: bytes", [](FileBytes& f) { f[EntryAt(ids).bytes] ^= 1; }},
    {"block_cell[0]", [](FileBytes& f) { put<std::uint32_t>(f, first_byte(f, block_cell), 1); }},
    {"ids[1] is 72", [](FileBytes& f) { put<std::uint32_t>(f, first_byte(f, ids) + 4, 72); }},
    {", which another row has",
     [](FileBytes& f) { put(f, first_byte(f, ids) + 4, get<std::uint32_t>(f, first_byte(f, ids))); }},
    {"live", [](FileBytes& f) { f[first_byte(f, live) + 23] = 0x80; }},
    {"scale[0][0]", [](FileBytes& f) { put<std::uint16_t>(f, first_byte(f, scale_0), 0x7C00); }},
    {"residual[0][0]", [](FileBytes& f) { put<std::uint16_t>(f, first_byte(f, residual_0), 0x8001); }},
    {"residual[0][1]", [](FileBytes& f) { put<std::uint16_t>(f, first_byte(f, residual_0) + 2, 0x7E00); }},
    {"bias[0]", [](FileBytes& f) { put(f, first_byte(f, bias), static_cast<float>(nan)); }},
    {"rotation[2]", [](FileBytes& f) { put(f, first_byte(f, rotation) + 8, static_cast<float>(nan)); }},
    {"rotation[8] is 0.5", [](FileBytes& f) { put(f, first_byte(f, rotation) + 32, 0.5F); }},
    {"rotation[35] is -2", [](FileBytes& f) { put(f, first_byte(f, rotation) + 140, -2.0F); }},
    {"centers[1]", [](FileBytes& f) { put(f, first_byte(f, centers) + 4, static_cast<float>(nan)); }},
};

TEST_F(PoolFile, IsRefusedWhenItsFieldsDoNotFitAndTheSentenceNamesFieldAndFile) {
  const FileBytes bytes = saved();
  for (const Hostile& h : hostile) {
    FileBytes changed = bytes;
    h.change(changed);
    repair_checksums(changed);
    write_bytes(file, changed);
    for (const auto read : {Pool::load, Pool::map}) {
      const std::string sentence = refusal(read);
      EXPECT_NE(sentence.find(h.what), std::string::npos) << h.what << " is not in: " << sentence;
      EXPECT_NE(sentence.find(file.string()), std::string::npos) << sentence;
    }
  }
}

TEST_F(PoolFile, IsRefusedWhenAnySectionHasOneElementLess) {
  const FileBytes bytes = saved();
  for (std::size_t s = 0; s < head::sections; ++s) {
    FileBytes changed = bytes;
    const auto element = get<std::uint16_t>(bytes, EntryAt(s).element_bytes);
    put<std::uint64_t>(changed, EntryAt(s).bytes, get<std::uint64_t>(bytes, EntryAt(s).bytes) - element);
    repair_checksums(changed);
    write_bytes(file, changed);
    EXPECT_NE(refusal(Pool::load), "") << "section " << s;
    EXPECT_NE(refusal(Pool::map), "") << "section " << s;
  }
}

TEST_F(PoolFile, LoadRefusesRowsThatCannotBeRanked) {
  FileBytes bytes = saved(Metric::cosine);
  FileBytes changed = bytes;
  put(changed, first_byte(bytes, rows) + 12, static_cast<float>(nan));
  repair_checksums(changed);
  write_bytes(file, changed);
  EXPECT_NE(refusal(Pool::load).find("the row in slot 1 is not finite"), std::string::npos);
  changed = bytes;
  std::fill_n(changed.begin() + static_cast<std::ptrdiff_t>(first_byte(bytes, rows)), 12, std::uint8_t{0});
  repair_checksums(changed);
  write_bytes(file, changed);
  EXPECT_NE(refusal(Pool::load).find("the row in slot 0 has length 0"), std::string::npos);
}

TEST_F(PoolFile, IsNotAFolderOrAPipe) {
  fs::create_directory(file);
  EXPECT_NE(refusal(Pool::load).find("expected a regular file"), std::string::npos);
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_NE(refusal(Pool::map).find("expected a regular file"), std::string::npos);
}

// Calls `action` and checks that the system's refusal names `path` and `operation`.
template <class Action>
void expect_system_error(const fs::path& path, const char* operation, Action action) {
  try {
    action();
    ADD_FAILURE() << "no error";
  } catch (const fs::filesystem_error& error) {
    EXPECT_EQ(error.path1(), path);
    EXPECT_NE(std::string(error.what()).find(operation), std::string::npos) << error.what();
  }
}

TEST_F(PoolFile, WhatTheSystemRefusesNamesThePath) {
  const Pool pool = small_pool(Metric::l2);
  const fs::path nowhere = folder / "missing/pool.mpp";
  expect_system_error(file, "Pool::load", [&] { static_cast<void>(Pool::load(file)); });
  expect_system_error(file, "Pool::map", [&] { static_cast<void>(Pool::map(file)); });
  expect_system_error(nowhere, "Pool::save", [&] { pool.save(nowhere); });
  fs::create_directory(file);
  expect_system_error(file, "Pool::save", [&] { pool.save(file); });
  EXPECT_EQ(files_in_folder(), 1U) << "the unfinished file is removed";
}

TEST_F(PoolFile, ThatMayNotBeReadNamesThePath) {
  saved();
  fs::permissions(file, fs::perms::none);
  if (std::ifstream(file).is_open()) GTEST_SKIP() << "this user may read everything";
  expect_system_error(file, "Pool::load", [&] { static_cast<void>(Pool::load(file)); });
}

TEST_F(PoolFile, SavingReplacesTheOldFileAndLeavesNothingElse) {
  write_bytes(file, FileBytes(100000, 7));
  const Pool pool = small_pool(Metric::cosine);
  pool.save(file);
  expect_equal(pool.columns(), Pool::load(file).columns());
  EXPECT_EQ(files_in_folder(), 1U);
}

// Another thread may be writing it, or a killed process has left it.
TEST_F(PoolFile, SavingTouchesNoUnfinishedFileOfOthers) {
  const fs::path other = folder / ("pool.mpp." + std::to_string(::getpid()) + ".0.partial").c_str();
  write_bytes(other, FileBytes(5, 7));
  saved();
  EXPECT_EQ(read_bytes(other), FileBytes(5, 7));
  EXPECT_EQ(files_in_folder(), 2U);
}

TEST_F(PoolFile, SavingKeepsTheOldFileWhenTheDiskIsFull) {
  const FileBytes before = saved();
  const Pool other = small_pool(Metric::inner_product);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit limit{1000, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  bool failed = false;
  try {
    other.save(file);
  } catch (const fs::filesystem_error&) {
    failed = true;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(failed);
  EXPECT_EQ(read_bytes(file), before);
  EXPECT_EQ(files_in_folder(), 1U);
}

}  // namespace
}  // namespace mpp::ranking
