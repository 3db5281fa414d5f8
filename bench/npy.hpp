#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpp/core/error.hpp>

namespace mpp::bench {

static_assert(std::endian::native == std::endian::little, "npy.hpp copies little-endian numbers as they lie");

/// A row-major matrix, as NumPy's np.load() and np.save() see it.
template <class Number>
struct NpyMatrix {
  std::size_t rows{};
  std::size_t dims{};
  std::vector<Number> values;  ///< [rows, dims]
};
using Matrix = NpyMatrix<float>;

namespace detail {

/// NumPy's name of a type: float32, or the bits of a float16.
template <class Number>
inline constexpr std::string_view npy_type = sizeof(Number) == 4 ? "<f4" : "<f2";

/// Reads the one Python dictionary a .npy header may contain; anything else is a FormatError that names the file.
class NpyHeader {
 public:
  NpyHeader(std::string_view header, std::string_view expected, const std::string& file)
      : rest_(header), expected_(expected), file_(file) {
    take('{');
    bool descr = false, order = false, shape = false;
    while (!next_is('}')) {
      const std::string_view key = quoted();
      take(':');
      if (key == "descr" && !std::exchange(descr, true)) {
        const std::string_view type = quoted();
        expects<FormatError>(type == expected_, "read_npy: ", file_, " holds ", type, ", expected ", expected_,
                             expected_ == "<f4" ? " (float32)" : " (float16)");
      } else if (key == "fortran_order" && !std::exchange(order, true)) {
        expects<FormatError>(word() == "False", "read_npy: ", file_, " is in Fortran order, expected C order");
      } else if (key == "shape" && !std::exchange(shape, true)) {
        take('(');
        rows = number();
        take(',');
        dims = number();
        if (next_is(',')) take(',');
        take(')');
      } else {
        fail("an unknown or repeated key");
      }
      if (!next_is('}')) take(',');
    }
    take('}');
    skip_space();
    if (!rest_.empty()) fail("text after the dictionary");
    if (!(descr && order && shape)) fail("no descr, fortran_order or shape");
  }

  std::uint64_t rows{};
  std::uint64_t dims{};

 private:
  [[noreturn]] void fail(std::string_view why) const {
    throw FormatError(text("read_npy: the header of ", file_, " has ", why, ", expected {'descr': '", expected_,
                           "', 'fortran_order': False, 'shape': (rows, dims)}"));
  }
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size())); }
  bool next_is(char c) {
    skip_space();
    return rest_.starts_with(c);
  }
  void take(char c) {
    if (!next_is(c)) fail(text("no '", c, "' where one belongs"));
    rest_.remove_prefix(1);
  }
  std::string_view front(std::size_t size) {
    const std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(token.size());
    return token;
  }
  std::string_view quoted() {
    take('\'');
    const std::string_view token = front(rest_.find('\''));
    take('\'');
    return token;
  }
  std::string_view word() {
    skip_space();
    return front(rest_.find_first_of(",} \t\n"));
  }
  std::uint64_t number() {
    skip_space();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{}) fail("a shape that is not two numbers");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  std::string_view rest_, expected_;
  const std::string& file_;
};

}  // namespace detail

/// The matrix in a .npy file of version 1, 2 or 3, in C order: of float32, or of float16 as std::uint16_t.
///
/// Nothing is allocated before the header agrees with the size of the file, so a damaged or hostile file costs no
/// memory.
/// @throws FormatError naming the file and what was expected if it cannot be opened, is truncated, has bytes left over,
///         another type, order or number of axes, or a header that is not the dictionary of the format
/// Source: NumPy Enhancement Proposal 1. Tested by: tests/domains/npy_test.cpp
template <class Number = float>
[[nodiscard]] NpyMatrix<Number> read_npy(const std::filesystem::path& path) {
  const std::string file = path.string();
  std::ifstream in(path, std::ios::binary);
  std::error_code unreadable;
  const std::uint64_t size = std::filesystem::file_size(path, unreadable);
  expects<FormatError>(in.good() && !unreadable, "read_npy: cannot open ", file);

  std::array<unsigned char, 12> prefix{};
  in.read(reinterpret_cast<char*>(prefix.data()), 10);
  const bool ours = in.good() && std::string_view(reinterpret_cast<char*>(prefix.data()), 6) == "\x93NUMPY";
  expects<FormatError>(ours && prefix[6] >= 1 && prefix[6] <= 3 && prefix[7] == 0, "read_npy: ", file,
                       " does not start with the signature of a .npy file of version 1, 2 or 3");
  std::uint64_t header_size = static_cast<std::uint64_t>(prefix[8]) | static_cast<std::uint64_t>(prefix[9]) << 8;
  std::uint64_t data_start = 10 + header_size;
  if (prefix[6] > 1) {
    in.read(reinterpret_cast<char*>(prefix.data() + 10), 2);
    header_size |= static_cast<std::uint64_t>(prefix[10]) << 16 | static_cast<std::uint64_t>(prefix[11]) << 24;
    data_start = 12 + header_size;
  }
  expects<FormatError>(in.good() && data_start <= size, "read_npy: the header of ", file, " claims ", header_size,
                       " bytes, the whole file has ", size);
  std::string dictionary(header_size, '\0');
  in.read(dictionary.data(), static_cast<std::streamsize>(header_size));
  const detail::NpyHeader header(dictionary, detail::npy_type<Number>, file);

  const std::uint64_t count = (size - data_start) / sizeof(Number);
  const bool fits =
      (size - data_start) % sizeof(Number) == 0 &&
      (header.rows == 0 || header.dims == 0 ? count == 0
                                            : header.rows == count / header.dims && count % header.dims == 0);
  expects<FormatError>(fits, "read_npy: the header of ", file, " claims ", header.rows, " x ", header.dims,
                       " floats, but ", size - data_start, " bytes follow");
  NpyMatrix<Number> matrix{header.rows, header.dims, std::vector<Number>(count)};
  in.read(reinterpret_cast<char*>(matrix.values.data()), static_cast<std::streamsize>(size - data_start));
  expects<FormatError>(in.good(), "read_npy: ", file, " ended while it was read");
  return matrix;
}

/// Writes `values`, shape [rows, dims], as a .npy file of version 1; an existing file is replaced.
/// @throws ShapeError if values.size() is not rows * dims; FormatError if the file cannot be written
inline void write_npy(const std::filesystem::path& path, std::size_t rows, std::size_t dims,
                      std::span<const float> values) {
  const bool fits = dims == 0 ? values.empty() : values.size() / dims == rows && values.size() % dims == 0;
  expects<ShapeError>(fits, "write_npy: values has ", values.size(), " floats, expected ", rows, " x ", dims);
  std::string header = text("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows, ", ", dims, "), }");
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10, ' ');  // NumPy aligns the data to 64 bytes
  header.back() = '\n';
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write("\x93NUMPY\x01\x00", 8);
  out.put(static_cast<char>(header.size() & 0xff)).put(static_cast<char>(header.size() >> 8));
  out << header;
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  out.flush();
  expects<FormatError>(out.good(), "write_npy: cannot write ", path.string());
}

}  // namespace mpp::bench
