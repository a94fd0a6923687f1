// Reads the members of a request, strictly: what is not asked for is an error.

#ifndef MONOQUANT_WASM_JSON_MEMBERS_H_
#define MONOQUANT_WASM_JSON_MEMBERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "ir/json.h"

namespace monoquant {

// Getters return the member or a default and remember the first thing that was
// wrong; Finish tells it. So a request is read in straight lines.
class JsonMembers {
 public:
  // `what` is the subject of messages. Both must outlive this.
  JsonMembers(const Json& json, absl::string_view what);

  // The text `key`, or `otherwise` where it is absent.
  std::string String(absl::string_view key, absl::string_view otherwise);

  // The flag `key`, or `otherwise` where it is absent.
  bool Bool(absl::string_view key, bool otherwise);

  // The number `key`, which has to be there, from 0 to `max`.
  uint64_t Uint(absl::string_view key, uint64_t max);

  // The same, or `otherwise` where it is absent.
  uint64_t Uint(absl::string_view key, uint64_t max, uint64_t otherwise);

  // The member `key` of any type; nullptr where it is absent.
  const Json* Find(absl::string_view key);

  // InvalidArgument for the first of: not an object, a wrong type, a missing
  // number, a member that was never asked for.
  absl::Status Finish();

 private:
  uint64_t ToUint(const Json* member, absl::string_view key, uint64_t max);
  void Fail(absl::string_view key, absl::string_view expected);

  const Json& json_;
  const absl::string_view what_;
  std::vector<absl::string_view> known_;
  absl::Status status_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_JSON_MEMBERS_H_
