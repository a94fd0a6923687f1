// Strict JSON: the one parser and the one writer for every JSON text that
// monoquant reads or writes.
//
// Reading refuses what a checkpoint must not contain: duplicate keys, nesting
// beyond 64 levels, trailing text, invalid UTF-8, NaN and Infinity, numbers
// that do not fit (integers beyond 64 bits, 1e999). Object members keep their
// order. Built on nlohmann/json's SAX parser, which is
// visible in json.cc only.

#ifndef MONOQUANT_IR_JSON_H_
#define MONOQUANT_IR_JSON_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monoquant {

// Objects and arrays may be nested this deep.
inline constexpr int kMaxJsonDepth = 64;

// A JSON value. A plain value type: copyable, comparable (objects member by
// member, in order; an integer never equals a double).
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  // Any integer type. Unsigned numbers up to 2^63-1 are kept as int64_t.
  template <std::integral Int>
  Json(Int value) {
    if (std::is_signed_v<Int> ||
        static_cast<uint64_t>(value) <= uint64_t{INT64_MAX}) {
      value_ = static_cast<int64_t>(value);
    } else {
      value_ = static_cast<uint64_t>(value);
    }
  }
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(absl::string_view value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  bool is_null() const;
  bool is_object() const;
  bool is_array() const;

  // The value if it has that type, otherwise nullptr. Numbers: an integer
  // literal is an int64_t (or uint64_t above 2^63-1), any other a double.
  const bool* AsBool() const;
  const int64_t* AsInt() const;
  const uint64_t* AsBigUint() const;
  const double* AsDouble() const;
  const std::string* AsString() const;
  const Array* AsArray() const;
  const Object* AsObject() const;

  // The member `key` of an object; nullptr if absent or if this is no object.
  const Json* Find(absl::string_view key) const;

  // Appends a member. This must be an object, or null (becomes an object).
  // The key must not be present yet; this is not checked, so that building an
  // object takes linear time.
  void Set(absl::string_view key, Json value);
  // Appends an element. This must be an array, or null (becomes an array).
  void Append(Json value);

  // Serialized text. indent 0: one line without spaces. Strings are escaped so
  // that the text is pure ASCII (a byte that is no UTF-8 becomes U+FFFD);
  // doubles are a short text that reads back as the same value, with a point or
  // an exponent; a NaN or infinity becomes null.
  std::string ToString(int indent = 0) const;

  friend bool operator==(const Json& a, const Json& b) {
    return a.value_ == b.value_;
  }
  friend bool operator!=(const Json& a, const Json& b) { return !(a == b); }

 private:
  std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string,
               Array, Object>
      value_;
};

// The beginning of json.ToString(), as much as fits a message.
std::string JsonExcerpt(const Json& json);

// A number in a message: the shortest text that reads back as the same value,
// an integer without a point; "nan", "inf" or "-inf".
std::string NumberText(double value);

// Values that a text may have, containers and what is in them alike: a value
// of two bytes of text takes a hundred bytes of memory.
inline constexpr size_t kMaxJsonValues = 2'000'000;

// Parses one complete JSON text. InvalidArgument with the byte position and
// the reason, among them more than kMaxJsonValues; the caller adds the file's
// name.
absl::StatusOr<Json> ParseJson(absl::string_view text);

using JsonMemberFunction =
    absl::FunctionRef<absl::Status(const std::string& key, Json value)>;

// Parses a text whose value is an object and hands over its members one by one,
// in order, so that only one of them is in memory, which may have
// kMaxJsonValues by itself. Of the member called `elements_of`, if that is an
// array, every element is handed over for itself under the member's key, and at
// last the array, empty. Keys that occur twice in the outermost object are the
// caller's to find.
//
// InvalidArgument like ParseJson, and if the text is no object; an error of
// `member` ends the parsing and is returned as it is.
absl::Status ForEachJsonMember(absl::string_view text,
                               JsonMemberFunction member,
                               absl::string_view elements_of = {});

}  // namespace monoquant

#endif  // MONOQUANT_IR_JSON_H_
