// A machine that stops between any two changes of a file, or within one, leaves the old state or the new one.
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <mpp/core/error.hpp>
#include <mpp/core/guarantees/auditor.hpp>
#include <mpp/core/guarantees/durable_file.hpp>

#include "core/crash/stopping_disk.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;
using Bytes = std::vector<std::byte>;
using Write = void (*)(const std::filesystem::path&, std::span<const std::byte>);

Bytes bytes(std::string_view words) {
  const auto raw = std::as_bytes(std::span(words));
  return {raw.begin(), raw.end()};
}
void durably(const std::filesystem::path& file, std::span<const std::byte> state) { write_durably(file, state); }
const Bytes old_state = bytes("the state before"), new_state = bytes("the state after one more audit, a longer one");

struct Tally {
  int stops = 0;      // ways to stop that were tried
  int completed = 0;  // writes that were not stopped
  int old_found = 0, new_found = 0;
  int lost = 0;       // neither was found: refused, or not there
  int mixed = 0;      // accepted, but never written
  int went_back = 0;  // completed, and the old state was found
};

Bytes raw(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string all(std::istreambuf_iterator<char>(in), {});
  return bytes(all);
}

void look(const std::filesystem::path& file, bool completed, Tally& tally) {
  try {
    const Bytes found = read_durably(file);
    tally.old_found += found == old_state;
    tally.new_found += found == new_state;
    tally.mixed += found != old_state && found != new_state;
    tally.went_back += completed && found != new_state;
  } catch (const std::runtime_error&) {  // FormatError, or the file is not there
    ++tally.lost;
  }
}

/// Writes the new state over the old one, stopped at every call and within every write (after every `step` bytes), with
/// every loss.
Tally stop_everywhere(Write write, std::size_t step) {
  const std::vector<disk::Loss> losses{
      {}, {true, 0.0, false}, {true, 0.5, false}, {true, 1.0, false}, {true, 0.0, true}, {true, 1.0, true}};
  Tally tally;
  for (const disk::Loss& loss : losses) {
    bool finished = false;
    for (int call = 0; !finished; ++call) {
      std::size_t size = 0;
      for (std::size_t part = 0; part <= size; part += step) {
        const TemporaryFolder folder;
        const auto file = folder / "state";
        write_durably(file, old_state);
        disk::start(call, part);
        try {
          write(file, new_state);
        } catch (const std::exception&) {  // the process is gone and cannot care
        }
        finished = !disk::stopped();
        size = disk::fatal_write_size();
        disk::restart(loss, folder.path());
        ++(finished ? tally.completed : tally.stops);
        look(file, finished, tally);
      }
    }
  }
  return tally;
}
bool survives(const Tally& tally) { return tally.lost == 0 && tally.mixed == 0 && tally.went_back == 0; }

// ---- broken twins ----

Bytes framed(std::span<const std::byte> content) {
  const TemporaryFolder folder;
  write_durably(folder / "frame", content);
  return raw(folder / "frame");
}
void put(int fd, std::span<const std::byte> content) {
  if (::write(fd, content.data(), content.size()) < 0) throw std::runtime_error("write");
}
const Bytes new_frame = framed(new_state);  // made before any disk stops

void write_in_place(const std::filesystem::path& file, std::span<const std::byte>) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_TRUNC);
  put(fd, new_frame);
  ::fsync(fd);
  ::close(fd);
}
void replace(const std::filesystem::path& file, bool flush_file, bool flush_folder) {
  const std::string beside = file.string() + ".partial";
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  put(fd, new_frame);
  if (flush_file) ::fsync(fd);
  ::close(fd);
  if (::rename(beside.c_str(), file.c_str()) != 0 || !flush_folder) return;
  const int folder = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY);
  ::fsync(folder);
  ::close(folder);
}
void rename_before_the_flush(const std::filesystem::path& file, std::span<const std::byte>) {
  replace(file, false, true);
}
void folder_not_flushed(const std::filesystem::path& file, std::span<const std::byte>) { replace(file, true, false); }
void sound(const std::filesystem::path& file, std::span<const std::byte>) { replace(file, true, true); }

TEST(Crash, LeavesTheOldStateOrTheNewOneWhereverItHappens) {
  const Tally tally = stop_everywhere(durably, 1);
  EXPECT_TRUE(survives(tally)) << tally.lost << " lost, " << tally.mixed << " mixed, " << tally.went_back << " back";
  EXPECT_GT(tally.stops, 200);
  EXPECT_GT(tally.old_found, 100);
  EXPECT_GE(tally.new_found, tally.completed);
  EXPECT_GT(tally.completed, 0);
}

TEST(Crash, TheTestAboveCatchesBrokenWriters) {
  EXPECT_TRUE(survives(stop_everywhere(sound, 16)));  // the twins below differ from this one
  EXPECT_GT(stop_everywhere(write_in_place, 16).lost, 0);
  EXPECT_GT(stop_everywhere(rename_before_the_flush, 16).lost, 0);
  EXPECT_GT(stop_everywhere(folder_not_flushed, 16).went_back, 0);
}

// ---- the reader: damage is refused ----

using Read = Bytes (*)(const std::filesystem::path&);

