// Guards: which tensors of a pickle are found, under which names, in which
// order; the choice of the root; what is said about everything else; and that
// cycles, sharing and depth end.

#include "frontends/torch/state_dict.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/torch/root.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::PickleBuilder;

absl::StatusOr<StateDict> Find(const PickleBuilder& pickle,
                               absl::string_view root = "") {
  auto graph = ReadPickle(pickle.Build());
  if (!graph.ok()) return graph.status();
  return FindStateDict(*graph, root);
}

// "root: name=storage ...", or the error.
std::string Names(const PickleBuilder& pickle, absl::string_view root = "") {
  const auto found = Find(pickle, root);
  if (!found.ok()) return found.status().ToString();
  return absl::StrCat(
      found->root, ": ",
      absl::StrJoin(
          found->tensors, " ", [](std::string* out, const NamedTensor& tensor) {
            absl::StrAppend(out, tensor.name, "=", tensor.tensor.storage_key);
          }));
}

// A tensor of four floats in storage `key`.
PickleBuilder& Four(PickleBuilder& pickle, absl::string_view key) {
  return pickle.Tensor("FloatStorage", key, 4, 0, {2, 2}, {2, 1});
}

// {"w": storage key}.
PickleBuilder& Weights(PickleBuilder& pickle, absl::string_view key) {
  return Four(pickle.Dict().Mark().Str("w"), key).SetItems();
}

// An object of class my.Net whose state is the dict that `attributes` writes.
template <typename Attributes>
PickleBuilder& Object(PickleBuilder& pickle, absl::string_view name,
                      Attributes attributes) {
  pickle.Global("my", name).Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj);
  attributes(pickle.Dict().Mark());
  return pickle.SetItems().Op(PickleOp::kBuild);
}

TEST(StateDictTest, FlatDict) {
  PickleBuilder p;
  p.OrderedDict().Mark();
  Four(p.Str("a.weight"), "0");
  Four(p.Str("a.bias"), "1");
  p.Str("epoch").Int(3).Str("none").None();
  p.SetItems();
  EXPECT_EQ(Names(p), ": a.weight=0 a.bias=1");
  EXPECT_THAT(Find(p)->notes,
              ElementsAre("no tensors, left out: 'epoch' (int)"));
}

TEST(StateDictTest, NamesOfNestedValues) {
  PickleBuilder p;
  p.Dict().Mark();
  p.Str("list").Op(PickleOp::kEmptyList).Mark();
  Four(p, "0");
  Weights(p, "1");
  p.Op(PickleOp::kAppends);
  p.Int(7);
  Weights(p, "2");
  p.Str("tuple");
  Four(p, "3").Op(PickleOp::kTuple1);
  p.SetItems();
  EXPECT_EQ(Names(p), ": list.0=0 list.1.w=1 7.w=2 tuple.0=3");
}

TEST(StateDictTest, BareTensor) {
  PickleBuilder p;
  Four(p, "0");
  EXPECT_EQ(Names(p), ": tensor=0");
}

TEST(StateDictTest, AKeySetAgainKeepsItsPlace) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("a"), "0");
  Four(p.Str("b"), "1");
  Four(p.Str("a"), "2");
  p.SetItems();
  EXPECT_EQ(Names(p), ": a=2 b=1");
}

TEST(StateDictTest, KeysThatAreNoNames) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("a"), "0");
  Four(p.Op(PickleOp::kEmptyTuple), "1");
  p.SetItems();
  EXPECT_EQ(Names(p), ": a=0");
  EXPECT_THAT(Find(p)->notes, Contains(HasSubstr("whose key is no name")));
}

TEST(StateDictTest, AKeyOfManyBytesIsNoName) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str(std::string(5000, 'x')), "0");
  Four(p.Str(std::string(4000, 'y')), "1");
  p.SetItems();
  EXPECT_EQ(Names(p), absl::StrCat(": ", std::string(4000, 'y'), "=1"));
  EXPECT_THAT(Find(p)->notes, Contains(HasSubstr("whose key is no name")));
}

