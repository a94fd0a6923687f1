// Guards: what every instruction of the protocols 0 to 5 makes, that nothing is
// called, that each limit holds, and that cycles, sharing, depth and damage
// neither crash the machine nor take long.

#include "frontends/pickle/pickle_machine.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::PickleBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

// Text of a node, for small graphs without cycles.
std::string Show(const PickleGraph& graph, NodeId node) {
  const auto show_all = [&](absl::Span<const NodeId> nodes) {
    return absl::StrJoin(nodes, " ", [&](std::string* out, NodeId item) {
      absl::StrAppend(out, Show(graph, item));
    });
  };
  switch (graph.kind(node)) {
    case NodeKind::kNone:
      return "None";
    case NodeKind::kBool:
      return *graph.AsBool(node) ? "True" : "False";
    case NodeKind::kInt:
      return absl::StrCat(*graph.AsInt(node));
    case NodeKind::kBigInt:
      return "big";
    case NodeKind::kFloat:
      return absl::StrCat("f", *graph.AsFloat(node));
    case NodeKind::kString:
      return absl::StrCat("'", *graph.AsString(node), "'");
    case NodeKind::kBytes:
      return absl::StrCat("b'", *graph.AsBytes(node), "'");
    case NodeKind::kTuple:
      return absl::StrCat("(", show_all(graph.Items(node)), ")");
    case NodeKind::kList:
      return absl::StrCat("[", show_all(graph.Items(node)), "]");
    case NodeKind::kSet:
      return absl::StrCat("<", show_all(graph.Items(node)), ">");
    case NodeKind::kDict:
      return absl::StrCat("{", show_all(graph.Entries(node)), "}");
    case NodeKind::kGlobal: {
      const PickleGlobal& global = *graph.AsGlobal(node);
      return absl::StrCat(global.module, ".", global.name);
    }
    case NodeKind::kPersistentId:
      return absl::StrCat("@", Show(graph, graph.PersistentValue(node)));
    case NodeKind::kObject:
      break;
  }
  std::string text = absl::StrCat(Show(graph, graph.Callee(node)),
                                  Show(graph, graph.Args(node)));
  if (graph.KeywordArgs(node) != kNoNode) {
    absl::StrAppend(&text, "**", Show(graph, graph.KeywordArgs(node)));
  }
  if (!graph.Items(node).empty()) {
    absl::StrAppend(&text, "+[", show_all(graph.Items(node)), "]");
  }
  if (!graph.Entries(node).empty()) {
    absl::StrAppend(&text, "+{", show_all(graph.Entries(node)), "}");
  }
  for (NodeId state : graph.States(node)) {
    absl::StrAppend(&text, "=", Show(graph, state));
  }
  return text;
}

std::string ShowPickle(absl::string_view bytes) {
  const auto graph =
      ReadPickle(std::string(bytes), PickleLimits(), OpaqueCalls::kAllow);
  if (!graph.ok()) return graph.status().ToString();
  return Show(*graph, graph->root());
}

// A literal that may hold zeros.
template <size_t kSize>
absl::string_view Bytes(const char (&literal)[kSize]) {
  return absl::string_view(literal, kSize - 1);
}

