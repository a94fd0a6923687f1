#include "ir/json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"
#include "nlohmann/json.hpp"

namespace monoquant {
namespace {

// Characters of a value that a message shows.
constexpr size_t kMaxExcerpt = 80;
// Characters of a reason, which may quote the text.
constexpr size_t kMaxReason = 160;

// ---------------------------------------------------------------- reading --

// Walks the text and leaves the number of bytes taken so far in a counter,
// which nlohmann's SAX events do not tell.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator() = default;
  CountingIterator(const char* at, size_t* taken) : at_(at), taken_(taken) {}

  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) {
    return !(a == b);
  }

 private:
  const char* at_ = nullptr;
  size_t* taken_ = nullptr;
};

// Receives the parser's events and builds the value, or hands over its members.
// Every event returns whether to go on.
class Builder {
 public:
  // Keeps all of the value.
  Builder() = default;
  // Hands over members (see ForEachJsonMember).
  Builder(JsonMemberFunction member, absl::string_view elements_of)
      : member_(member), elements_of_(elements_of) {}

  // nlohmann's interface.
  bool null() { return Add(Json()); }
  bool boolean(bool value) { return Add(Json(value)); }
  bool number_integer(int64_t value) { return Add(Json(value)); }
  bool number_unsigned(uint64_t value) { return Add(Json(value)); }
  bool number_float(double value, const std::string& literal) {
    // An integer that fits no 64 bits arrives here, rounded.
    if (literal.find_first_of(".eE") == std::string::npos) {
      return Fail(absl::StrCat("integer ", literal.substr(0, kMaxExcerpt),
                               " does not fit 64 bits"));
    }
    return Add(Json(value));
  }
  bool string(std::string& value) { return Add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) { return Fail("binary value"); }
  bool key(std::string& key) {
    open_.back().key = std::move(key);
    return true;
  }
  bool start_object(size_t) { return Open(Json(Json::Object())); }
  bool end_object() {
    return CheckKeys(*open_.back().value.AsObject()) && Close();
  }
  bool start_array(size_t) { return Open(Json(Json::Array())); }
  bool end_array() { return Close(); }
  template <typename Exception>
  bool parse_error(size_t, const std::string&, const Exception& error) {
    return Fail(Reason(error.what()));
  }

  const std::string& error() const { return error_; }
  // What a JsonMemberFunction returned.
  const absl::Status& status() const { return status_; }
  Json TakeResult() { return std::move(result_); }

 private:
  // An object or array whose end has not been seen. The value under
  // construction lies here and moves into its parent when it is complete.
  struct OpenValue {
    Json value;
    std::string key;  // of the member that is being read
  };

  bool Fail(std::string reason) {
    if (error_.empty()) error_ = std::move(reason);
    return false;
  }

  bool Open(Json empty) {
    if (open_.size() >= static_cast<size_t>(kMaxJsonDepth)) {
      return Fail(absl::StrCat("more than ", kMaxJsonDepth, " nested levels"));
    }
    open_.push_back({std::move(empty), std::string()});
    return true;
  }