TEST(StateDictTest, GuessesTheRoot) {
  for (const char* name :
       {"state_dict", "model", "model_state_dict", "model_state", "module",
        "net", "params", "params_ema", "weights", "generator", "ema"}) {
    PickleBuilder p;
    p.Dict().Mark().Str("epoch").Int(3);
    Weights(p.Str("other"), "0");
    Weights(p.Str(name), "1");
    p.SetItems();
    EXPECT_EQ(Names(p), absl::StrCat(name, ": w=1"));
    EXPECT_THAT(Find(p)->notes,
                Contains(HasSubstr(absl::StrCat(
                    "the weights are those in '", name,
                    "'; left out beside it: 'epoch' (int), 'other' (dict of 1 "
                    "with 1 tensors); choose another part with --root"))));
  }
}

TEST(StateDictTest, TheFirstCustomaryNameWins) {
  PickleBuilder p;
  p.Dict().Mark();
  Weights(p.Str("model"), "0");
  Weights(p.Str("state_dict"), "1");
  p.SetItems();
  EXPECT_EQ(Names(p), "state_dict: w=1");
}

TEST(StateDictTest, ACustomaryNameWithoutTensorsIsNoRoot) {
  PickleBuilder p;
  p.Dict().Mark().Str("model").Str("resnet18").Str("params").Dict();
  Four(p.Str("weights"), "0");
  Weights(p.Str("backbone"), "1");
  p.SetItems();
  EXPECT_EQ(Names(p), ": weights=0 backbone.w=1");
}

TEST(StateDictTest, RootsNest) {
  PickleBuilder p;
  p.Dict().Mark().Str("model").Dict().Mark();
  Weights(p.Str("state_dict"), "0");
  p.Str("config").Int(1).SetItems().SetItems();
  EXPECT_EQ(Names(p), "model.state_dict: w=0");

  // A dict with tensors of its own is the state dict.
  PickleBuilder q;
  q.Dict().Mark().Str("model").Dict().Mark();
  Four(q.Str("scale"), "0");
  Weights(q.Str("net"), "1");
  q.SetItems().SetItems();
  EXPECT_EQ(Names(q), "model: scale=0 net.w=1");
}

TEST(StateDictTest, RootByOption) {
  PickleBuilder p;
  p.Dict().Mark();
  Weights(p.Str("model"), "0");
  Weights(p.Str("optimizer"), "1");
  p.Str("a.b").Dict().Mark();
  Weights(p.Str("c"), "2");
  p.SetItems().Str("a").Op(PickleOp::kEmptyList).Mark();
  Weights(p, "3");
  p.Op(PickleOp::kAppends).SetItems();
  EXPECT_EQ(Names(p), "model: w=0");
  EXPECT_EQ(Names(p, "optimizer"), "optimizer: w=1");
  EXPECT_EQ(Names(p, "a.b.c"), "a.b.c: w=2");
  EXPECT_EQ(Names(p, "a.b"), "a.b: c.w=2");
  EXPECT_EQ(Names(p, "a.0"), "a.0: w=3");
  EXPECT_EQ(Names(p, "."), ": model.w=0 optimizer.w=1 a.b.c.w=2 a.0.w=3");
  for (const char* missing : {"x", "model.x", "a.b.", "mode", ".model"}) {
    ExpectError(Find(p, missing), absl::StatusCode::kInvalidArgument,
                absl::StrCat("there is nothing called '", missing,
                             "' in it; its top level has 'model', "
                             "'optimizer', 'a.b', 'a'"));
  }
}

TEST(StateDictTest, TrainingStateIsLeftOut) {
  PickleBuilder p;
  p.Dict().Mark();
  Weights(p.Str("encoder"), "0");
  for (const char* name : {"optimizer", "optimizer_states", "lr_schedulers",
                           "rng_states", "amp", "loops", "callbacks"}) {
    Weights(p.Str(name), "1");
  }
  Weights(p.Str("amplifier"), "2");
  Four(p.Str("optimizer.weight"), "3");
  p.SetItems();
  EXPECT_EQ(Names(p), ": encoder.w=0 amplifier.w=2 optimizer.weight=3");
  EXPECT_THAT(Find(p)->notes,
              Contains(HasSubstr("training state is left out: 'optimizer'")));
}

TEST(StateDictTest, NothingButTrainingState) {
  PickleBuilder p;
  p.Dict().Mark().Str("epoch").Int(1);
  Weights(p.Str("optimizer"), "0");
  p.SetItems();
  EXPECT_EQ(Names(p), ": optimizer.w=0");
  EXPECT_THAT(Find(p)->notes,
              Contains("there is nothing but training state in it"));
}

