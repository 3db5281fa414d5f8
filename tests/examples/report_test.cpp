#include "support/report.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include <mpp/core/error.hpp>

namespace mpp::examples {
namespace {

class ReportTest : public testing::Test {
 protected:
  ReportTest()
      : file_(std::filesystem::temp_directory_path() /
              text("mpp_report_", testing::UnitTest::GetInstance()->current_test_info()->name(), "_",
                   testing::UnitTest::GetInstance()->random_seed(), ".html")) {
    std::filesystem::remove(file_);
  }
  ~ReportTest() override { std::filesystem::remove(file_); }

  std::string page() const {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static std::size_t count(const std::string& page, const std::string& word) {
    std::size_t n = 0;
    for (std::size_t at = page.find(word); at != std::string::npos; at = page.find(word, at + 1)) ++n;
    return n;
  }

  std::filesystem::path file_;
};

Report full() {
  Report report("ranking", "Ranking", "lead");
  report.facts({{"bytes", "1 MB"}}).table(Table({"a", "b"}).row({"1", "2"}));
  report.section("Levels", "words").bars({"Levels", {"low", "high"}, {{"row", {1.0, 3.0}}}});
  report.curve({"Bound", "score", {"low"}, {{"certified", {{1.0, 2.0, 3.0, 4.0}}}}, {{"target", 2.0}}});
  report.spread({"Bytes", {"all"}, {{"row", {{10.0, 20.0}}}}, 100.0});
  return report;
}

TEST_F(ReportTest, NeedsNeitherNetworkNorScripts) {
  full().write(file_);
  for (const char* word : {"http", "src=", "url(", "<script", "@import", "<link"})
    EXPECT_EQ(count(page(), word), 0u) << word;
  EXPECT_EQ(count(page(), "<svg"), 3u);
  EXPECT_EQ(count(page(), "</svg>"), 3u);
}

TEST_F(ReportTest, EscapesEveryText) {
  Report report("ranking", "<b>", "<b>");
  report.facts({{"<b>", "<b>"}}).table(Table({"<b>"}).row({"<b>"})).section("<b>", "<!-- end of workload -->");
  report.bars({"<b>", {"<b>"}, {{"<b>", {1.0}}}})
      .curve({"<b>", "<b>", {"<b>"}, {{"<b>", {{1, 1, 1, 1}}}}, {{"<b>", 1.0}}});
  report.spread({"<b>", {"<b>"}, {{"<b>", {{1.0}}}}, 2.0});
  report.write(file_);
  EXPECT_EQ(count(page(), "<b>"), 0u);
  EXPECT_EQ(count(page(), "<!-- end of workload -->"), 1u);
}

TEST_F(ReportTest, KeepsOtherWorkloadsAndReplacesItsOwn) {
  Report("ranking", "Ranking", "first").write(file_);
  Report("speech", "Speech", "beams").write(file_);
  Report("rag", "Chunks", "chunks").write(file_);
  Report("speech", "Speech", "more beams").write(file_);
  const std::string after = page();
  EXPECT_EQ(count(after, "<h2>"), 3u);
  EXPECT_EQ(count(after, "<h1>"), 1u);
  EXPECT_EQ(count(after, "<p>beams"), 0u);
  EXPECT_LT(after.find("first"), after.find("more beams"));
  EXPECT_LT(after.find("more beams"), after.find("<p>chunks"));
  Report("speech", "Speech", "more beams").write(file_);
  EXPECT_EQ(page(), after);
}

TEST_F(ReportTest, LinksToEveryPart) {
  Report("ranking", "Ranking", "").write(file_);
  Report("speech", "Speech & noise", "").write(file_);
  Report("ranking", "Ranking", "again").write(file_);
  const std::string after = page();
  EXPECT_NE(after.find("<nav><a href=\"#ranking\">Ranking</a><a href=\"#speech\">Speech &amp; noise</a></nav>"),
            std::string::npos);
  EXPECT_EQ(count(after, "<nav>"), 1u);
  for (const char* id : {"<section id=\"ranking\">", "<section id=\"speech\">"}) EXPECT_EQ(count(after, id), 1u) << id;
  EXPECT_EQ(count(after, "</section>"), 2u);
}

TEST_F(ReportTest, LeavesAFileThatIsNotAReportAlone) {
  std::ofstream(file_) << "precious";
  EXPECT_THROW(full().write(file_), FormatError);
  EXPECT_EQ(page(), "precious");
}

TEST_F(ReportTest, LeavesATruncatedReportAlone) {
  full().write(file_);
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 20);
  const std::string truncated = page();
  EXPECT_THROW(full().write(file_), FormatError);
  EXPECT_EQ(page(), truncated);
}

TEST_F(ReportTest, RejectsAWorkloadThatWouldBreakItsMarker) {
  EXPECT_THROW(Report("a --> b", "", ""), ValueError);
  EXPECT_THROW(Report("", "", ""), ValueError);
}

TEST_F(ReportTest, SaysWhenItCannotBeWritten) {
  std::filesystem::create_directory(file_);
  EXPECT_THROW(full().write(file_), std::runtime_error);
}

}  // namespace
}  // namespace mpp::examples
