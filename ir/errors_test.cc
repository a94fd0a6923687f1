#include "ir/errors.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

TEST(ErrorsTest, ExitCodes) {
  const std::pair<absl::StatusCode, int> expected[] = {
      {absl::StatusCode::kInternal, 1},
      {absl::StatusCode::kInvalidArgument, 2},
      {absl::StatusCode::kFailedPrecondition, 3},
      {absl::StatusCode::kAborted, 4},
      {absl::StatusCode::kNotFound, 5},
      {absl::StatusCode::kAlreadyExists, 5},
      {absl::StatusCode::kPermissionDenied, 5},
      {absl::StatusCode::kResourceExhausted, 5},
      {absl::StatusCode::kUnavailable, 5},
      {absl::StatusCode::kDataLoss, 6},
      {absl::StatusCode::kUnimplemented, 6},
      {absl::StatusCode::kCancelled, 130},
      // No rows of their own: a bug.
      {absl::StatusCode::kOutOfRange, 1},
      {absl::StatusCode::kUnknown, 1},
  };
  for (const auto& [code, exit_code] : expected) {
    EXPECT_EQ(GetErrorRow(code).exit_code, exit_code)
        << absl::StatusCodeToString(code);
  }
}

TEST(ErrorsTest, NamesAreUnique) {
  std::set<std::string> names;
  for (const ErrorRow& row : ErrorTable()) {
    EXPECT_TRUE(names.insert(std::string(row.name)).second) << row.name;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
  }
}

TEST(ErrorsTest, AnnotateKeepsTheCode) {
  EXPECT_TRUE(Annotate("x", absl::OkStatus()).ok());
  EXPECT_EQ(Annotate("model.pt", absl::DataLossError("bad")),
            absl::DataLossError("model.pt: bad"));
  EXPECT_EQ(Annotate("", absl::DataLossError("bad")),
            absl::DataLossError("bad"));
}

}  // namespace
}  // namespace monoquant
