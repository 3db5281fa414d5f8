#include "support/report.hpp"

#include <fstream>
#include <iterator>
#include <string_view>

#include <mpp/core/error.hpp>

#include "support/page.hpp"

namespace mpp::examples {
namespace {

// Parts lie between comments. No text can contain one: '<' is escaped.
constexpr std::string_view part_begin = "<!-- workload: ";
constexpr std::string_view part_end = "<!-- end of workload -->\n";

std::string cells(const char* tag, const std::vector<std::string>& row, std::size_t words) {
  std::string out = "<tr>";
  for (std::size_t i = 0; i < row.size(); ++i)
    out += text("<", tag, i < words ? " class=\"words\">" : ">", escaped(row[i]), "</", tag, ">");
  return out + "</tr>\n";
}

// What is between head and foot of a page we wrote before; empty if there is none.
std::string parts_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (page.empty()) return {};
  expects<FormatError>(page.find("content=\"mpp report\"") != std::string::npos && page.ends_with(page_foot),
                       "Report::write: ", file.string(), " is there and is not a report; it was left as it is");
  const std::size_t first = page.find(part_begin);
  return first == std::string::npos ? std::string{} : page.substr(first, page.size() - page_foot.size() - first);
}

// Links to the parts, in their order.
std::string contents(std::string_view parts) {
  std::string out = "<nav>";
  for (std::size_t at = parts.find(part_begin); at != std::string_view::npos; at = parts.find(part_begin, at)) {
    at += part_begin.size();
    const std::string_view workload = parts.substr(at, parts.find(' ', at) - at);
    const std::size_t title = parts.find("<h2>", at) + 4;
    out += text("<a href=\"#", workload, "\">", parts.substr(title, parts.find("</h2>", title) - title), "</a>");
  }
  return out + "</nav>\n";
}

}  // namespace

Report::Report(std::string workload, const std::string& title, const std::string& lead)
    : workload_(std::move(workload)) {
  expects<ValueError>(
      !workload_.empty() && workload_.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos,
      "Report: workload is \"", workload_, "\", expected lower-case letters, digits and '_'");
  html_ = text("<h2>", escaped(title), "</h2>\n<p>", escaped(lead), "</p>\n");
}

Report& Report::section(const std::string& title, const std::string& words) {
  html_ += text("<h3>", escaped(title), "</h3>\n<p>", escaped(words), "</p>\n");
  return *this;
}

Report& Report::facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  html_ += "<dl>\n";
  for (const auto& [what, value] : facts)
    html_ += text("<div><dt>", escaped(what), "</dt><dd>", escaped(value), "</dd></div>\n");
  html_ += "</dl>\n";
  return *this;
}

Report& Report::table(const Table& table) {
  html_ += "<div class=\"wide\"><table>\n<thead>" + cells("th", table.head(), table.words()) + "</thead>\n<tbody>\n";
  for (const auto& row : table.rows()) html_ += cells("td", row, table.words());
  html_ += "</tbody>\n</table></div>\n";
  return *this;
}

Report& Report::bars(const Bars& figure) { return drawn(svg(figure)); }
Report& Report::curve(const Curve& figure) { return drawn(svg(figure)); }
Report& Report::spread(const ByteSpread& figure) { return drawn(svg(figure)); }
Report& Report::pages(const PageMap& figure) { return drawn(svg(figure)); }

Report& Report::drawn(const std::string& figure) {
  html_ += "<figure>\n" + figure + "</figure>\n";
  return *this;
}

void Report::write(const std::filesystem::path& file) const {
  std::string parts = parts_of(file);
  const std::string begin = text(part_begin, workload_, " -->\n");
  const std::string part = text(begin, "<section id=\"", workload_, "\">\n", html_, "</section>\n", part_end);
  if (const std::size_t at = parts.find(begin); at != std::string::npos) {
    const std::size_t end = parts.find(part_end, at);
    expects<FormatError>(end != std::string::npos, "Report::write: the part of ", workload_, " in ", file.string(),
                         " has no end; the file was left as it is");
    parts.replace(at, end + part_end.size() - at, part);
  } else {
    parts += part;
  }

  // Beside it and renamed: a reader, or a crash, never sees half a page.
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  const std::filesystem::path beside = file.string() + ".new";
  {
    std::ofstream out(beside, std::ios::binary);
    out << page_head << contents(parts) << parts << page_foot;
    out.close();
    expects<std::runtime_error>(out.good(), "Report::write: ", beside.string(), " cannot be written");
  }
  std::filesystem::rename(beside, file);
}

}  // namespace mpp::examples
