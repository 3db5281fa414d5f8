#include <gtest/gtest.h>

#include "core/crash/stopping_disk.hpp"
#include "fuzz/calibration_record_property.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::guarantees {
namespace {

using namespace mpp::test;

TEST(Crash, ARecordIsTheOldOneOrTheNewOne) {
  const CalibrationRecord before = sample_record();
  CalibrationRecord after = before;
  after.value = 0.25;
  after.k = 0.0;
  int old_found = 0, new_found = 0;
  bool finished = false;
  for (int call = 0; !finished; ++call) {
    std::size_t size = 0;
    for (std::size_t part = 0; part <= size; part += 7) {
      const TemporaryFolder folder;
      const auto file = folder / "record";
      before.save(file);
      disk::start(call, part);
      try {
        after.save(file);
      } catch (const std::exception&) {  // the process is gone and cannot care
      }
      finished = !disk::stopped();
      size = disk::fatal_write_size();
      disk::restart({true, 0.5, call % 2 == 0}, folder.path());
      const std::string found = CalibrationRecord::load(file).id();
      old_found += found == before.id();
      new_found += found == after.id();
      ASSERT_TRUE(found == before.id() || found == after.id());
      ASSERT_TRUE(!finished || found == after.id());
    }
  }
  EXPECT_GT(old_found, 10);
  EXPECT_GT(new_found, 0);
}

}  // namespace
}  // namespace mpp::guarantees
