#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support/figures.hpp"
#include "support/table.hpp"

namespace mpp::examples {

/// One workload's part of an HTML page that needs neither network nor scripts: inline style, inline SVG, light and dark.
///
///   Report report("ranking", "Ranking a catalogue", "200,000 items, ...");
///   report.facts({{"mean bytes per request", "1.2 MB"}});
///   report.section("Where requests stop", "...").bars(levels);
///   report.write("out/demo/report.html");  // next to the parts that other workloads wrote there
///
/// All text is escaped.
class Report {
 public:
  /// @param workload  names the part: lower-case letters, digits and '_'  @throws ValueError for another name
  Report(std::string workload, const std::string& title, const std::string& lead);

  Report& section(const std::string& title, const std::string& words);
  /// The few figures to remember: what, value.
  Report& facts(const std::vector<std::pair<std::string, std::string>>& facts);
  Report& table(const Table& table);
  Report& bars(const Bars& figure);
  Report& curve(const Curve& figure);
  Report& spread(const ByteSpread& figure);
  Report& pages(const PageMap& figure);

  /// Writes the page. A page that is there already keeps its other workloads; this workload's part is replaced.
  /// @throws FormatError if `file` is not empty and not such a page; std::runtime_error if it cannot be written
  void write(const std::filesystem::path& file) const;

 private:
  Report& drawn(const std::string& figure);

  std::string workload_;
  std::string html_;
};

}  // namespace mpp::examples
