#include <mpp/core/guarantees/durable_file.hpp>

#include <cstdio>
#include <string>
#include <string_view>

#include <mpp/core/error.hpp>
#include <mpp/core/storage/crc32c.hpp>
#include <mpp/core/storage/file_io.hpp>

namespace mpp::guarantees {
namespace {

constexpr std::string_view magic = "mpp-durable ";
constexpr std::string_view version = "1 ";
constexpr std::size_t max_head = 64;

// The one spelling of the first line that these bytes have. A reader compares it as a whole, so a damaged digit, sign
// or letter case cannot pass for another spelling of the same number.
std::string head(std::span<const std::byte> bytes) {
  char numbers[max_head];
  const int size = std::snprintf(numbers, sizeof numbers, "%zu %08x\n", bytes.size(), crc32c(bytes));
  return std::string(magic).append(version).append(numbers, static_cast<std::size_t>(size));
}

std::vector<std::byte> checked(std::vector<std::byte> content) {
  const std::string_view all(reinterpret_cast<const char*>(content.data()), content.size());
  const std::string_view start = all.substr(0, max_head);
  expects<FormatError>(start.starts_with(magic), "the file does not begin with '", magic, "': it is not ours");
  expects<FormatError>(start.substr(magic.size()).starts_with(version),
                       "the file is of another version, expected version 1");
  const std::size_t line = start.find('\n');
  expects<FormatError>(line != std::string_view::npos, "the first line has no end");
  const auto bytes = std::span(content).subspan(line + 1);
  expects<FormatError>(start.substr(0, line + 1) == head(bytes), "the first line is '", start.substr(0, line),
                       "', expected '", head(bytes).substr(0, head(bytes).size() - 1), "': the file is damaged");
  content.erase(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(line + 1));
  return content;
}

}  // namespace

void write_durably(const std::filesystem::path& file, std::span<const std::byte> bytes, unsigned mode) {
  expects<ShapeError>(bytes.size() <= max_durable_bytes, "write_durably: ", bytes.size(), " bytes, expected at most ",
                      max_durable_bytes);
  NewFile out("write_durably", file, mode);
  out.write(std::as_bytes(std::span<const char>(head(bytes))));
  out.write(bytes);
  out.commit();
}

std::vector<std::byte> read_durably(const std::filesystem::path& file) {
  try {
    const InputFile in("read_durably", file);
    expects<FormatError>(in.size() <= max_durable_bytes + max_head, "the file has ", in.size(),
                         " bytes, expected at most ", max_durable_bytes + max_head);
    std::vector<std::byte> content(in.size());
    in.read(0, content);
    return checked(std::move(content));
  } catch (const FormatError& error) {
    throw FormatError(text("read_durably: ", file, ": ", error.what()));
  }
}

}  // namespace mpp::guarantees
