#include "ir/json.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

// What is read and written again.
TEST(JsonTest, RoundTrips) {
  for (const char* text : {
           "null",
           "true",
           "false",
           "0",
           "-1",
           "9223372036854775807",
           "-9223372036854775808",
           "9223372036854775808",
           "18446744073709551615",
           "0.5",
           "-0.0",
           "1e+100",
           "5e-324",
           "1.7976931348623157e+308",
           "\"\"",
           "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f\\u00e9\\ud83d\\ude00\"",
           "[]",
           "{}",
           "[1,[2,{\"a\":[]}],null]",
           "{\"b\":1,\"a\":{\"c\":[true,0.25]}}",
       }) {
    const absl::StatusOr<Json> json = ParseJson(text);
    ASSERT_TRUE(json.ok()) << text << ": " << json.status();
    EXPECT_EQ(json->ToString(), text);
    EXPECT_EQ(ParseJson(json->ToString(2)).value(), *json) << text;
  }
}

TEST(JsonTest, Indents) {
  const Json json = ParseJson("{\"a\":[1,{}],\"b\":{\"c\":[]}}").value();
  EXPECT_EQ(json.ToString(2),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n"
            "  }\n}");
}

TEST(JsonTest, Spaces) {
  EXPECT_EQ(ParseJson(" \t\r\n[ 1 , 2 ] \n").value().ToString(), "[1,2]");
}

// Everything that another reader may take differently is refused, with the
// place and the reason.
TEST(JsonTest, Refuses) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "near byte 0: "},
      {" ", "unexpected end of input"},
      {"{} {}", "near byte 4: "},
      {"{}x", "invalid literal"},
      {std::string("{}\0garbage", 10), "near byte 2: a zero byte"},
      {std::string("\"a\0b\"", 5), "a zero byte"},
      {"\xEF\xBB\xBF{}", "byte order mark"},
      {"{\"a\":1,\"a\":1}", "has the key \"a\" twice"},
      {"{\"x\":{\"k\":1,\"b\":2,\"k\":3}}", "has the key \"k\" twice"},
      {"{\"a\":1,\"\\u0061\":2}", "twice"},
      {"{\"a\":1,}", "near byte 8"},
      {"[1,]", "near byte 4"},
      {"[1 2]", "near byte"},
      {"{1:2}", "near byte 3"},
      {"{'a':1}", "near byte 2"},
      {"[", "unexpected end of input"},
      {"{\"a\"", "unexpected end of input"},
      {"\"abc", "missing closing quote"},
      {"\"\n\"", "control character"},
      {"\"\\x\"", "forbidden character after backslash"},
      {"\"\x80\"", "ill-formed UTF-8"},
      {"\"\xC0\xAF\"", "ill-formed UTF-8"},
      {"\"\xED\xA0\x80\"", "ill-formed UTF-8"},
      {"\"\\ud800\"", "surrogate"},
      {"\"\\udc00\"", "surrogate"},
      {"NaN", "near byte 1"},
      {"[Infinity]", "near byte 2"},
      {"-Infinity", "near byte 2"},
      {"1e999", "number overflow"},
      {"18446744073709551616", "does not fit 64 bits"},
      {"-9223372036854775809", "does not fit 64 bits"},
      {"01", "near byte 2"},
      {"1.", "near byte 2"},
      {"+1", "near byte 1"},
      {".5", "near byte 1"},
      {"0x10", "near byte 2"},
      {"tru", "near byte"},
      {"// c\n1", "near byte 1"},
      {Repeat("[", 65), "more than 64 nested levels"},
      {Repeat("{\"a\":", 65), "more than 64 nested levels"},
      {Repeat("[", 1000000), "more than 64 nested levels"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text.substr(0, 40));
    ExpectError(ParseJson(c.text), absl::StatusCode::kInvalidArgument,
                c.message);
  }
}

TEST(JsonTest, DepthLimitIsExact) {
  EXPECT_TRUE(ParseJson(Repeat("[", 64) + Repeat("]", 64)).ok());
  EXPECT_FALSE(ParseJson(Repeat("[", 65) + Repeat("]", 65)).ok());
  // Breadth is not depth.
  EXPECT_TRUE(ParseJson("[" + Repeat("[],", 100) + "[]]").ok());
}