TEST(StateDictTest, PickledModule) {
  PickleBuilder p;
  Object(p, "Net", [](PickleBuilder& net) {
    net.Str("training").Bool(true);
    net.Str("_modules").Dict().Mark().Str("fc");
    Object(net, "layers.Linear", [](PickleBuilder& fc) {
      fc.Str("_parameters").Dict().Mark();
      Four(fc.Str("weight"), "1");
      fc.Str("bias").None().SetItems();
      fc.Str("_buffers").Dict().Str("_modules").Dict();
    });
    net.Str("empty").None().SetItems();
    net.Str("_parameters").Dict().Mark();
    Four(net.Str("scale"), "0");
    net.SetItems().Str("_buffers").Dict().Mark();
    Four(net.Str("kept"), "2");
    Four(net.Str("temporary"), "3");
    net.SetItems();
    net.Str("_non_persistent_buffers_set").Global("builtins", "set");
    net.Op(PickleOp::kEmptyList).Str("temporary").Op(PickleOp::kAppend);
    net.Op(PickleOp::kTuple1).Reduce();
    Four(net.Str("plain_attribute"), "4");
  });
  // Parameters, buffers, then modules, whatever the order of the pickle.
  EXPECT_EQ(Names(p), ": scale=0 kept=2 fc.weight=1");
  const auto found = Find(p);
  EXPECT_EQ(found->tensors[0].module_kind, "Net");
  EXPECT_EQ(found->tensors[2].module_kind, "Linear");
  EXPECT_THAT(found->notes,
              ElementsAre("classes that were neither needed nor executed: "
                          "'my.layers.Linear', 'my.Net'",
                          HasSubstr("no other attributes")));
}

TEST(StateDictTest, ObjectsOfUnknownClasses) {
  PickleBuilder p;
  p.Dict().Mark().Str("x");
  Object(p, "Wrapper", [](PickleBuilder& object) {
    Four(object.Str("data"), "0");
    object.Str("version").Int(1);
  });
  p.Str("pair").Global("my", "Pair").Mark();
  Four(p, "1").Int(5).Tuple().Op(PickleOp::kNewObj);
  p.Str("config");
  Object(p, "Config", [](PickleBuilder& object) {
    object.Str("lr").Int(1).Str("steps").Int(2);
  });
  p.SetItems();
  EXPECT_EQ(Names(p), ": x.data=0 pair.0=1");
  EXPECT_THAT(Find(p)->notes,
              Contains(HasSubstr("left out: 'x.version' (int), 'pair.1' (int), "
                                 "'config' ('my.Config')")));
}

TEST(StateDictTest, ObjectsWithSlots) {
  // What pickle makes of __slots__: (attributes or None, slots).
  PickleBuilder p;
  p.Dict().Mark();
  for (const bool with_attributes : {false, true}) {
    p.Str(with_attributes ? "both" : "slots").Global("my", "Pair");
    p.Op(PickleOp::kEmptyTuple).Op(PickleOp::kNewObj);
    if (with_attributes) {
      Weights(p, "0");
    } else {
      p.None();
    }
    Four(p.Dict().Mark().Str("left"), "1").SetItems();
    p.Op(PickleOp::kTuple2).Op(PickleOp::kBuild);
  }
  p.SetItems();
  EXPECT_EQ(Names(p), ": slots.left=1 both.w=0 both.left=1");
}

TEST(StateDictTest, ModulesOfTorchFx) {
  // A call with the module's attributes, instead of an object with a state.
  PickleBuilder p;
  p.Global("torch.fx.graph_module", "reduce_graph_module").Dict().Mark();
  p.Str("_parameters").Dict().Mark();
  Four(p.Str("weight"), "0").SetItems();
  p.Str("_buffers").Dict().Str("_modules").Dict().SetItems();
  p.Str("import torch").Op(PickleOp::kTuple2).Reduce();
  // Python would run the source code that comes with it.
  EXPECT_FALSE(Find(p).ok());
  const auto graph = ReadPickle(p.Build(), {}, OpaqueCalls::kAllow);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto found = FindStateDict(*graph, "");
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->tensors.size(), 1u);
  EXPECT_EQ(found->tensors[0].name, "weight");
}

TEST(StateDictTest, TorchScriptLists) {
  PickleBuilder p;
  p.Dict().Mark().Str("list").Global("torch.jit._pickle", "build_tensorlist");
  p.Op(PickleOp::kEmptyList).Mark();
  Four(p, "0");
  p.Op(PickleOp::kAppends).Op(PickleOp::kTuple1).Reduce();
  p.Str("tagged").Global("torch.jit._pickle", "restore_type_tag");
  Weights(p, "1").Str("Dict[str, Tensor]").Op(PickleOp::kTuple2).Reduce();
  p.SetItems();
  EXPECT_EQ(Names(p), ": list.0=0 tagged.w=1");
}

