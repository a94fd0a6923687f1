// Early return on error, without exceptions. For .cc files only.

#ifndef MONOQUANT_IR_STATUS_MACROS_H_
#define MONOQUANT_IR_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define MQ_STATUS_CONCAT_INNER(a, b) a##b
#define MQ_STATUS_CONCAT(a, b) MQ_STATUS_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function if it is not OK.
#define MQ_RETURN_IF_ERROR(expr)           \
  do {                                     \
    absl::Status mq_status = (expr);       \
    if (!mq_status.ok()) return mq_status; \
  } while (false)

// MQ_ASSIGN_OR_RETURN(auto x, Compute()): x, or return the error.
#define MQ_ASSIGN_OR_RETURN(lhs, expr) \
  MQ_ASSIGN_OR_RETURN_INNER(MQ_STATUS_CONCAT(mq_or_, __LINE__), lhs, expr)
#define MQ_ASSIGN_OR_RETURN_INNER(result, lhs, expr) \
  auto result = (expr);                              \
  if (!result.ok()) return result.status();          \
  lhs = std::move(result).value()

#endif  // MONOQUANT_IR_STATUS_MACROS_H_
