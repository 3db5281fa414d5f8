#include "line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mpp::speech {

LineReader::LineReader(std::istream& in, std::string what) : in_(in), what_(std::move(what)), buffer_(4 * longest) {
  expects<FormatError>(in.good(), what_, ": the stream cannot be read");
}

void LineReader::fill() {
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
            buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  // read(), not the buffer's sgetn(): that one throws its own exception when the file is a folder.
  in_.read(buffer_.data() + end_, static_cast<std::streamsize>(buffer_.size() - end_));
  end_ += static_cast<std::size_t>(in_.gcount());
  if (in_.bad()) fail_at(number_ + 1, "the stream failed");
}

bool LineReader::next() {
  std::size_t seen = 0;  // of the new line, without a line feed
  const char* feed = nullptr;
  for (;;) {
    const char* const begin = buffer_.data() + begin_;
    feed = static_cast<const char*>(std::memchr(begin + seen, '\n', end_ - begin_ - seen));
    if (feed != nullptr || in_.eof()) break;
    seen = end_ - begin_;
    if (seen > longest) break;
    fill();
  }
  if (feed == nullptr && begin_ == end_) return false;
  const char* const begin = buffer_.data() + begin_;
  const auto size = feed != nullptr ? static_cast<std::size_t>(feed - begin) : end_ - begin_;
  ++number_;
  if (size > longest) fail("longer than ", longest, " bytes");
  begin_ += size + (feed != nullptr ? 1 : 0);
  line_ = {begin, size};
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  return true;
}

std::ifstream open_file(const std::filesystem::path& path, std::string_view what) {
  std::ifstream in(path, std::ios::binary);
  expects<FormatError>(in.is_open(), what, ": cannot open ", path);
  return in;
}

std::size_t split(std::string_view line, std::span<std::string_view> fields) noexcept {
  std::size_t count = 0;
  for (const char *at = line.data(), *const end = at + line.size(); at != end;) {
    if (*at == ' ' || *at == '\t') {
      ++at;
      continue;
    }
    const char* const first = at;
    while (at != end && *at != ' ' && *at != '\t') ++at;
    if (count < fields.size()) fields[count] = {first, static_cast<std::size_t>(at - first)};
    ++count;
  }
  return count;
}

std::string printable(std::string_view text) {
  constexpr std::size_t most = 80;
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out.append("\\x").append(1, hex[byte / 16]).append(1, hex[byte % 16]);
    else
      out.push_back(c);
  }
  return out + (text.size() > most ? "...'" : "'");
}

}  // namespace mpp::speech
