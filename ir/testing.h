// What the unit tests of this room share.

#ifndef MONOQUANT_IR_TESTING_H_
#define MONOQUANT_IR_TESTING_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::testing {

// The message holds `part` and is one line.
inline void ExpectError(const absl::Status& status, absl::StatusCode code,
                        absl::string_view part) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr(std::string(part)));
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
}

template <typename T>
void ExpectError(const absl::StatusOr<T>& result, absl::StatusCode code,
                 absl::string_view part) {
  ExpectError(result.status(), code, part);
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_IR_TESTING_H_
