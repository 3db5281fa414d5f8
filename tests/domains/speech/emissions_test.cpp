#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>

#include <mpp/core/error.hpp>
#include <mpp/speech/emissions.hpp>

#include "support/message_of.hpp"
#include "support/temporary_folder.hpp"

namespace mpp::speech {
namespace {

using test::message_of;

constexpr float infinity = std::numeric_limits<float>::infinity();

class EmissionFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) const {
    std::ofstream(folder_ / "emissions", std::ios::binary) << bytes;
    return folder_ / "emissions";
  }
  test::TemporaryFolder folder_;
};

TEST(Emissions, RefusesWrongShapesAndValues) {
  const std::vector<float> good{-1, -2, -3, -4};
  EXPECT_NO_THROW(check_emissions({good, 2, 2, 1}));
  EXPECT_THROW(check_emissions({good, 2, 2, 2}), ValueError);
  EXPECT_THROW(check_emissions({good, 3, 2, 0}), ShapeError);
  EXPECT_THROW(check_emissions({{}, 0, 2, 0}), ShapeError);
  EXPECT_THROW(check_emissions({{}, 2, 0, 0}), ShapeError);
  EXPECT_THROW(check_emissions({good, std::size_t{1} << 63, 4, 0}), ShapeError);
  for (const float bad : {infinity, std::nanf("")}) {
    const std::vector<float> values{-1, -2, bad, -4};
    EXPECT_NE(message_of<ValueError>([&] {
                check_emissions({values, 2, 2, 0});
              }).find("frame 1, token 0"),
              std::string::npos);
  }
}

TEST(Emissions, RefusesRowsThatAreNotDistributions) {
  const auto half = static_cast<float>(std::log(0.5));
  EXPECT_NO_THROW(check_normalised(EmissionMatrix{{half, half, 0.0F, -infinity}, 2, 2}.view(0)));
  const std::vector<float> zero{half, half, -infinity, -infinity};
  EXPECT_NE(message_of<ValueError>([&] {
              check_normalised({zero, 2, 2, 0});
            }).find("frame 1 sum to 0"),
            std::string::npos);
  const std::vector<float> logits{1, 2};
  EXPECT_THROW(check_normalised({logits, 1, 2, 0}), ValueError);
}

TEST(Emissions, LogSoftmaxNormalisesAndKeepsTheOrder) {
  const EmissionMatrix m = log_softmax({{100, 101, -infinity, 3e38F, -3e38F, 0}, 2, 3});
  EXPECT_NO_THROW(check_normalised(m.view(0)));
  EXPECT_NEAR(m.log_probs[1] - m.log_probs[0], 1.0, 1e-6);
  EXPECT_EQ(m.log_probs[2], -infinity);
  EXPECT_THROW((void)log_softmax({{-infinity, -infinity}, 1, 2}), ValueError);
}

TEST_F(EmissionFile, ReadsJson) {
  const EmissionMatrix m = read_emissions_json(write("[[-1, -2.5, null], [0, 1e-3, -7]]"));
  EXPECT_EQ(m.frames, 2U);
  EXPECT_EQ(m.tokens, 3U);
  EXPECT_EQ(m.log_probs, (std::vector<float>{-1, -2.5F, -infinity, 0, 1e-3F, -7}));
  EXPECT_EQ(read_emissions_json(write(R"({"logits": [[1], [2]]})")).frames, 2U);
}

TEST_F(EmissionFile, RefusesHostileJson) {
  for (const std::string bytes :
       {"", "[", "[]", "{}", "[[]]", "[[1], [2, 3]]", "[1, 2]", "[[\"a\"]]", "[[1e39]]", "[[1e999]]", "[[[1]]]", "null",
        R"({"a": [[1]], "b": [[1]]})", R"({"a": 1})", "[[NaN]]", "[[1]] trailing", "\xff\xfe"})
    EXPECT_THROW((void)read_emissions_json(write(bytes)), FormatError) << bytes;
  EXPECT_THROW((void)read_emissions_json(write(std::string(200000, '['))), FormatError);
  EXPECT_THROW((void)read_emissions_json(folder_ / "absent"), FormatError);
}

TEST_F(EmissionFile, ReadsCsvWithATrailingSeparator) {
  const EmissionMatrix m = read_emissions_csv(write("1;-2; 3;\r\n-inf;5e-1;6;\n\n"));
  EXPECT_EQ(m.frames, 2U);
  EXPECT_EQ(m.log_probs, (std::vector<float>{1, -2, 3, -infinity, 0.5F, 6}));
  EXPECT_EQ(read_emissions_csv(write("1,2")).tokens, 2U);
}

TEST_F(EmissionFile, RefusesHostileCsv) {
  for (const std::string bytes :
       {"", "\n", ";", "1;;2", "1;2\n3", "1;2\n\n3;4", "a", "1;nan", "1;inf", "1;1e99", "1 2", "1;2\n1,2", "0x1p3"})
    EXPECT_THROW((void)read_emissions_csv(write(bytes)), FormatError) << bytes;
  EXPECT_THROW((void)read_emissions_csv(folder_ / "absent"), FormatError);
}

}  // namespace
}  // namespace mpp::speech