TEST(PickleMachineTest, EveryInstruction) {
  struct Case {
    absl::string_view pickle;
    const char* shown;
  };
  const std::vector<Case> cases = {
      // Numbers.
      {"I42\n.", "42"},
      {"I-7\n.", "-7"},
      {"I00\n.", "False"},
      {"I01\n.", "True"},
      {"I123456789012345678901234567890\n.", "big"},
      {"L5L\n.", "5"},
      {"L-9223372036854775808L\n.", "-9223372036854775808"},
      {"F1.5\n.", "f1.5"},
      {"F1e-05\n.", "f1e-05"},
      {"F2\n.", "f2"},
      {"F-inf\n.", "f-inf"},
      {Bytes("G\xbf\xf8\0\0\0\0\0\0."), "f-1.5"},
      {Bytes("J\xfe\xff\xff\xff."), "-2"},
      {"K\xff.", "255"},
      {Bytes("M\x01\x02."), "513"},
      {Bytes("\x8a\0."), "0"},
      {"\x8a\x01\xff.", "-1"},
      {Bytes("\x8a\x02\xff\0."), "255"},
      {Bytes("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0."), "big"},
      {Bytes("\x8a\x0a\x01\0\0\0\0\0\0\0\0\0."), "1"},
      {Bytes("\x8b\x01\0\0\0\x7f."), "127"},
      {"N.", "None"},
      {"\x88.", "True"},
      {"\x89.", "False"},
      // Text.
      {"S'a\\x41\\n\\\\'\n.", "'aA\n\\'"},
      {"S\"it's\"\n.", "'it's'"},
      {"Va\\u00e9\xe9\n.", "'a\xc3\xa9\xc3\xa9'"},
      {Bytes("T\x02\0\0\0ab."), "'ab'"},
      {"U\x02"
       "ab.",
       "'ab'"},
      {Bytes("X\x02\0\0\0\xc3\xa9."), "'\xc3\xa9'"},
      {"\x8c\x02"
       "ab.",
       "'ab'"},
      {Bytes("\x8d\x02\0\0\0\0\0\0\0ab."), "'ab'"},
      {Bytes("B\x02\0\0\0ab."), "b'ab'"},
      {"C\x02"
       "ab.",
       "b'ab'"},
      {Bytes("\x8e\x02\0\0\0\0\0\0\0ab."), "b'ab'"},
      {Bytes("\x96\x02\0\0\0\0\0\0\0ab."), "b'ab'"},
      // Containers.
      {").", "()"},
      {"(K\x01K\x02t.", "(1 2)"},
      {"(t.", "()"},
      {"K\x01\x85.", "(1)"},
      {"K\x01K\x02\x86.", "(1 2)"},
      {"K\x01K\x02K\x03\x87.", "(1 2 3)"},
      {"].", "[]"},
      {"(K\x01l.", "[1]"},
      {"]K\x01"
       "a.",
       "[1]"},
      {"](K\x01K\x02"
       "e.",
       "[1 2]"},
      {"](e.", "[]"},
      {"}.", "{}"},
      {"(K\x01K\x02"
       "d.",
       "{1 2}"},
      {"}K\x01K\x02s.", "{1 2}"},
      {"}(K\x01K\x02K\x03K\x04u.", "{1 2 3 4}"},
      {"\x8f(K\x01\x90.", "<1>"},
      {"(K\x01\x91.", "<1>"},
      // Stack and memo.
      {"K\x01K\x02"
       "0.",
       "1"},
      {"K\x01("
       "0.",
       "1"},
      {"K\x01(K\x02K\x03"
       "1.",
       "1"},
      {"K\x01"
       "2\x86.",
       "(1 1)"},
      {"K\x01p7\n0g7\n.", "1"},
      {"K\x01q\x05"
       "0h\x05.",
       "1"},
      {Bytes("K\x01r\x05\0\0\0"
             "0j\x05\0\0\0."),
       "1"},
      {"K\x07\x94K\x08\x94"
       "0h\x01\x86.",
       "(7 8)"},
      // Globals, calls, objects.
      {"cmod\nname\n.", "mod.name"},
      {"\x8c\x03mod\x8c\x04name\x93.", "mod.name"},
      {"c__builtin__\nset\n.", "builtins.set"},
      {"ctorch.tensor\nf\n.", "torch._tensor.f"},
      {"cm\nf\n(K\x01tR.", "m.f(1)"},
      {"cm\nC\n)\x81.", "m.C()"},
      {"cm\nC\n)}K\x01K\x02s\x92.", "m.C()**{1 2}"},
      {"(cm\nC\nK\x01o.", "m.C(1)"},
      {"(K\x01im\nC\n.", "m.C(1)"},
      {"cm\nC\n)\x81}b.", "m.C()={}"},
      {"cm\nC\n)\x81K\x01"
       "a.",
       "m.C()+[1]"},
      {"cm\nC\n)\x81K\x01K\x02s.", "m.C()+{1 2}"},
      {"cm\nC\n)\x81(K\x01\x90.", "m.C()+[1]"},
      {"cm\nf\n)R)R.", "m.f()()"},
      {"Psome id\n.", "@'some id'"},
      {"K\x01Q.", "@1"},
      // Framing.
      {Bytes("\x80\x05\x95\x02\0\0\0\0\0\0\0K\x01."), "1"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(ShowPickle(test.pickle), test.shown);
  }
}

TEST(PickleMachineTest, SaysWhereItEnded) {
  const auto graph = ReadPickle("K\x01.more");
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->consumed(), 3);
}