// Whatever a text is cut to, it is an error and not a crash.
TEST(JsonTest, Truncated) {
  const std::string text =
      "{\"a\":[1.5e3,-2,\"\\u00e9\\n\xC3\xA9\",true,null],\"b\":{}}";
  ASSERT_TRUE(ParseJson(text).ok());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseJson(text.substr(0, size)).ok()) << size;
  }
}

// Guards the search for duplicates: it must be linear.
TEST(JsonTest, ManyMembers) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) {
    text += absl::StrCat(i > 0 ? "," : "", "\"layer.", i, ".weight\":", i);
  }
  text += "}";
  const absl::StatusOr<Json> json = ParseJson(text);
  ASSERT_TRUE(json.ok()) << json.status();
  ASSERT_EQ(json->AsObject()->size(), 200000u);
  EXPECT_EQ(json->AsObject()->back().first, "layer.199999.weight");
  EXPECT_EQ(json->ToString(), text);
}

TEST(JsonTest, AccessorsTellTypesApart) {
  const Json json = ParseJson(
                        "{\"n\":null,\"t\":true,\"i\":-5,\"u\":1844674407370955"
                        "1615,\"d\":1.0,\"s\":\"x\",\"a\":[1],\"o\":{}}")
                        .value();
  EXPECT_TRUE(json.is_object());
  EXPECT_TRUE(json.Find("n")->is_null());
  EXPECT_TRUE(*json.Find("t")->AsBool());
  EXPECT_EQ(*json.Find("i")->AsInt(), -5);
  EXPECT_EQ(json.Find("i")->AsDouble(), nullptr);
  EXPECT_EQ(*json.Find("u")->AsBigUint(), UINT64_MAX);
  EXPECT_EQ(json.Find("u")->AsInt(), nullptr);
  EXPECT_EQ(*json.Find("d")->AsDouble(), 1.0);
  EXPECT_EQ(json.Find("d")->AsInt(), nullptr);
  EXPECT_EQ(*json.Find("s")->AsString(), "x");
  EXPECT_EQ(json.Find("a")->AsArray()->size(), 1u);
  EXPECT_TRUE(json.Find("o")->AsObject()->empty());
  EXPECT_EQ(json.Find("absent"), nullptr);
  EXPECT_EQ(json.Find("a")->Find("x"), nullptr);
}

TEST(JsonTest, Builds) {
  Json json;
  json.Set("size", size_t{7});
  json.Set("big", UINT64_MAX);
  json.Set("small", int8_t{-3});
  json.Set("flag", true);
  json.Set("text", "x");
  Json list;
  list.Append(1);
  list.Append(nullptr);
  json.Set("list", list);
  EXPECT_EQ(json.ToString(),
            "{\"size\":7,\"big\":18446744073709551615,\"small\":-3,"
            "\"flag\":true,\"text\":\"x\",\"list\":[1,null]}");
}

// A member order is part of the value; an integer is no double.
TEST(JsonTest, Equality) {
  EXPECT_EQ(ParseJson("[1,{\"a\":2}]").value(),
            ParseJson(" [1, {\"a\": 2}]").value());
  EXPECT_NE(ParseJson("{\"a\":1,\"b\":2}").value(),
            ParseJson("{\"b\":2,\"a\":1}").value());
  EXPECT_NE(Json(1), Json(1.0));
  EXPECT_NE(Json(0), Json());
}

TEST(JsonTest, DoublesReadBack) {
  uint64_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    // Random bit patterns reach every exponent.
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t bits = state ^ (state >> 29);
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    const Json json = ParseJson(Json(value).ToString()).value();
    ASSERT_NE(json.AsDouble(), nullptr) << Json(value).ToString();
    ASSERT_EQ(*json.AsDouble(), value);
  }
  EXPECT_EQ(Json(0.1).ToString(), "0.1");
  EXPECT_EQ(Json(3.0).ToString(), "3.0");
}

TEST(JsonTest, WritesWhatJsonCannotSay) {
  EXPECT_EQ(Json(std::nan("")).ToString(), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()).ToString(), "null");
  EXPECT_EQ(Json("a\xFFz").ToString(), "\"a\\ufffdz\"");
}