/// How many damaged files are accepted: every prefix, every flipped bit, an added byte, doubled contents.
int accepted(Read read) {
  const TemporaryFolder folder;
  const auto file = folder / "state";
  write_durably(file, old_state);
  const Bytes whole = raw(file);
  std::vector<Bytes> damaged;
  for (std::size_t size = 0; size < whole.size(); ++size)
    damaged.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    damaged.push_back(whole);
    damaged.back()[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  damaged.push_back(whole);
  damaged.back().push_back(std::byte{0});
  damaged.push_back(whole);
  damaged.back().insert(damaged.back().end(), whole.begin(), whole.end());
  int count = 0;
  for (const Bytes& content : damaged) {
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    try {
      (void)read(file);
      ++count;
    } catch (const FormatError&) {
    }
  }
  return count;
}
Bytes unchecked(const std::filesystem::path& file) {
  const Bytes all = raw(file);
  const auto end = std::find(all.begin(), all.end(), std::byte{'\n'});
  if (end == all.end()) throw FormatError("no first line");
  return {end + 1, all.end()};
}

TEST(DurableFile, RefusesEveryDamage) { EXPECT_EQ(accepted(read_durably), 0); }
TEST(DurableFile, TheTestAboveCatchesAReaderThatDoesNotCheckTheChecksum) { EXPECT_GT(accepted(unchecked), 0); }

TEST(DurableFile, GivesBackWhatItWasGiven) {
  const TemporaryFolder folder;
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 100000U}) {
    Bytes content(size);
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::byte>(i * 37 + i / 256);
    write_durably(folder / "state", content);
    EXPECT_EQ(read_durably(folder / "state"), content);
  }
  write_durably(folder / "state", framed(old_state));  // a durable file in a durable file
  EXPECT_EQ(read_durably(folder / "state"), framed(old_state));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // nothing is left beside it
}

TEST(DurableFile, IsWhatItsHeaderSays) {
  const TemporaryFolder folder;
  write_durably(folder / "state", bytes("123456789"));
  EXPECT_EQ(raw(folder / "state"), bytes("mpp-durable 1 9 e3069283\n123456789"));  // the check value of CRC-32C
}

std::string error_of(std::string_view content) {
  const TemporaryFolder folder;
  std::ofstream(folder / "state", std::ios::binary) << content;
  try {
    (void)read_durably(folder / "state");
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no error";
}
TEST(DurableFile, SaysWhatIsWrong) {
  EXPECT_NE(error_of("").find("not ours"), std::string::npos);
  EXPECT_NE(error_of("{\"schema\":1}").find("not ours"), std::string::npos);
  EXPECT_NE(error_of("mpp-durable 2 9 e3069283\n123456789").find("expected version 1"), std::string::npos);
  EXPECT_NE(error_of("mpp-durable 1 9 e3069283").find("no end"), std::string::npos);
  EXPECT_NE(error_of("mpp-durable 1 9 E3069283\n123456789").find("expected 'mpp-durable 1 9 e3069283'"),
            std::string::npos);
  EXPECT_NE(error_of("mpp-durable 1 99999999999999999999 e3069283\n123456789").find("damaged"), std::string::npos);
}

TEST(DurableFile, AMissingFileIsAnErrorAndNoEmptyState) {
  const TemporaryFolder folder;
  EXPECT_THROW((void)read_durably(folder / "none"), std::filesystem::filesystem_error);
  EXPECT_THROW((void)Auditor::load(folder / "none"), std::filesystem::filesystem_error);
  EXPECT_THROW(write_durably(folder / "none" / "state", old_state), std::filesystem::filesystem_error);
  EXPECT_THROW((void)read_durably(folder.path()), FormatError);
}

// ---- the auditor's own state ----

TEST(Crash, AnAuditorLosesAtMostItsLastUpdate) {
  const AuditKey key{"ranking", 1, "gold"};
  const AuditSettings settings{.sampling_rate = 1.0, .seed = {1, 2}};
  const auto audited = [&](int losses) {
    Auditor auditor(settings);
    auditor.recalibrated(key, "r1", Delta{0.01});
    for (int i = 0; i < losses; ++i) auditor.observe(key, static_cast<std::uint64_t>(i), 1.0);
    return auditor.bytes();
  };
  // The update in question is the one that closes the key.
  int losses = 1;
  while (Auditor::parse(audited(losses)).may_release(key)) ++losses;
  const Bytes before = audited(losses - 1), after = audited(losses);
  int old_found = 0, new_found = 0;
  bool finished = false;
  for (int call = 0; !finished; ++call) {
    std::size_t size = 0;
    for (std::size_t part = 0; part <= size; part += 13) {
      const TemporaryFolder folder;
      const auto file = folder / "audit.state";
      Auditor::parse(before).save(file);
      disk::start(call, part);
      try {
        Auditor::parse(after).save(file);
      } catch (const std::exception&) {
      }
      finished = !disk::stopped();
      size = disk::fatal_write_size();
      disk::restart({true, 0.5, call % 2 == 0}, folder.path());
      const Bytes found = Auditor::load(file).bytes();
      old_found += found == before;
      new_found += found == after;
      ASSERT_TRUE(found == before || found == after);
      ASSERT_TRUE(!finished || found == after);
    }
  }
  EXPECT_GT(old_found, 10);
  EXPECT_GT(new_found, 0);
}

}  // namespace
}  // namespace mpp::guarantees