  bool Close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return Add(std::move(value));
  }

  // Whether the value that is being added goes to the function.
  bool IsHandedOver() const {
    if (!member_.has_value() || !open_[0].value.is_object()) return false;
    return open_.size() == 1 ||
           (open_.size() == 2 && open_[1].value.is_array() &&
            open_[0].key == elements_of_);
  }

  bool Add(Json value) {
    if (++values_ > kMaxJsonValues) {
      return Fail(
          absl::StrCat("more values than the limit of ", kMaxJsonValues));
    }
    if (open_.empty()) {
      result_ = std::move(value);
      return true;
    }
    if (IsHandedOver()) {
      values_ = 0;
      status_ = (*member_)(open_[0].key, std::move(value));
      return status_.ok();
    }
    OpenValue& parent = open_.back();
    if (parent.value.is_object()) {
      parent.value.Set(std::move(parent.key), std::move(value));
    } else {
      parent.value.Append(std::move(value));
    }
    return true;
  }

  // A header may have some 100,000 members: linear time, by hash. At the end
  // of the object, when its strings no longer move.
  bool CheckKeys(const Json::Object& object) {
    absl::flat_hash_set<absl::string_view> keys;
    keys.reserve(object.size());
    for (const Json::Member& member : object) {
      if (!keys.insert(member.first).second) {
        return Fail(absl::StrCat("an object has the key ",
                                 JsonExcerpt(member.first), " twice"));
      }
    }
    return true;
  }

  // The part of nlohmann's message that says what is wrong, without its prefix
  // and without the quotation of the input at the end, which may be long and
  // of any bytes.
  static std::string Reason(absl::string_view what) {
    const size_t quotation = what.find("; last read");
    const size_t expectation = what.rfind("; expected ");
    std::string expected(expectation == absl::string_view::npos
                             ? absl::string_view()
                             : what.substr(expectation + 1));
    // Input may hold those words too: then what follows is of any bytes.
    if (!absl::c_all_of(expected,
                        [](unsigned char c) { return absl::ascii_isprint(c); }))
      expected.clear();
    what = what.substr(0, std::min(quotation, expectation));
    for (absl::string_view mark : {" - ", ": "}) {
      const size_t at = what.find(mark);
      if (at != absl::string_view::npos) {
        what = what.substr(at + mark.size());
        break;
      }
    }
    if (!expected.empty()) return absl::StrCat(what, ",", expected);
    return std::string(what);
  }

  const std::optional<JsonMemberFunction> member_;
  const absl::string_view elements_of_;
  std::vector<OpenValue> open_;
  size_t values_ = 0;
  Json result_;
  std::string error_;
  absl::Status status_;
};

absl::Status ErrorAt(size_t position, absl::string_view reason) {
  return InvalidArgumentError("JSON error near byte ", position, ": ",
                              reason.substr(0, kMaxReason));
}

absl::Status Parse(absl::string_view text, Builder& builder) {
  // Two things that nlohmann lets pass: a zero byte ends its input early, and
  // it skips a byte order mark.
  const size_t zero = text.find('\0');
  if (zero != absl::string_view::npos) return ErrorAt(zero, "a zero byte");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    return ErrorAt(0, "a byte order mark; save the text as UTF-8 without one");
  }
  size_t taken = 0;
  const bool ok = nlohmann::json::sax_parse(
      CountingIterator(text.data(), &taken),
      CountingIterator(text.data() + text.size(), &taken), &builder);
  if (ok) return absl::OkStatus();
  if (!builder.status().ok()) return builder.status();
  return ErrorAt(taken, builder.error());
}

// ---------------------------------------------------------------- writing --

// Not absl::StrAppend: where the standard library cannot grow a string without
// filling it, that fills the spare capacity on every call, and a long text
// takes quadratic time.
void AppendPiece(const absl::AlphaNum& piece, std::string* out) {
  out->append(piece.data(), piece.size());
}

void AppendUnicodeEscape(uint32_t unit, std::string* out) {
  out->append("\\u");
  AppendPiece(absl::Hex(unit, absl::kZeroPad4), out);
}

void AppendString(absl::string_view text, std::string* out) {
  out->push_back('"');
  for (size_t pos = 0; pos < text.size();) {
    uint32_t c = DecodeUtf8(text, &pos);
    if (c == kInvalidCodePoint) c = 0xFFFD;
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        if (c >= 0x20 && c < 0x7F) {
          out->push_back(static_cast<char>(c));
        } else if (c < 0x10000) {
          AppendUnicodeEscape(c, out);
        } else {
          AppendUnicodeEscape(0xD800 + ((c - 0x10000) >> 10), out);
          AppendUnicodeEscape(0xDC00 + ((c - 0x10000) & 0x3FF), out);
        }
    }
  }
  out->push_back('"');
}

void AppendDouble(double value, std::string* out) {
  if (!std::isfinite(value)) {
    out->append("null");
  } else {
    // Independent of the locale and the C library, unlike printf. What the
    // library's dump() calls too, without a tree of one value.
    char text[64];
    out->append(text, nlohmann::detail::to_chars(text, std::end(text), value));
  }
}