TEST(PickleMachineTest, ListsEveryGlobalOnce) {
  const auto graph = ReadPickle("cm\nf\ncm\ng\ncm\nf\n\x87.");
  ASSERT_TRUE(graph.ok());
  ASSERT_EQ(graph->globals().size(), 2);
  EXPECT_TRUE(graph->globals()[1].Is("m", "g"));
  EXPECT_FALSE(graph->globals()[1].Is("m", "f"));
}

TEST(PickleMachineTest, RefusesMalformedPickles) {
  struct Case {
    absl::string_view pickle;
    absl::StatusCode code;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"", kDataLoss, "byte 0: the pickle is truncated"},
      {"K\x01", kDataLoss, "byte 2: the pickle is truncated"},
      {"Inothing", kDataLoss, "truncated"},
      {Bytes("X\xff\0\0\0ab."), kDataLoss, "truncated"},
      {Bytes("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), kDataLoss,
       "limit of 268435456"},
      {Bytes("\x8e\xff\xff\xff\xff\xff\xff\xff\xff."), kDataLoss, "truncated"},
      {Bytes("\x95\xff\xff\xff\xff\xff\xff\xff\xff."), kDataLoss, "truncated"},
      {".", kDataLoss, "byte 0: too few values"},
      {"(.", kDataLoss, "too few values"},
      {"K\x01\x86.", kDataLoss, "too few values"},
      {"K\x01(\x85.", kDataLoss, "too few values"},
      {"t.", kDataLoss, "no mark"},
      {"1.", kDataLoss, "no mark"},
      {"(K\x01"
       "e.",
       kDataLoss, "too few values"},
      {"](K\x01(K\x01"
       "e.",
       kDataLoss, "appended to a value of type int"},
      {"((e.", kDataLoss, "too few values"},
      {"}K\x01"
       "a.",
       kDataLoss, "byte 3: items are appended to a value of type dict"},
      {"]K\x01K\x02s.", kDataLoss, "keys are set in a value of type list"},
      {"}(K\x01u.", kDataLoss, "a key has no value"},
      {"K\x01}b.", kDataLoss, "a state is given to a value of type int"},
      {"h\x01.", kDataLoss, "memo 1 is read but was never set"},
      {"gx\n.", kDataLoss, "memo index"},
      {"Ix\n.", kDataLoss, "broken number"},
      {"Fx\n.", kDataLoss, "broken number"},
      {"Snot quoted\n.", kDataLoss, "broken string"},
      {"S'\\x4'\n.", kDataLoss, "broken string"},
      {"V\\u12\n.", kDataLoss, "broken string"},
      {"K\x01K\x02\x93.", kDataLoss, "name is no string"},
      {"\xff.", kDataLoss, "no instruction has the code 0xff"},
      {"\x80\x06.", kUnimplemented, "protocol 6"},
      {"\x82\x01.", kUnimplemented, "extension code"},
      {"\x97.", kUnimplemented, "buffer"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(absl::CHexEscape(test.pickle));
    ExpectError(ReadPickle(std::string(test.pickle)), test.code, test.message);
  }
}

TEST(PickleMachineTest, RefusesDangerousCallsUnlessTheyAreAllowed) {
  const std::string pickle = "cos\nsystem\n(S'id'\ntR.";
  ExpectError(ReadPickle(pickle), kDataLoss,
              "byte 19: calls 'os.system' (not executed); refusing");
  const auto graph = ReadPickle(pickle, PickleLimits(), OpaqueCalls::kAllow);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Show(*graph, graph->root()), "os.system('id')");
}

