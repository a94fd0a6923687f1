// Guards the form of every error: one line on stderr, at most one document.

#include "cli/error_report.h"

#include <sstream>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ir/json.h"

namespace monoquant::cli {
namespace {

class ErrorReportTest : public ::testing::Test {
 protected:
  ErrorReportTest() {
    streams_.out = &out_;
    streams_.err = &err_;
    streams_.cancel = &cancel_;
  }

  std::atomic<bool> cancel_{false};
  std::ostringstream out_;
  std::ostringstream err_;
  Streams streams_;
};

TEST_F(ErrorReportTest, OneLineWhateverTheMessageHolds) {
  ReportError(absl::DataLossError("a.pt: tensor 'x\ny': bad; stop"), {},
              streams_);
  EXPECT_EQ(err_.str(), "monoquant: error: a.pt: tensor 'x\\ny': bad; stop\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ErrorReportTest, TheDocumentHasNameAndExitCode) {
  ErrorReportOptions options;
  options.json = true;
  ReportError(absl::DataLossError("bad; stop"), options, streams_);
  const auto json = ParseJson(out_.str());
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->ToString(),
            R"({"schema":"monoquant/error/1","error":{)"
            R"("code":"MalformedInputError","exit":6,"message":"bad; stop"}})");
}

TEST_F(ErrorReportTest, ErrorsOfTheSystemGetANextStep) {
  ReportError(absl::NotFoundError("a.pt: No such file"), {}, streams_);
  EXPECT_EQ(err_.str(),
            "monoquant: error: a.pt: No such file; check the path\n");
}

TEST_F(ErrorReportTest, NeverASecondDocument) {
  streams_.WriteDocument(Json(1));
  ErrorReportOptions options;
  options.json = true;
  ReportError(absl::AbortedError("gate"), options, streams_);
  EXPECT_EQ(out_.str(), "1\n");
  EXPECT_EQ(err_.str(), "monoquant: error: gate\n");
}

TEST_F(ErrorReportTest, ColorOnlyWhenAsked) {
  ErrorReportOptions options;
  options.color = true;
  ReportError(absl::AbortedError("gate"), options, streams_);
  EXPECT_EQ(err_.str(), "monoquant: \x1b[1;31merror:\x1b[0m gate\n");
}

TEST(WantsJsonTest, FindsTheFlagAnywhere) {
  EXPECT_TRUE(WantsJson({"quantize", "--jsno", "--json"}));
  EXPECT_FALSE(WantsJson({"quantize", "json"}));
}

}  // namespace
}  // namespace monoquant::cli
