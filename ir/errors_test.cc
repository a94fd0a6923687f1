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

TEST(ErrorsTest, AreMadeOfParts) {
  EXPECT_EQ(DataLossError("bad"), absl::DataLossError("bad"));
  EXPECT_EQ(NotFoundError("a", 1), absl::NotFoundError("a1"));
  EXPECT_EQ(InternalError("a", 1, "c"), absl::InternalError("a1c"));
  EXPECT_EQ(AbortedError("a", 1, "c", 2), absl::AbortedError("a1c2"));
  EXPECT_EQ(UnavailableError("a", 1, "c", 2, "e"),
            absl::UnavailableError("a1c2e"));
  EXPECT_EQ(OutOfRangeError("a", 1, "c", 2, "e", 3),
            absl::OutOfRangeError("a1c2e3"));
  EXPECT_EQ(CancelledError("a", 1, "c", 2, "e", 3, "g"),
            absl::CancelledError("a1c2e3g"));
  EXPECT_EQ(UnimplementedError("a", 1, "c", 2, "e", 3, "g", std::string("h")),
            absl::UnimplementedError("a1c2e3gh"));
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