TEST(StateDictTest, DequesThatAreFilledLater) {
  PickleBuilder p;
  p.Dict().Mark().Str("last").Global("collections", "deque");
  p.Op(PickleOp::kEmptyTuple).Int(5).Op(PickleOp::kTuple2).Reduce().Mark();
  Four(p, "0");
  Four(p, "1").Op(PickleOp::kAppends).SetItems();
  EXPECT_EQ(Names(p), ": last.0=0 last.1=1");
}

TEST(StateDictTest, ParametersSubclassesAndParts) {
  PickleBuilder p;
  p.Dict().Mark();
  p.Str("p").Global("torch._utils", "_rebuild_parameter");
  Four(p, "0").Bool(true).OrderedDict().Op(PickleOp::kTuple3).Reduce();
  p.Str("q").Global("torch._utils", "_rebuild_parameter_with_state").Mark();
  Four(p, "1").Bool(true).OrderedDict();
  Four(p.Dict().Mark().Str("scale"), "2").SetItems().Tuple().Reduce();
  p.Str("s").Global("torch._tensor", "_rebuild_from_type_v2").Mark();
  p.Global("torch._utils", "_rebuild_tensor_v2").Global("my", "Sub").Mark();
  p.Storage("FloatStorage", "3", 4).Int(0).IntTuple({4}).IntTuple({1});
  p.Bool(false).OrderedDict().Tuple().Dict().Tuple().Reduce();
  p.Str("sparse").Global("torch._utils", "_rebuild_sparse_tensor");
  p.Global("torch.serialization", "_get_layout").Str("torch.sparse_coo");
  p.Op(PickleOp::kTuple1).Reduce().Mark();
  Four(p, "4");
  Four(p, "5").IntTuple({2, 2}).Tuple().Op(PickleOp::kTuple2).Reduce();
  p.Str("meta").Global("torch._utils", "_rebuild_meta_tensor_no_storage");
  p.Mark().Global("torch", "float32").IntTuple({2}).IntTuple({1}).Bool(false);
  p.Tuple().Reduce();
  p.SetItems();
  EXPECT_EQ(Names(p),
            ": p=0 q=1 q.scale=2 s=3 sparse.indices=4 sparse.values=5");
  EXPECT_THAT(
      Find(p)->notes,
      ElementsAre("tensors without data (of the meta device) are left out: "
                  "'meta'",
                  "tensors made of others are read as their parts: 'sparse' "
                  "(sparse)"));
}

TEST(StateDictTest, SubclassesMadeByUnknownFunctions) {
  // The attributes are what counts; the arguments repeat some of them.
  PickleBuilder p;
  p.Dict().Mark().Str("n");
  p.Global("torch._tensor", "_rebuild_from_type_v2").Mark();
  p.Global("my", "_rebuild_jagged").Global("my", "Jagged");
  Weights(p, "0").Op(PickleOp::kTuple1);
  Four(p.Dict().Mark().Str("_values"), "0").SetItems();
  p.Tuple().Reduce().SetItems();
  EXPECT_EQ(Names(p), ": n._values=0");
}

TEST(StateDictTest, NewTypesComeAsUntypedStorages) {
  PickleBuilder p;
  p.Global("torch._utils", "_rebuild_tensor_v3").Mark();
  p.Mark().Str("storage").Global("torch.storage", "UntypedStorage").Str("0");
  p.Str("cpu").Int(6).Tuple().Op(PickleOp::kBinPersId);
  p.Int(0).IntTuple({3}).IntTuple({1}).Bool(false).OrderedDict();
  p.Global("torch", "uint16").Tuple().Reduce();
  const auto found = Find(p);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->tensors[0].tensor.dtype, DType::kU16);
  EXPECT_EQ(found->tensors[0].tensor.storage_bytes, 6);
}