TEST(PickleMachineTest, RemembersWhereThingsHappen) {
  const std::string pickle =
      "\x80\x02"
      "cm\nf\n)R}bcm\nf\n\x86.";
  const auto graph = ReadPickle(pickle);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->protocol(), 2);
  EXPECT_EQ(graph->instructions(), 9);
  ASSERT_EQ(graph->mentions().size(), 1);
  EXPECT_EQ(graph->mentions()[0].count, 2);
  EXPECT_EQ(graph->mentions()[0].positions, (std::vector<uint32_t>{2, 11}));
  ASSERT_EQ(graph->calls().size(), 1);
  EXPECT_EQ(graph->calls()[0].position, 8);
  EXPECT_EQ(graph->OpAt(8), PickleOp::kReduce);
  ASSERT_EQ(graph->changes().size(), 1);
  EXPECT_EQ(graph->changes()[0].node, graph->calls()[0].node);
  EXPECT_EQ(graph->OpAt(graph->changes()[0].position), PickleOp::kBuild);
}

TEST(PickleMachineTest, KeepsTheFirstMentionsOfAGlobal) {
  std::string pickle;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&pickle, "cm\nf\n0");
  const auto graph = ReadPickle(pickle + "N.");
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->mentions()[0].count, 100);
  EXPECT_EQ(graph->mentions()[0].positions.size(), PickleMentions::kKept);
}

// What the scanner is given: everything up to where Python would stop, too.
TEST(PickleMachineTest, RunsAsFarAsPythonWould) {
  struct Case {
    absl::string_view before;  // what ReadPickle refuses
    const char* why;
  };
  for (const Case& test : std::vector<Case>{
           {"I1_0\n0", "broken number"},
           {"F1_0\n0", "broken number"},
           {"L0x10L\n0", "broken number"},
           {"S'\\x4'\n0", "broken string"},
           {"](I1\nI2\nu0", "keys are set in a value of type list"},
           {"]Nb0", "a state is given to a value of type list"},
           {Bytes("\x96\1\0\0\0\0\0\0\0xI1\na0"), "appended to a value"},
           {"\x82\x01"
            "0",
            "extension code"},
           {Bytes("\x95\xff\0\0\0\0\0\0\0"), "truncated"},
       }) {
    SCOPED_TRACE(absl::CHexEscape(test.before));
    const std::string pickle = absl::StrCat(test.before, "cm\nf\n)R.");
    EXPECT_FALSE(ReadPickle(pickle).ok());
    const PickleRun run = RunPickle(pickle);
    EXPECT_TRUE(run.status.ok()) << run.status;
    EXPECT_EQ(run.graph.calls().size(), 1);
    EXPECT_EQ(run.graph.consumed(), pickle.size());
  }
  // And what cannot go on says where, with all that was before.
  const PickleRun run = RunPickle("cm\nf\n)R0\xff.");
  ExpectError(run.status, kDataLoss, "byte 8: no instruction has the code");
  EXPECT_EQ(run.graph.root(), kNoNode);
  EXPECT_EQ(run.graph.calls().size(), 1);
}