TEST(JsonTest, ExcerptIsBounded) {
  EXPECT_EQ(JsonExcerpt(Json("a\nb")), "\"a\\nb\"");
  EXPECT_LE(JsonExcerpt(Json(std::string(100000, 'x'))).size(), 90u);
}

// Messages are bounded too, whatever the text.
TEST(JsonTest, MessagesAreShort) {
  for (const std::string& text :
       {std::string(100000, 'x'), "\"" + std::string(100000, 'x'),
        std::string(100000, '1'),
        "{\"" + std::string(100000, 'k') + "\":1,\"" +
            std::string(100000, 'k') + "\":2}"}) {
    EXPECT_LT(ParseJson(text).status().message().size(), 250u);
  }
}

// What nlohmann expected is told, nothing that only looks like it.
TEST(JsonTest, MessagesHoldNoControlCharacters) {
  for (const std::string text :
       {"in; expected \x7F\x7F", "[\"a\"; expected \x7F",
        "{\"a; expected \x7F"}) {
    const std::string message(ParseJson(text).status().message());
    EXPECT_FALSE(absl::StrContains(message, '\x7F')) << message;
  }
  ExpectError(ParseJson("[1 2]"), absl::StatusCode::kInvalidArgument,
              "expected ']'");
}

std::string Members(absl::string_view text, absl::string_view elements_of) {
  std::string members;
  const absl::Status status = ForEachJsonMember(
      text,
      [&](const std::string& key, Json value) {
        members += absl::StrCat(key, "=", value.ToString(), " ");
        return absl::OkStatus();
      },
      elements_of);
  return status.ok() ? members : status.ToString();
}

TEST(JsonTest, NumbersInMessages) {
  EXPECT_EQ(NumberText(3), "3");
  EXPECT_EQ(NumberText(-0.1), "-0.1");
  EXPECT_EQ(NumberText(1e300), "1e+300");
  EXPECT_EQ(NumberText(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(NumberText(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(NumberText(std::nan("")), "nan");
}

TEST(JsonTest, HandsOverMembers) {
  const char* text = R"({"a": [1, {"b": 2}], "c": {"d": [3]}, "e": null})";
  EXPECT_EQ(Members(text, ""), R"(a=[1,{"b":2}] c={"d":[3]} e=null )");
  EXPECT_EQ(Members(text, "a"), R"(a=1 a={"b":2} a=[] c={"d":[3]} e=null )");
  // Only arrays have elements, and only below the outermost object.
  EXPECT_EQ(Members(text, "c"), R"(a=[1,{"b":2}] c={"d":[3]} e=null )");
  EXPECT_EQ(Members(text, "d"), R"(a=[1,{"b":2}] c={"d":[3]} e=null )");
  EXPECT_EQ(Members("{}", ""), "");
}

TEST(JsonTest, MembersMayFail) {
  int calls = 0;
  const auto fail = [&](const std::string&, Json) {
    ++calls;
    return absl::DataLossError("no");
  };
  EXPECT_EQ(ForEachJsonMember(R"({"a": 1, "b": 2})", fail),
            absl::DataLossError("no"));
  EXPECT_EQ(calls, 1);
  ExpectError(ForEachJsonMember("[1]", fail),
              absl::StatusCode::kInvalidArgument, "an object is expected");
  ExpectError(ForEachJsonMember("{\"a\"", fail),
              absl::StatusCode::kInvalidArgument, "JSON error near byte 4");
}

TEST(JsonTest, ValuesAreLimited) {
  const int limit = static_cast<int>(kMaxJsonValues);
  const auto list = [](int values) {
    return absl::StrCat("[", Repeat("0,", values - 2), "0]");
  };
  ExpectError(ParseJson(list(limit + 1)), absl::StatusCode::kInvalidArgument,
              "more values than the limit of 2000000");
  // Those that were handed over count no longer.
  const std::string two =
      absl::StrCat("{\"a\":", list(limit - 1), ",\"b\":", list(limit - 1), "}");
  EXPECT_TRUE(ForEachJsonMember(two, [](const std::string&, Json) {
                return absl::OkStatus();
              }).ok());
}

}  // namespace
}  // namespace monoquant
