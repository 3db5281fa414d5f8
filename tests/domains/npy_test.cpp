#include "../../bench/npy.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace mpp::bench {
namespace {

class NpyTest : public testing::Test {
 protected:
  ~NpyTest() override { std::filesystem::remove(path_); }

  void put(std::string_view bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  Matrix read(std::string_view bytes) const {
    put(bytes);
    return read_npy(path_);
  }
  std::string written(std::size_t rows, std::size_t dims, const std::vector<float>& values) const {
    write_npy(path_, rows, dims, values);
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  const std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".npy");
};

std::string file_of(std::string_view version, std::string_view length, std::string_view header,
                    std::size_t data_bytes) {
  return "\x93NUMPY" + std::string(version) + std::string(length) + std::string(header) + std::string(data_bytes, '\0');
}
std::string version1(std::string_view header, std::size_t data_bytes) {
  const char length[] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return file_of({"\x01\x00", 2}, {length, 2}, header, data_bytes);
}

TEST_F(NpyTest, ReadsWhatItWrote) {
  const std::vector<float> values{1.0f, -2.5f, 0.0f, 1e-40f, 3e38f, -0.0f};
  const std::string bytes = written(2, 3, values);
  EXPECT_EQ((bytes.size() - 6 * sizeof(float)) % 64, 0u);  // NumPy maps the data, so it must start aligned
  const Matrix matrix = read_npy(path_);
  EXPECT_EQ(matrix.rows, 2u);
  EXPECT_EQ(matrix.dims, 3u);
  EXPECT_EQ(matrix.values, values);
}

TEST_F(NpyTest, ReadsWhatNumPyWrote) {
  // np.save() of NumPy 2.4: np.array([[1, 2], [3, 4]], dtype=np.float32).
  std::string bytes =
      version1("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" + std::string(58, ' ') + "\n", 0);
  bytes.append("\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40", 16);
  EXPECT_EQ(bytes.size(), 144u);
  EXPECT_EQ(read(bytes).values, (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(NpyTest, ReadsHalfPrecisionAsItsBitsAndNotAsFloats) {
  const std::string bytes =
      version1("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }", 0) + std::string("\x00\x3c\x01\x80", 4);
  EXPECT_THROW((void)read(bytes), FormatError);
  EXPECT_EQ(read_npy<std::uint16_t>(path_).values, (std::vector<std::uint16_t>{0x3c00, 0x8001}));
}

TEST_F(NpyTest, ReadsTheLongHeaderOfVersionTwo) {
  const std::string header = "{'shape': (3, 1,), 'fortran_order': False, 'descr': '<f4'}";
  const std::string length{static_cast<char>(header.size()), 0, 0, 0};
  EXPECT_EQ(read(file_of({"\x02\x00", 2}, length, header, 12)).rows, 3u);
}

TEST_F(NpyTest, ReadsAMatrixWithoutRows) {
  (void)written(0, 5, {});
  const Matrix matrix = read_npy(path_);
  EXPECT_EQ(matrix.rows, 0u);
  EXPECT_EQ(matrix.dims, 5u);
}

TEST_F(NpyTest, RejectsEveryTruncation) {
  const std::string bytes = written(2, 3, {1, 2, 3, 4, 5, 6});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW((void)read(std::string_view(bytes).substr(0, size)), FormatError) << size;
  }
}

TEST_F(NpyTest, RejectsBytesLeftOver) {
  EXPECT_THROW((void)read(written(1, 1, {1}) + std::string(4, '\0')), FormatError);
}

TEST_F(NpyTest, SurvivesEveryDamagedByteOfTheHeader) {
  const std::string bytes = written(2, 3, {1, 2, 3, 4, 5, 6});
  for (std::size_t at = 0; at < bytes.size() - 24; ++at) {
    for (const int flip : {1, 4, 16, 64, 128}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      try {
        const Matrix matrix = read(damaged);
        EXPECT_EQ(matrix.rows * matrix.dims, 6u) << at;  // spaces may change, and 3 x 2 still fits
      } catch (const FormatError&) {
      }
    }
  }
}

TEST_F(NpyTest, RejectsHeadersThatClaimWhatTheFileDoesNotHold) {
  const std::string_view claims[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",   // the product wraps to 0
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1)}",  // no 64-bit number
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 0)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1)}",
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}",
      "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 2)}",
      "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}",
      "{'descr': '<f4', 'shape': (2, 2)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)} x",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'shape': (2, 2)}",
      "{'descr': '<f4",
      "__import__('os')",
      "",
  };
  for (const std::string_view claim : claims) EXPECT_THROW((void)read(version1(claim, 16)), FormatError) << claim;
  EXPECT_THROW((void)read(file_of({"\x02\x00", 2}, "\xff\xff\xff\xff", "{}", 0)), FormatError);  // a 4 GiB header
  EXPECT_THROW((void)read(file_of({"\x09\x00", 2}, {"\x02\x00", 2}, "{}", 0)), FormatError);
}

TEST_F(NpyTest, NamesTheFileItCannotOpenAndTheShapeItCannotWrite) {
  try {
    (void)read_npy("/no/such/file.npy");
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_NE(std::string(error.what()).find("/no/such/file.npy"), std::string::npos);
  }
  EXPECT_THROW((void)read_npy(testing::TempDir()), FormatError);
  EXPECT_THROW(write_npy(path_, 2, 3, std::vector<float>(5)), ShapeError);
  EXPECT_THROW(write_npy("/no/such/folder/file.npy", 0, 1, {}), FormatError);
}

}  // namespace
}  // namespace mpp::bench