TEST(PickleMachineTest, LimitsHold) {
  PickleLimits limits;
  limits.bytes = 100;
  limits.opcodes = 30;
  limits.values = 10;
  limits.stack = 6;
  limits.memo = 2;
  limits.string_bytes = 5;
  limits.integer_bytes = 4;
  const auto read = [&](absl::string_view pickle) {
    return ReadPickle(std::string(pickle), limits);
  };
  ExpectError(read(std::string(101, 'N')), kDataLoss, "limit of 100");
  ExpectError(read("NNNNNNN."), kDataLoss, "the stack exceeds the limit of 6");
  ExpectError(read("(((((((."), kDataLoss, "the stack exceeds the limit of 6");
  ExpectError(read("N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0N0."), kDataLoss,
              "byte 30: the number of instructions exceeds the limit of 30");
  ExpectError(read("]0]0]0]0]0]0]0]0]0]0]."), kDataLoss, "limit of 10");
  ExpectError(read("Nq\x01q\x02q\x03."), kDataLoss,
              "the memo exceeds the limit of 2");
  EXPECT_TRUE(read("Nq\x01q\x02q\x01.").ok());
  ExpectError(read("U\x06"
                   "abcdef."),
              kDataLoss, "the size of a string exceeds the limit of 5");
  ExpectError(read("Vabcdef\n."), kDataLoss, "limit of 5");
  PickleLimits small;
  small.memory = 2000;
  ExpectError(ReadPickle(std::string(1000, ']') + ".", small), kDataLoss,
              "its values take more memory than the limit of 2000");
  ExpectError(read("\x8a\x05"
                   "abcde."),
              kDataLoss, "the size of a number exceeds the limit of 4");
  ExpectError(read("I12345\n."), kDataLoss, "limit of 4");
  // Values without content exist once and do not count twice.
  EXPECT_TRUE(read("N0N0)0)0\x88"
                   "0\x88"
                   "0N.")
                  .ok());
}

TEST(PickleMachineTest, ValuesMayContainThemselves) {
  // l = []; l.append(l)
  auto graph = ReadPickle(
      "]q\x01h\x01"
      "a.");
  ASSERT_TRUE(graph.ok());
  ASSERT_EQ(graph->Items(graph->root()).size(), 1);
  EXPECT_EQ(graph->Items(graph->root())[0], graph->root());
}

TEST(PickleMachineTest, SharedValuesTakeNoRoom) {
  // Forty lists, each of which holds the one before twice: 2^40 leaves.
  std::string pickle = "]";
  for (int i = 0; i < 40; ++i) absl::StrAppend(&pickle, "2\x86");
  auto graph = ReadPickle(pickle + ".");
  ASSERT_TRUE(graph.ok());
  EXPECT_LT(graph->size(), 100);
}

TEST(PickleMachineTest, DepthCostsNoStack) {
  // Lists in lists: more than any call stack takes.
  std::string pickle(900'000, ']');
  pickle.append(899'999, 'a');
  for (const std::string& end : {std::string("."), std::string("a.")}) {
    auto graph = ReadPickle(pickle + end);
    EXPECT_EQ(graph.ok(), end == ".");
  }
  // Tuples, which grow from the inside.
  std::string tuples = "N";
  for (int i = 0; i < 1'000'000; ++i) tuples.push_back('\x85');
  EXPECT_TRUE(ReadPickle(tuples + ".").ok());
}

// A pickle with everything that a checkpoint has.
std::string Checkpoint() {
  return PickleBuilder()
      .OrderedDict()
      .Put(1)
      .Mark()
      .Str("w")
      .Tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1})
      .Str("b")
      .Tensor("HalfStorage", "1", 2, 0, {2}, {1}, "conj")
      .Str("epoch")
      .Int(-70000)
      .SetItems()
      .Dict()
      .Str("_metadata")
      .Get(1)
      .Op(PickleOp::kSetItem)
      .Op(PickleOp::kBuild)
      .Build();
}

TEST(PickleMachineTest, TruncatedAnywhere) {
  testing::ForEachTruncation(Checkpoint(), [](std::string bad, size_t) {
    ExpectError(ReadPickle(std::move(bad)), kDataLoss, "truncated");
  });
}

TEST(PickleMachineTest, OneByteChangedAnywhere) {
  int refused = 0;
  testing::ForEachChangedByte(Checkpoint(), [&](std::string bad, size_t) {
    const auto graph = ReadPickle(std::move(bad));
    if (graph.ok()) return;
    ++refused;
    EXPECT_EQ(graph.status().message().find('\n'), absl::string_view::npos);
  });
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace monoquant