TEST(StateDictTest, MalformedTensors) {
  const auto named = [](auto write) {
    PickleBuilder p;
    p.Dict().Mark().Str("x");
    write(p);
    return p.SetItems();
  };
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Global("torch._utils", "_rebuild_tensor_v2")
                    .IntTuple({1, 2})
                    .Reduce();
              })),
              absl::StatusCode::kDataLoss,
              "tensor 'x': a call of _rebuild_tensor_v2 with 2 arguments");
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Tensor("FloatStorage", "0", -1, 0, {1}, {1});
              })),
              absl::StatusCode::kDataLoss, "malformed reference to a storage");
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Tensor("FloatStorage", "0", 1, -1, {1}, {1});
              })),
              absl::StatusCode::kDataLoss, "malformed offset, size or stride");
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Tensor("FloatStorage", "0", 1, 0, std::vector<int64_t>(65, 1),
                         std::vector<int64_t>(65, 1));
              })),
              absl::StatusCode::kDataLoss, "of at most 64 dimensions");
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Global("torch._utils", "_rebuild_parameter_with_state");
                Four(p.Mark(), "0").Bool(true).OrderedDict().Dict().Mark();
                for (int i = 0; i < 10'001; ++i) {
                  p.Str(absl::StrCat(i)).None();
                }
                p.SetItems().Tuple().Reduce();
              })),
              absl::StatusCode::kDataLoss,
              "more attributes than the limit of 10000");
  ExpectError(Find(named([](PickleBuilder& p) {
                p.Tensor("SpecialStorage", "0", 1, 0, {1}, {1});
              })),
              absl::StatusCode::kUnimplemented,
              "storage class 'torch.SpecialStorage' is not known");
}

TEST(StateDictTest, NamesMustBeUtf8) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("a\xff"), "0");
  p.SetItems();
  ExpectError(Find(p), absl::StatusCode::kDataLoss,
              "tensor 'a\\xff': its name is no UTF-8");
}

TEST(StateDictTest, CyclesEnd) {
  PickleBuilder p;
  p.Dict().Put(1).Mark();
  Four(p.Str("w"), "0");
  p.Str("self").Get(1).SetItems();
  EXPECT_EQ(Names(p), ": w=0");
  EXPECT_THAT(Find(p)->notes, Contains("contain themselves: 'self'"));

  // A root that contains itself, under a name that is looked for.
  PickleBuilder q;
  q.Dict().Put(1).Mark();
  Weights(q.Str("x"), "0");
  q.Str("model").Get(1).SetItems();
  EXPECT_TRUE(Find(q).ok());
  EXPECT_FALSE(Find(q, "model.model.model.y").ok());
}

TEST(StateDictTest, ATensorUnderTwoNamesIsFoundTwice) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("a"), "0").Put(1);
  p.Str("b").Get(1).SetItems();
  EXPECT_EQ(Names(p), ": a=0 b=0");
}

TEST(StateDictTest, SharedValuesWithoutTensorsTakeNoTime) {
  // 2^60 leaves, none of them a tensor.
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("w"), "0");
  p.Str("laughs").Op(PickleOp::kEmptyList);
  for (int i = 0; i < 60; ++i) {
    p.Op(PickleOp::kDup).Op(PickleOp::kTuple2);
  }
  p.SetItems();
  EXPECT_EQ(Names(p), ": w=0");
}

TEST(StateDictTest, SharedTensorsAreLimited) {
  PickleBuilder p;
  Four(p, "0");
  for (int i = 0; i < 40; ++i) {
    p.Op(PickleOp::kDup).Op(PickleOp::kTuple2);
  }
  StateDictLimits limits;
  limits.index.tensors = 5000;
  const auto graph = ReadPickle(p.Build());
  ASSERT_TRUE(graph.ok());
  ExpectError(FindStateDict(*graph, "", limits), absl::StatusCode::kDataLoss,
              "more tensors than the limit of 5000");
  limits.index = {};
  limits.index.name_bytes = 100'000;
  ExpectError(FindStateDict(*graph, "", limits), absl::StatusCode::kDataLoss,
              "the names of the tensors exceed the limit of 100000 bytes");
}

TEST(StateDictTest, WorkIsLimited) {
  // A list of 1000 numbers and a tensor, 1000 times.
  PickleBuilder p;
  p.Op(PickleOp::kEmptyList).Mark().Op(PickleOp::kEmptyList).Put(1).Mark();
  for (int i = 0; i < 1000; ++i) p.Int(1);
  Four(p, "0").Op(PickleOp::kAppends);
  for (int i = 0; i < 999; ++i) p.Get(1);
  p.Op(PickleOp::kAppends);
  const auto graph = ReadPickle(p.Build());
  ASSERT_TRUE(graph.ok());
  StateDictLimits limits;
  EXPECT_TRUE(FindStateDict(*graph, "", limits).ok());
  limits.revisits = 900'000;
  ExpectError(FindStateDict(*graph, "", limits), absl::StatusCode::kDataLoss,
              "more entries than the limit of 900000");
}

