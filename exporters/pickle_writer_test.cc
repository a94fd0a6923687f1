// Guards: the exact opcodes; that Python reads them is tested with torch.

#include "exporters/pickle_writer.h"

#include <cstdint>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

// A pickle without the protocol in front and the stop behind.
std::string Body(PickleWriter pickle) {
  const std::string text = std::move(pickle).Finish();
  EXPECT_EQ(text.substr(0, 2), "\x80\x02");
  EXPECT_EQ(text.back(), '.');
  return text.substr(2, text.size() - 3);
}

std::string IntBody(uint64_t value) {
  PickleWriter pickle;
  pickle.Int(value);
  return Body(std::move(pickle));
}

TEST(PickleWriterTest, IntsTakeTheShortestForm) {
  const std::pair<uint64_t, std::string> cases[] = {
      {0, std::string("K\0", 2)},
      {255, "K\xff"},
      {256, std::string("M\0\1", 3)},
      {65535, "M\xff\xff"},
      {65536, std::string("J\0\0\1\0", 5)},
      {0x7fffffff, "J\xff\xff\xff\x7f"},
      {0x80000000, std::string("\x8a\5\0\0\0\x80\0", 7)},
      {0x7fffffffff, "\x8a\5\xff\xff\xff\xff\x7f"},
      {0x8000000000, std::string("\x8a\6\0\0\0\0\x80\0", 8)},
      {INT64_MAX, "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f"},
  };
  for (const auto& [value, body] : cases) {
    EXPECT_EQ(IntBody(value), body) << value;
  }
}

TEST(PickleWriterTest, GlobalsAndSharedStringsAreWrittenOnce) {
  PickleWriter pickle;
  pickle.Global("torch", "FloatStorage");
  pickle.SharedString("cpu");
  pickle.Global("torch", "FloatStorage");
  pickle.SharedString("cpu");
  pickle.String("cpu");
  EXPECT_EQ(Body(std::move(pickle)), std::string("ctorch\nFloatStorage\nq\0"
                                                 "X\3\0\0\0cpuq\1"
                                                 "h\0"
                                                 "h\1"
                                                 "X\3\0\0\0cpu",
                                                 22 + 10 + 2 + 2 + 8));
}

// [1, None], {}.
TEST(PickleWriterTest, ListsAndObjects) {
  PickleWriter pickle;
  pickle.Mark();
  pickle.EmptyList();
  pickle.Mark();
  pickle.Int(1);
  pickle.None();
  pickle.Appends();
  pickle.EmptyDict();
  pickle.Tuple();
  EXPECT_EQ(Body(std::move(pickle)), "(](K\x01Ne}t");
  PickleWriter object;
  object.Global("m", "C");
  object.EmptyTuple();
  object.NewObject();
  object.EmptyTuple();
  object.Build();
  EXPECT_EQ(Body(std::move(object)), std::string("cm\nC\nq\0)\x81)b", 11));
}

TEST(PickleWriterTest, MemoGoesBeyondOneByte) {
  PickleWriter pickle;
  for (int i = 0; i < 257; ++i) pickle.SharedString(std::to_string(i));
  pickle.SharedString("256");
  const std::string body = Body(std::move(pickle));
  EXPECT_EQ(body.substr(body.size() - 10),
            std::string("r\0\1\0\0j\0\1\0\0", 10));
}

}  // namespace
}  // namespace monoquant