void AppendNewline(int indent, int depth, std::string* out) {
  if (indent == 0) return;
  out->push_back('\n');
  out->append(static_cast<size_t>(indent) * static_cast<size_t>(depth), ' ');
}

// Recursion is as deep as the value, which is either our own or went through
// ParseJson and is no deeper than kMaxJsonDepth.
void AppendValue(const Json& json, int indent, int depth, std::string* out) {
  if (const bool* flag = json.AsBool()) {
    out->append(*flag ? "true" : "false");
  } else if (const int64_t* number = json.AsInt()) {
    AppendPiece(*number, out);
  } else if (const uint64_t* big = json.AsBigUint()) {
    AppendPiece(*big, out);
  } else if (const double* real = json.AsDouble()) {
    AppendDouble(*real, out);
  } else if (const std::string* text = json.AsString()) {
    AppendString(*text, out);
  } else if (const Json::Array* array = json.AsArray()) {
    out->push_back('[');
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out->push_back(',');
      AppendNewline(indent, depth + 1, out);
      AppendValue((*array)[i], indent, depth + 1, out);
    }
    if (!array->empty()) AppendNewline(indent, depth, out);
    out->push_back(']');
  } else if (const Json::Object* object = json.AsObject()) {
    out->push_back('{');
    for (size_t i = 0; i < object->size(); ++i) {
      if (i > 0) out->push_back(',');
      AppendNewline(indent, depth + 1, out);
      AppendString((*object)[i].first, out);
      out->append(indent > 0 ? ": " : ":");
      AppendValue((*object)[i].second, indent, depth + 1, out);
    }
    if (!object->empty()) AppendNewline(indent, depth, out);
    out->push_back('}');
  } else {
    out->append("null");
  }
}

}  // namespace

bool Json::is_null() const {
  return std::holds_alternative<std::nullptr_t>(value_);
}
bool Json::is_object() const { return std::holds_alternative<Object>(value_); }
bool Json::is_array() const { return std::holds_alternative<Array>(value_); }

const bool* Json::AsBool() const { return std::get_if<bool>(&value_); }
const int64_t* Json::AsInt() const { return std::get_if<int64_t>(&value_); }
const uint64_t* Json::AsBigUint() const {
  return std::get_if<uint64_t>(&value_);
}
const double* Json::AsDouble() const { return std::get_if<double>(&value_); }
const std::string* Json::AsString() const {
  return std::get_if<std::string>(&value_);
}
const Json::Array* Json::AsArray() const { return std::get_if<Array>(&value_); }
const Json::Object* Json::AsObject() const {
  return std::get_if<Object>(&value_);
}

const Json* Json::Find(absl::string_view key) const {
  const Object* object = AsObject();
  if (object == nullptr) return nullptr;
  for (const Member& member : *object) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text;
  AppendDouble(value, &text);
  if (absl::EndsWith(text, ".0")) text.resize(text.size() - 2);
  return text;
}

void Json::Set(absl::string_view key, Json value) {
  if (is_null()) value_ = Object();
  std::get_if<Object>(&value_)->emplace_back(key, std::move(value));
}

void Json::Append(Json value) {
  if (is_null()) value_ = Array();
  std::get_if<Array>(&value_)->push_back(std::move(value));
}

std::string Json::ToString(int indent) const {
  std::string out;
  AppendValue(*this, indent, 0, &out);
  return out;
}

std::string JsonExcerpt(const Json& json) {
  std::string text = json.ToString();
  if (text.size() > kMaxExcerpt) {
    text.resize(kMaxExcerpt);
    text.append("...");
  }
  return text;
}

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  Builder builder;
  MQ_RETURN_IF_ERROR(Parse(text, builder));
  return builder.TakeResult();
}

absl::Status ForEachJsonMember(absl::string_view text,
                               JsonMemberFunction member,
                               absl::string_view elements_of) {
  Builder builder(member, elements_of);
  MQ_RETURN_IF_ERROR(Parse(text, builder));
  if (builder.TakeResult().is_object()) return absl::OkStatus();
  return ErrorAt(0, "an object is expected");
}

}  // namespace monoquant