TEST(StateDictTest, AttributesOfTensorsAreLimited) {
  // Ten parameters that share a dict of a hundred attributes.
  PickleBuilder p;
  p.Op(PickleOp::kEmptyDict).Put(1).Mark();
  for (int i = 0; i < 100; ++i) p.Str(absl::StrCat("a", i)).Int(1);
  p.Op(PickleOp::kSetItems).Op(PickleOp::kPop);
  p.Op(PickleOp::kEmptyList).Mark();
  for (int i = 0; i < 10; ++i) {
    p.Global("torch._utils", "_rebuild_parameter_with_state").Mark();
    Four(p, "0").Op(PickleOp::kNewTrue).Op(PickleOp::kEmptyDict).Get(1);
    p.Op(PickleOp::kTuple).Op(PickleOp::kReduce);
  }
  p.Op(PickleOp::kAppends);
  const auto graph = ReadPickle(p.Build());
  ASSERT_TRUE(graph.ok()) << graph.status();
  StateDictLimits limits;
  EXPECT_TRUE(FindStateDict(*graph, "", limits).ok());
  limits.attributes = 999;
  ExpectError(FindStateDict(*graph, "", limits), absl::StatusCode::kDataLoss,
              "tensors have more attributes than the limit of 999");
}

TEST(StateDictTest, EntriesThatAreOpenAtOnceAreLimited) {
  // Lists of 1000 numbers, each in the next.
  PickleBuilder p;
  for (int depth = 0; depth < 20; ++depth) {
    p.Op(PickleOp::kEmptyList).Mark();
    for (int i = 0; i < 1000; ++i) p.Int(1);
  }
  Four(p, "0");
  for (int depth = 0; depth < 20; ++depth) p.Op(PickleOp::kAppends);
  const auto graph = ReadPickle(p.Build());
  ASSERT_TRUE(graph.ok());
  StateDictLimits limits;
  EXPECT_TRUE(FindStateDict(*graph, "", limits).ok());
  limits.open_entries = 15'000;
  ExpectError(FindStateDict(*graph, "", limits), absl::StatusCode::kDataLoss,
              "have more entries than the limit of 15000");
}

TEST(StateDictTest, LargeListsAreNotLookedInto) {
  PickleBuilder p;
  p.Dict().Mark();
  Four(p.Str("w"), "0");
  p.Str("losses").Op(PickleOp::kEmptyList);
  const std::string nones(900'000, 'N');
  p.Mark().Raw(nones).Op(PickleOp::kAppends);
  p.Mark().Raw(nones).Op(PickleOp::kAppends).SetItems();
  EXPECT_EQ(Names(p), ": w=0");
  EXPECT_THAT(Find(p)->notes,
              ElementsAre("too large to look into, left out: 'losses' (list of "
                          "1800000)"));
}

TEST(StateDictTest, DepthIsLimited) {
  for (const bool with_tensor : {false, true}) {
    PickleBuilder p;
    if (with_tensor) {
      Four(p, "0");
    } else {
      p.None();
    }
    for (int i = 0; i < 100'000; ++i) p.Op(PickleOp::kTuple1);
    ExpectError(Find(p), absl::StatusCode::kDataLoss,
                "nested deeper than the limit of 1000");
  }
}

TEST(StateDictTest, OneByteChangedAnywhere) {
  PickleBuilder p;
  p.Dict().Mark().Str("epoch").Int(3);
  Weights(p.Str("model"), "0");
  p.Str("x");
  Object(p, "Net", [](PickleBuilder& net) {
    net.Str("_parameters").Dict().Str("_buffers").Dict();
    net.Str("_modules").Dict();
  });
  p.SetItems();
  testing::ForEachChangedByte(p.Build(), [](std::string bad, size_t) {
    const auto graph = ReadPickle(std::move(bad));
    if (!graph.ok()) return;
    for (const char* root : {"", ".", "model.w"}) {
      const auto found = FindStateDict(*graph, root);
      if (found.ok()) continue;
      EXPECT_EQ(found.status().message().find('\n'), absl::string_view::npos);
    }
  });
}

}  // namespace
}  // namespace monoquant
