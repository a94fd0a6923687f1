// Guards: the C ABI as native code, with a host in memory. Everything that it
// promises about handles, texts, errors and reads; that the module built from
// it behaves the same is tested under Node.

#include "wasm/monoquant_c.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"
#include "wasm/testing/fake_host.h"

namespace monoquant {
namespace {

using ::monoquant::testing::FakeHost;
using ::monoquant::testing::GetFakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json Text() {
  const auto json = ParseJson(std::string(mq_text(), mq_text_size()));
  EXPECT_TRUE(json.ok()) << json.status() << " " << mq_text();
  return json.ok() ? *json : Json();
}

// The text at a path of member names, or what is there instead.
std::string At(const Json& json, const std::vector<std::string>& path) {
  const Json* at = &json;
  for (const std::string& key : path) {
    at = at->Find(key);
    if (at == nullptr) return "absent";
  }
  const std::string* text = at->AsString();
  return text != nullptr ? *text : at->ToString();
}

std::string ErrorCode() { return At(Text(), {"code"}); }
std::string ErrorMessage() { return At(Text(), {"message"}); }

std::string Little64(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

// A safetensors file of one F32 matrix "w" of `rows` x 64.
std::string MatrixFile(int rows) {
  const int bytes = rows * 64 * 4;
  std::string header = absl::StrCat(
      R"({"w":{"dtype":"F32","shape":[)", rows, R"(,64],"data_offsets":[0,)",
      bytes, R"(]},"b":{"dtype":"F32","shape":[2],"data_offsets":[)", bytes,
      ",", bytes + 8, "]}}");
  std::string data(bytes + 8, '\0');
  for (int i = 0; i < rows * 64 + 2; ++i) {
    const float value = static_cast<float>((i * 37) % 101 - 50);
    memcpy(&data[4 * i], &value, 4);
  }
  return Little64(header.size()) + header + data;
}

class MonoquantCTest : public ::testing::Test {
 protected:
  MonoquantCTest() { GetFakeHost() = FakeHost(); }

  uint32_t Open(const std::string& request) {
    return mq_open(request.data(), static_cast<uint32_t>(request.size()));
  }

  // One file under the number 3.
  uint32_t OpenFile(const std::string& bytes,
                    const std::string& name = "m.safetensors") {
    GetFakeHost().sources[3] = bytes;
    return Open(absl::StrCat(R"({"path":")", name, R"(","main":")", name,
                             R"(","files":[{"name":")", name, R"(","size":)",
                             bytes.size(), R"(,"source":3}]})"));
  }

  uint32_t Plan(uint32_t checkpoint, const std::string& request) {
    return mq_plan(checkpoint, request.data(),
                   static_cast<uint32_t>(request.size()));
  }

  // Steps to the end; the number of steps, or -1.
  int Run(uint32_t job) {
    for (int steps = 0;; ++steps) {
      const int32_t more = mq_step(job);
      if (more <= 0) return more < 0 ? -1 : steps;
    }
  }

  // The output of a request.
  std::string Output(const std::string& file, const std::string& request,
                     uint32_t chunk_bytes = 0) {
    const uint32_t checkpoint = OpenFile(file);
    const uint32_t plan = Plan(checkpoint, request);
    EXPECT_NE(plan, 0u) << mq_text();
    const uint32_t job = mq_start(plan, 9, chunk_bytes);
    EXPECT_NE(job, 0u) << mq_text();
    EXPECT_GE(Run(job), 0) << mq_text();
    EXPECT_TRUE(GetFakeHost().sinks[9].committed);
    for (uint32_t handle : {job, plan, checkpoint}) mq_close(handle);
    std::string bytes = std::move(GetFakeHost().sinks[9].bytes);
    GetFakeHost().sinks.clear();
    return bytes;
  }
};

TEST_F(MonoquantCTest, AboutListsTheFormats) {
  mq_about();
  const Json json = Text();
  EXPECT_NE(At(json, {"version"}), "absent");
  EXPECT_THAT(At(json, {"formats"}), HasSubstr(R"("name":"safetensors")"));
  EXPECT_THAT(At(json, {"formats"}),
              HasSubstr(R"({"name":"mqir","directory":false,)"));
  EXPECT_THAT(At(json, {"formats"}),
              HasSubstr(R"({"name":"gptq","directory":true,)"));
  EXPECT_THAT(At(json, {"containers"}), HasSubstr("safetensors"));
}

TEST_F(MonoquantCTest, ACheckpointIsDescribedFromItsIndex) {
  const uint32_t checkpoint = OpenFile(MatrixFile(1000));
  ASSERT_NE(checkpoint, 0u) << mq_text();
  ASSERT_EQ(mq_describe(checkpoint), 0);
  const Json json = Text();
  EXPECT_EQ(At(json, {"schema"}), "monoquant/inspect/1");
  EXPECT_EQ(At(json, {"path"}), "m.safetensors");
  EXPECT_EQ(At(json, {"container"}), "safetensors");
  EXPECT_EQ(At(json, {"tensors"}),
            R"([{"name":"w","dtype":"F32","shape":[1000,64],"bytes":256000},)"
            R"({"name":"b","dtype":"F32","shape":[2],"bytes":8}])");
  EXPECT_LE(GetFakeHost().reads, 2) << "index only, through the cache";
  mq_close(checkpoint);
}

TEST_F(MonoquantCTest, AnyChunkSizeGivesTheSameOutput) {
  const std::string file = MatrixFile(3000);
  for (const char* format : {"torch", "safetensors", "mqir"}) {
    const std::string request =
        absl::StrCat(R"({"recipe":{"defaults":{"format":"int8"}},"format":")",
                     format, "\"}");
    const std::string whole = Output(file, request);
    EXPECT_EQ(Output(file, request, 65536), whole) << format;
    EXPECT_LT(whole.size(), file.size() / 3);
  }
}

TEST_F(MonoquantCTest, ThePlanTellsTheSizeOfTheOutput) {
  const std::string file = MatrixFile(50);
  const uint32_t checkpoint = OpenFile(file);
  const uint32_t plan = Plan(checkpoint, R"({"format":"torch"})");
  ASSERT_NE(plan, 0u) << mq_text();
  ASSERT_EQ(mq_describe(plan), 0);
  const Json json = Text();
  EXPECT_EQ(At(json, {"settled"}), "true");
  EXPECT_EQ(At(json, {"output", "format"}), "torch");
  const int64_t* memory = json.Find("peak_memory")->AsInt();
  ASSERT_NE(memory, nullptr);
  EXPECT_GT(*memory, 50 * 64 * 4);
  EXPECT_LT(*memory, 8 << 20) << "for a few kilobytes";
  const std::string output = Output(file, R"({"format":"torch"})");
  EXPECT_EQ(At(json, {"output", "bytes"}), absl::StrCat(output.size()));
}

TEST_F(MonoquantCTest, QuantizedAndBack) {
  const std::string file = MatrixFile(100);
  const std::string small = Output(file, R"({"format":"mqir"})");
  const std::string back = Output(
      small, R"({"mode":"dequantize","dtype":"F32","format":"safetensors"})");
  const uint32_t checkpoint = OpenFile(back);
  ASSERT_EQ(mq_describe(checkpoint), 0);
  EXPECT_THAT(
      mq_text(),
      HasSubstr(R"("name":"w","dtype":"F32","shape":[100,64],"bytes":25600)"));
  // Conversion keeps codes and record.
  const std::string converted =
      Output(small, R"({"mode":"convert","format":"torch"})");
  EXPECT_EQ(converted, Output(file, R"({"format":"torch"})"));
  EXPECT_EQ(Output(converted, R"({"mode":"dequantize","dtype":"F32",)"
                              R"("format":"safetensors"})"),
            back);
}

TEST_F(MonoquantCTest, ResultsComeWhenTheJobIsComplete) {
  const uint32_t checkpoint = OpenFile(MatrixFile(3000));
  const uint32_t plan = Plan(checkpoint, R"({"format":"safetensors"})");
  const uint32_t job = mq_start(plan, 1, 65536);
  ASSERT_NE(job, 0u) << mq_text();
  // The job needs neither of them any more.
  mq_close(plan);
  mq_close(checkpoint);

  ASSERT_EQ(mq_describe(job), 0);
  EXPECT_EQ(Text().ToString(),
            R"({"complete":false,"tensor":null,"signal":0.0,"noise":0.0})");
  EXPECT_EQ(mq_bytes_done(job), 0);
  EXPECT_GE(mq_bytes_total(job), 3000 * 64 * 4);
  ASSERT_EQ(mq_step(job), 1);
  ASSERT_EQ(mq_describe(job), 0);
  EXPECT_EQ(At(Text(), {"tensor"}), "w");
  EXPECT_GT(*Text().Find("signal")->AsDouble(), 0);
  EXPECT_GT(*Text().Find("noise")->AsDouble(), 0);
  EXPECT_GT(Run(job), 5) << "one piece a step";
  EXPECT_EQ(mq_bytes_done(job), mq_bytes_total(job));
  ASSERT_EQ(mq_describe(job), 0);
  EXPECT_THAT(mq_text(),
              HasSubstr(R"({"complete":true,"tensors":[{"name":"w",)"));
  EXPECT_THAT(mq_text(), HasSubstr("sqnr_db"));
  EXPECT_EQ(mq_step(job), 0) << "complete stays complete";
  mq_close(job);
  EXPECT_EQ(mq_bytes_done(job), 0);
}

// Runs a plan in parts, each as another instance would, and joins them.
TEST_F(MonoquantCTest, PartsJoinToTheSameOutput) {
  const std::string file = MatrixFile(3000);
  for (const char* request :
       {R"({"format":"torch"})", R"({"format":"mqir"})",
        R"({"format":"safetensors","recipe":{"defaults":"int8,tensor"}})"}) {
    SCOPED_TRACE(request);
    const std::string whole = Output(file, request, 65536);
    const uint32_t checkpoint = OpenFile(file);
    const uint32_t plan = Plan(checkpoint, request);
    std::string records;
    for (const uint32_t part : {2u, 0u, 1u}) {
      const uint32_t job = mq_start_part(plan, 9, 65536, part, 3);
      ASSERT_NE(job, 0u) << mq_text();
      EXPECT_EQ(mq_records(job), -1) << "not complete";
      ASSERT_GE(Run(job), 0) << mq_text();
      ASSERT_EQ(mq_records(job), 0) << mq_text();
      records.append(mq_text(), mq_text_size());
      EXPECT_FALSE(GetFakeHost().sinks[9].committed);
      mq_close(job);
    }
    const int reads = GetFakeHost().reads;
    const uint32_t size = static_cast<uint32_t>(records.size());
    const uint32_t join = mq_join(plan, 9, 65536, records.data(), size);
    ASSERT_NE(join, 0u) << mq_text();
    EXPECT_EQ(mq_bytes_done(join), mq_bytes_total(join));
    ASSERT_GE(Run(join), 0) << mq_text();
    EXPECT_EQ(GetFakeHost().reads, reads) << "a part was done again";
    EXPECT_TRUE(GetFakeHost().sinks[9].committed);
    EXPECT_EQ(GetFakeHost().sinks[9].bytes, whole);
    ASSERT_EQ(mq_describe(join), 0);
    EXPECT_THAT(mq_text(), HasSubstr(R"("name":"w")"));
    EXPECT_EQ(mq_records(join), -1) << "no part";

    // Records that are cut are an error, missing ones are done again.
    EXPECT_EQ(mq_join(plan, 9, 65536, records.data(), size - 1), 0u);
    EXPECT_THAT(ErrorMessage(), HasSubstr("records"));
    GetFakeHost().sinks.clear();
    const uint32_t again = mq_join(plan, 9, 65536, nullptr, 0);
    ASSERT_GE(Run(again), 0) << mq_text();
    EXPECT_EQ(GetFakeHost().sinks[9].bytes, whole);
    for (uint32_t handle : {join, again, plan, checkpoint}) mq_close(handle);
    GetFakeHost().sinks.clear();
  }
}

TEST_F(MonoquantCTest, ThereIsNoPartBeyondTheLast) {
  const uint32_t plan = Plan(OpenFile(MatrixFile(50)), R"({"format":"torch"})");
  EXPECT_EQ(mq_start_part(plan, 9, 0, 3, 3), 0u);
  EXPECT_EQ(ErrorCode(), "UsageError");
  EXPECT_EQ(mq_start_part(plan, 9, 0, 0, 0), 0u);
}

TEST_F(MonoquantCTest, ASurveyComparesWithTheOutput) {
  const std::string file = MatrixFile(1000);
  const std::string small = Output(file, R"({"format":"mqir"})");
  const uint32_t original = OpenFile(file);
  GetFakeHost().sources[4] = small;
  const uint32_t quantized = Open(
      absl::StrCat(R"({"path":"q","main":"q","files":[{"name":"q","size":)",
                   small.size(), R"(,"source":4}]})"));
  ASSERT_NE(quantized, 0u) << mq_text();
  const auto survey = [&](const std::string& request) {
    return mq_survey(original, request.data(),
                     static_cast<uint32_t>(request.size()));
  };
  const uint32_t handle = survey(absl::StrCat(
      R"({"tensor":"w","bins":8,"against":{"checkpoint":)", quantized, "}}"));
  ASSERT_NE(handle, 0u) << mq_text();
  mq_close(original);
  mq_close(quantized);
  EXPECT_EQ(mq_describe(handle), -1) << "before its end";
  EXPECT_GE(Run(handle), 2) << mq_text();
  EXPECT_EQ(mq_bytes_done(handle), mq_bytes_total(handle));
  ASSERT_EQ(mq_describe(handle), 0) << mq_text();
  const Json json = Text();
  EXPECT_EQ(At(json, {"min"}), "-50.0");
  EXPECT_EQ(At(json, {"max"}), "50.0");
  EXPECT_EQ(At(json, {"against", "count"}), "64000");
  EXPECT_LT(*json.Find("error")->Find("max_abs_error")->AsDouble(), 0.3);
  mq_close(handle);

  const uint32_t checkpoint = OpenFile(file);
  const auto error = [&](const std::string& request) {
    EXPECT_EQ(mq_survey(checkpoint, request.data(),
                        static_cast<uint32_t>(request.size())),
              0u);
    return ErrorMessage();
  };
  EXPECT_THAT(error(R"({"tensor":"x"})"), HasSubstr("no tensor 'x'"));
  EXPECT_THAT(error(R"({"tensor":"w","bins":9999})"), HasSubstr("bins"));
  EXPECT_THAT(error(R"({"tensor":"w","against":{"checkpoint":77}})"),
              HasSubstr("handle 77 is no open checkpoint"));
  EXPECT_THAT(error(R"({"tensor":"w","against":{"checkpoint":77,"x":1}})"),
              HasSubstr("x"));
}

TEST_F(MonoquantCTest, AHashIsThatOfAllBytes) {
  const uint32_t hash = mq_hash();
  const uint8_t text[] = {'a', 'b', 'c'};
  EXPECT_EQ(mq_hash_add(hash, text, 1), 0);
  EXPECT_EQ(mq_hash_add(hash, text + 1, 2), 0);
  ASSERT_EQ(mq_describe(hash), 0);
  // FIPS 180-4's own example.
  EXPECT_EQ(At(Text(), {"sha256"}),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(mq_hash_add(hash, text, 1), -1);
  EXPECT_THAT(ErrorMessage(), HasSubstr("was described"));
  EXPECT_EQ(mq_describe(hash), -1);
  mq_close(hash);
}

TEST_F(MonoquantCTest, ShardsAreOpenedTogether) {
  const std::string header =
      R"({"NAME":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})";
  std::string a = header;
  a.replace(a.find("NAME"), 4, "a");
  std::string b = header;
  b.replace(b.find("NAME"), 4, "b");
  FakeHost& host = GetFakeHost();
  host.sources[0] =
      R"({"metadata":{"total_size":6},"weight_map":{"a":"1.safetensors",)"
      R"("b":"2.safetensors"}})";
  host.sources[1] = Little64(a.size()) + a + "abc";
  host.sources[2] = Little64(b.size()) + b + "xyz";
  const auto file = [&host](const char* name, uint32_t source) {
    return absl::StrCat(R"({"name":")", name, R"(","size":)",
                        host.sources[source].size(), R"(,"source":)", source,
                        "}");
  };
  const uint32_t checkpoint = Open(absl::StrCat(
      R"({"path":"dir","files":[)", file("model.safetensors.index.json", 0),
      ",", file("1.safetensors", 1), ",", file("2.safetensors", 2), "]}"));
  ASSERT_NE(checkpoint, 0u) << mq_text();
  const uint32_t plan =
      Plan(checkpoint, R"({"mode":"convert","format":"safetensors"})");
  const uint32_t job = mq_start(plan, 0, 0);
  ASSERT_GE(Run(job), 0) << mq_text();
  EXPECT_THAT(host.sinks[0].bytes, HasSubstr("abcxyz"));
}

// A model directory: matrices "a.weight" and "b.weight" of `rows` x 128 in two
// files, a configuration, a text, and what does not belong to an output.
class ModelDirectoryTest : public MonoquantCTest {
 protected:
  static constexpr char kConfig[] = R"({"model_type":"x"})";

  // Opens it, without the files named in `without`.
  uint32_t OpenModel(int rows = 96, const std::string& without = "") {
    const std::string shards[] = {"model-00001-of-00002.safetensors",
                                  "model-00002-of-00002.safetensors"};
    FakeHost& host = GetFakeHost();
    host.sources = {
        {10, kConfig},
        {11, "merges"},
        {12, Matrix("a.weight", rows)},
        {13, Matrix("b.weight", rows)},
        {14, absl::StrCat(R"({"weight_map":{"a.weight":")", shards[0],
                          R"(","b.weight":")", shards[1], "\"}}")},
        {15, "old weights"},
        {16, ""},
    };
    const std::pair<uint32_t, std::string> names[] = {
        {10, "config.json"},
        {11, "merges.txt"},
        {12, shards[0]},
        {13, shards[1]},
        {14, "model.safetensors.index.json"},
        {15, "pytorch_model.bin"},
        {16, "vocab.txt"},
    };
    std::vector<std::string> files;
    for (const auto& [source, name] : names) {
      if (name == without) continue;
      files.push_back(absl::StrCat(R"({"name":")", name, R"(","size":)",
                                   host.sources[source].size(), R"(,"source":)",
                                   source, "}"));
    }
    return Open(absl::StrCat(R"({"path":"dir","files":[)",
                             absl::StrJoin(files, ","), "]}"));
  }

  static std::string Matrix(const std::string& name, int rows) {
    const int bytes = rows * 128 * 4;
    std::string data(bytes, '\0');
    for (int i = 0; i < rows * 128; ++i) {
      const float value = static_cast<float>((i * 37) % 101 - 50);
      memcpy(&data[4 * i], &value, 4);
    }
    const std::string header =
        absl::StrCat(R"({")", name, R"(":{"dtype":"F32","shape":[)", rows,
                     R"(,128],"data_offsets":[0,)", bytes, "]}}");
    return Little64(header.size()) + header + data;
  }

  // The names of the outputs of a plan.
  std::vector<std::string> Outputs(uint32_t plan) {
    EXPECT_EQ(mq_describe(plan), 0) << mq_text();
    const Json json = Text();
    std::vector<std::string> names;
    for (const Json& output : *json.Find("outputs")->AsArray()) {
      names.push_back(At(output, {"name"}));
    }
    return names;
  }

  // Runs a plan into sinks from 20 on; the files by their names.
  std::map<std::string, std::string> Files(uint32_t plan,
                                           uint32_t chunk_bytes = 0) {
    FakeHost& host = GetFakeHost();
    host.sinks.clear();
    host.commits.clear();
    const std::vector<std::string> names = Outputs(plan);
    const uint32_t job = mq_start(plan, 20, chunk_bytes);
    EXPECT_NE(job, 0u) << mq_text();
    EXPECT_GE(Run(job), 0) << mq_text();
    mq_close(job);
    std::map<std::string, std::string> files;
    std::vector<uint32_t> in_order;
    for (uint32_t i = 0; i < names.size(); ++i) {
      files[names[i]] = host.sinks[20 + i].bytes;
      in_order.push_back(20 + i);
    }
    EXPECT_EQ(host.commits, in_order);
    return files;
  }
};

TEST_F(ModelDirectoryTest, EveryFileIsAnOutput) {
  const uint32_t checkpoint = OpenModel();
  const uint32_t plan = Plan(checkpoint, R"({"format":"compressed-tensors"})");
  ASSERT_NE(plan, 0u) << mq_text();
  mq_close(checkpoint);
  const auto files = Files(plan);
  EXPECT_THAT(
      Outputs(plan),
      ElementsAre("model-00001-of-00002.safetensors",
                  "model-00002-of-00002.safetensors", "merges.txt", "vocab.txt",
                  "model.safetensors.index.json", "config.json"));
  EXPECT_EQ(files.at("merges.txt"), "merges");
  EXPECT_EQ(files.at("vocab.txt"), "");
  EXPECT_THAT(files.at("model.safetensors.index.json"),
              HasSubstr("\"a.weight_scale\": \"model-00001-of-00002.saf"));
  EXPECT_THAT(files.at("config.json"), HasSubstr("\"model_type\": \"x\""));
  EXPECT_THAT(files.at("config.json"), HasSubstr("\"quant_method\": \"compr"));

  ASSERT_EQ(mq_describe(plan), 0);
  const Json json = Text();
  EXPECT_EQ(At(json, {"output", "directory"}), "true");
  EXPECT_THAT(At(json, {"output", "python"}), HasSubstr("from_pretrained"));
  EXPECT_THAT(At(json, {"notes"}), HasSubstr("pytorch_model.bin"));
  uint64_t total = 0;
  for (const Json& output : *json.Find("outputs")->AsArray()) {
    const std::string name = At(output, {"name"});
    EXPECT_EQ(At(output, {"bytes"}), absl::StrCat(files.at(name).size()))
        << name;
    EXPECT_EQ(At(output, {"copied"}),
              name == "merges.txt" || name == "vocab.txt" ? "true" : "false");
    total += files.at(name).size();
  }
  EXPECT_EQ(At(json, {"output", "bytes"}), absl::StrCat(total));
  EXPECT_EQ(Files(plan, 65536), files) << "of pieces";
}

TEST_F(ModelDirectoryTest, ASingleFileIsAnOutputToo) {
  const uint32_t plan = Plan(OpenModel(), R"({"format":"torch"})");
  EXPECT_THAT(Outputs(plan), ElementsAre("pytorch_model.bin"));
  const Json json = Text();
  EXPECT_EQ(At(json, {"output", "directory"}), "false");
  EXPECT_EQ(At(json, {"notes"}), "[]");
}

TEST_F(ModelDirectoryTest, ForAProgram) {
  // 96 rows are none that its kernels take.
  const std::string int4 = R"("recipe":{"defaults":{"format":"int4"}})";
  const std::pair<std::string, std::string> requests[] = {
      {R"({"for":"vLLM",)" + int4 + "}", R"({"program":"vllm","left":2})"},
      {R"({"for":"transformers",)" + int4 + "}",
       R"({"program":"transformers","left":0})"},
      {R"({"for":"vllm"})", R"({"program":"vllm","left":0})"},
      {"{" + int4 + R"(,"format":"compressed-tensors"})", "absent"},
  };
  for (const auto& [request, expected] : requests) {
    const uint32_t plan = Plan(OpenModel(), request);
    ASSERT_NE(plan, 0u) << mq_text();
    ASSERT_EQ(mq_describe(plan), 0);
    const Json json = Text();
    EXPECT_EQ(At(json, {"output", "format"}), "compressed-tensors");
    EXPECT_EQ(At(json, {"plan", "for"}), expected) << request;
  }
  // With another format of its own.
  const uint32_t plan =
      Plan(OpenModel(128), R"({"for":"sglang","format":"gptq"})");
  ASSERT_NE(plan, 0u) << mq_text();
  ASSERT_EQ(mq_describe(plan), 0);
  EXPECT_EQ(At(Text(), {"output", "format"}), "gptq");
}

TEST_F(ModelDirectoryTest, EveryDirectoryFormatIsReadBack) {
  for (const char* format : {"compressed-tensors", "gptq", "awq", "fp8",
                             "bitsandbytes", "torchao"}) {
    SCOPED_TRACE(format);
    // Formats have schemes of their own where there is no recipe.
    const uint32_t plan =
        Plan(OpenModel(128), absl::StrCat(R"({"format":")", format, "\"}"));
    ASSERT_NE(plan, 0u) << mq_text();
    const auto files = Files(plan);
    EXPECT_THAT(files.at("config.json"), HasSubstr("quantization_config"));

    FakeHost& host = GetFakeHost();
    host.sources.clear();
    std::vector<std::string> list;
    for (const auto& [name, bytes] : files) {
      const uint32_t source = static_cast<uint32_t>(100 + list.size());
      host.sources[source] = bytes;
      list.push_back(absl::StrCat(R"({"name":")", name, R"(","size":)",
                                  bytes.size(), R"(,"source":)", source, "}"));
    }
    const uint32_t checkpoint = Open(absl::StrCat(
        R"({"path":"out","files":[)", absl::StrJoin(list, ","), "]}"));
    ASSERT_NE(checkpoint, 0u) << mq_text();
    ASSERT_EQ(mq_describe(checkpoint), 0);
    EXPECT_THAT(mq_text(), HasSubstr(R"("name":"a.weight")"));
    EXPECT_THAT(At(Text(), {"quantization", "tensors"}),
                HasSubstr(R"("name":"b.weight")"));
  }
}

TEST_F(ModelDirectoryTest, ShardsOfAGivenSize) {
  // 96 x 128 bytes of codes and 96 scales: one matrix a file.
  for (const char* format : {"compressed-tensors", "safetensors", "torch"}) {
    const uint32_t plan =
        Plan(OpenModel(), absl::StrCat(R"({"format":")", format,
                                       R"(","max_shard_bytes":13000})"));
    ASSERT_NE(plan, 0u) << mq_text();
    EXPECT_EQ(Outputs(plan).size(), 6u) << format;
    EXPECT_EQ(Outputs(plan).back(), "config.json");
  }
  const uint32_t plan = Plan(
      OpenModel(), R"({"format":"safetensors","max_shard_bytes":1000000})");
  EXPECT_THAT(Outputs(plan), ElementsAre("model.safetensors", "merges.txt",
                                         "vocab.txt", "config.json"));
  EXPECT_EQ(Files(plan).at("config.json"), kConfig) << "nothing to be added";
}

TEST_F(ModelDirectoryTest, AFormatWithoutShardsJoinsThem) {
  const uint32_t plan = Plan(OpenModel(), R"({"format":"torchao"})");
  EXPECT_THAT(Outputs(plan), ElementsAre("model.safetensors", "merges.txt",
                                         "vocab.txt", "config.json"));
}

TEST_F(ModelDirectoryTest, WithoutAConfigurationThereIsANote) {
  const uint32_t plan =
      Plan(OpenModel(96, "config.json"), R"({"format":"compressed-tensors"})");
  EXPECT_THAT(Outputs(plan).back(), "config.json");
  EXPECT_THAT(At(Text(), {"notes"}), HasSubstr("no config.json of a model"));
  EXPECT_THAT(Files(plan).at("config.json"),
              ::testing::StartsWith("{\n  \"quantization_config\": {"));
}

TEST_F(ModelDirectoryTest, AConfigurationThatCannotBeReadIsAnError) {
  const uint32_t checkpoint = OpenModel();
  GetFakeHost().sources[10] = R"(["model_type","x"])";
  EXPECT_EQ(Plan(checkpoint, R"({"format":"compressed-tensors"})"), 0u);
  EXPECT_EQ(ErrorCode(), "MalformedInputError");
  EXPECT_THAT(ErrorMessage(), HasSubstr("dir/config.json"));
  // It is not asked for where nothing is added to it.
  EXPECT_NE(Plan(checkpoint, R"({"format":"safetensors"})"), 0u);
}

TEST_F(ModelDirectoryTest, AFailureOfOneSinkIsOneOfAll) {
  FakeHost& host = GetFakeHost();
  struct Case {
    int32_t FakeHost::* where;
    uint32_t sink;  // of 20 to 25
    size_t committed;
    const char* message;
  };
  const Case cases[] = {
      {&FakeHost::write_result, 20, 0, "model-00001-of-00002.safetensors: "},
      {&FakeHost::write_result, 21, 0, "model-00002-of-00002.safetensors: "},
      {&FakeHost::write_result, 25, 0, "config.json: "},
      {&FakeHost::commit_result, 20, 0, "model-00001-of-00002.safetensors: "},
      {&FakeHost::commit_result, 25, 5, "config.json: "},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.message);
    host = FakeHost();
    const uint32_t plan =
        Plan(OpenModel(), R"({"format":"compressed-tensors"})");
    const uint32_t job = mq_start(plan, 20, 65536);
    ASSERT_NE(job, 0u) << mq_text();
    host.*c.where = MQ_HOST_NO_SPACE;
    host.failing_sink = c.sink;
    EXPECT_EQ(Run(job), -1);
    EXPECT_EQ(ErrorCode(), "ResourceExhaustedError");
    EXPECT_THAT(ErrorMessage(), ::testing::StartsWith(c.message));
    host.*c.where = MQ_HOST_OK;
    EXPECT_EQ(mq_step(job), -1) << "a failed job stays failed";
    EXPECT_EQ(host.commits.size(), c.committed);
    EXPECT_FALSE(host.sinks[25].committed);
    mq_close(job);
  }
}

TEST_F(ModelDirectoryTest, ASideFileThatCannotBeReadIsAnError) {
  const uint32_t plan = Plan(OpenModel(), R"({"format":"compressed-tensors"})");
  const uint32_t job = mq_start(plan, 20, 0);
  GetFakeHost().sources[11] = "mer";
  EXPECT_EQ(Run(job), -1);
  EXPECT_EQ(ErrorCode(), "MalformedInputError");
  EXPECT_THAT(ErrorMessage(), HasSubstr("merges.txt"));
  EXPECT_TRUE(GetFakeHost().commits.empty());
}

TEST_F(ModelDirectoryTest, ACancelledJobCommitsNothing) {
  const uint32_t plan = Plan(OpenModel(), R"({"format":"compressed-tensors"})");
  const uint32_t job = mq_start(plan, 20, 65536);
  // All but the last step, which commits.
  const int steps = Run(job);
  EXPECT_EQ(GetFakeHost().commits.size(), 6u);
  GetFakeHost().commits.clear();
  const uint32_t cancelled = mq_start(plan, 30, 65536);
  for (int i = 0; i < steps; ++i) ASSERT_EQ(mq_step(cancelled), 1);
  mq_close(cancelled);
  EXPECT_TRUE(GetFakeHost().commits.empty());
  EXPECT_EQ(mq_step(cancelled), -1);
}

TEST_F(ModelDirectoryTest, SinksHaveNumbers) {
  const uint32_t plan = Plan(OpenModel(), R"({"format":"compressed-tensors"})");
  EXPECT_EQ(mq_start(plan, UINT32_MAX - 2, 0), 0u);
  EXPECT_EQ(ErrorCode(), "UsageError");
  EXPECT_THAT(ErrorMessage(), HasSubstr("no 6 sinks"));
}

TEST_F(MonoquantCTest, MalformedInputHasItsCode) {
  std::string file = MatrixFile(10);
  file.pop_back();
  EXPECT_EQ(OpenFile(file), 0u);
  EXPECT_EQ(ErrorCode(), "MalformedInputError");
  EXPECT_THAT(ErrorMessage(), HasSubstr("m.safetensors"));
  EXPECT_EQ(At(Text(), {"exit_code"}), "6");

  EXPECT_EQ(OpenFile("<html>not found</html>"), 0u);
  EXPECT_EQ(ErrorCode(), "UnsupportedError");
  EXPECT_EQ(OpenFile(""), 0u);
}

TEST_F(MonoquantCTest, RequestsAreRead) {
  const std::string one = R"({"name":"a","size":1,"source":0})";
  const std::pair<std::string, std::string> cases[] = {
      {"", "the request: JSON error"},
      {"[]", "the request has to be a JSON object"},
      {R"({"path":1,"files":[]})", "\"path\" of the request has to be a text"},
      {R"({"path":"x","main":"a"})", "no list \"files\""},
      {R"({"path":"x","file":[]})", "\"file\" of the request is unknown"},
      {R"({"path":"x","main":"b","files":[)" + one + "]}",
       "the main file 'b' is not among the files"},
      {R"({"path":"x","files":[)" + one + "," + one + "]}", "'a'"},
      {R"({"path":"x","files":[{"name":"a","size":-1,"source":0}]})",
       "\"size\" of a member of \"files\" has to be a number"},
      {R"({"path":"x","files":[{"name":"a","size":9007199254740993,)"
       R"("source":0}]})",
       "\"size\""},
      {R"({"path":"x","files":[{"name":"a","size":1.5,"source":0}]})",
       "\"size\""},
  };
  for (const auto& [request, message] : cases) {
    EXPECT_EQ(Open(request), 0u) << request;
    EXPECT_EQ(ErrorCode(), "UsageError") << request;
    EXPECT_THAT(ErrorMessage(), HasSubstr(message)) << request;
  }

  const uint32_t checkpoint = OpenFile(MatrixFile(2));
  const std::pair<std::string, std::string> plans[] = {
      {R"({"format":"gguf"})", "'gguf'; choose one of"},
      {R"({"for":"tgi"})", "unknown program 'tgi'; choose one of vllm"},
      {R"({"for":"vllm","format":"torch-ao"})", "vLLM does not load torch-ao"},
      {R"({"for":"vllm","format":"gguf"})", "'gguf'; choose one of"},
      {R"({"for":"vllm","mode":"convert"})", "nothing in it is quantized"},
      {R"({"for":"vllm","mode":"dequantize","format":"torch"})",
       "\"for\" means nothing to dequantize"},
      {R"({"format":"mqir","max_shard_bytes":9})", "is always one file"},
      {R"({"format":"torchao","max_shard_bytes":9})", "is always one file"},
      {R"({"format":"gptq","max_shard_bytes":-1})", "\"max_shard_bytes\""},
      {R"({"format":"torch","mode":"train"})", "unknown mode 'train'"},
      {R"({"format":"torch","mode":"convert","recipe":{}})", "a recipe means"},
      {R"({"format":"torch","dtype":"F16"})", "dtype 'F16' means nothing"},
      {R"({"format":"torch","mode":"dequantize","dtype":"float"})", "'float'"},
      {R"({"format":"torch","bits":8})", "\"bits\""},
      {R"({"format":"torch","recipe":)"
       R"({"rules":[{"match":"zz","scheme":"int8"}]}})",
       "zz"},
  };
  for (const auto& [request, message] : plans) {
    EXPECT_EQ(Plan(checkpoint, request), 0u) << request;
    EXPECT_EQ(ErrorCode(), "UsageError") << request;
    EXPECT_THAT(ErrorMessage(), HasSubstr(message)) << request;
  }
}

TEST_F(MonoquantCTest, FailuresOfTheHostHaveTheirCodes) {
  FakeHost& host = GetFakeHost();
  const std::string file = MatrixFile(3000);
  const auto start = [&] {
    host.read_result = host.write_result = host.commit_result = MQ_HOST_OK;
    const uint32_t checkpoint = OpenFile(file);
    return mq_start(Plan(checkpoint, R"({"format":"torch"})"), 5, 65536);
  };
  struct Case {
    int32_t FakeHost::* where;
    int32_t result;
    const char* code;
  };
  const Case cases[] = {
      {&FakeHost::read_result, MQ_HOST_FAILED, "UnavailableError"},
      {&FakeHost::read_result, MQ_HOST_TRUNCATED, "MalformedInputError"},
      {&FakeHost::write_result, MQ_HOST_FAILED, "UnavailableError"},
      {&FakeHost::write_result, MQ_HOST_NO_SPACE, "ResourceExhaustedError"},
      {&FakeHost::commit_result, MQ_HOST_FAILED, "UnavailableError"},
      {&FakeHost::commit_result, MQ_HOST_NO_SPACE, "ResourceExhaustedError"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.code);
    const uint32_t job = start();
    ASSERT_NE(job, 0u) << mq_text();
    ASSERT_EQ(mq_step(job), 1) << mq_text();
    host.*c.where = c.result;
    EXPECT_EQ(Run(job), -1);
    EXPECT_EQ(ErrorCode(), c.code);
    host.*c.where = MQ_HOST_OK;
    EXPECT_EQ(mq_step(job), -1) << "a failed job stays failed";
    EXPECT_EQ(ErrorCode(), c.code);
    EXPECT_FALSE(host.sinks[5].committed);
    mq_close(job);
  }
}

TEST_F(MonoquantCTest, KeepingNonfiniteTensorsIsSettledFirst) {
  std::string file = MatrixFile(20);
  // The third element of "w", behind a header whose length is in front.
  const size_t data = 8 + static_cast<uint8_t>(file[0]);
  const uint32_t infinity = 0x7f800000;
  memcpy(&file[data + 8], &infinity, 4);

  const uint32_t checkpoint = OpenFile(file);
  const uint32_t failing =
      mq_start(Plan(checkpoint, R"({"format":"torch"})"), 1, 0);
  ASSERT_NE(failing, 0u) << mq_text();
  EXPECT_EQ(Run(failing), -1);
  EXPECT_EQ(ErrorCode(), "CannotQuantizeError");
  EXPECT_THAT(ErrorMessage(), HasSubstr("'w'"));
  EXPECT_FALSE(GetFakeHost().sinks[1].committed);

  const uint32_t plan =
      Plan(checkpoint, R"({"format":"torch","recipe":{"nonfinite":"keep"}})");
  ASSERT_NE(plan, 0u) << mq_text();
  EXPECT_EQ(mq_start(plan, 2, 0), 0u);
  EXPECT_THAT(ErrorMessage(), HasSubstr("not settled"));
  while (mq_settle(plan) == 1) {
  }
  EXPECT_EQ(mq_settle(plan), 0);
  ASSERT_EQ(mq_describe(plan), 0);
  EXPECT_THAT(mq_text(), Not(HasSubstr("\"quantize\"")));
  const uint32_t job = mq_start(plan, 2, 0);
  ASSERT_GE(Run(job), 0) << mq_text();
  EXPECT_TRUE(GetFakeHost().sinks[2].committed);
}

TEST_F(MonoquantCTest, HandlesThatAreWrongAreErrorsNotCrashes) {
  const uint32_t checkpoint = OpenFile(MatrixFile(2));
  const uint32_t plan = Plan(checkpoint, R"({"format":"torch"})");
  for (uint32_t handle : {0u, 4000000000u, checkpoint}) {
    EXPECT_EQ(mq_step(handle), -1);
    EXPECT_EQ(ErrorCode(), "UsageError");
    EXPECT_EQ(mq_settle(handle), -1);
    EXPECT_EQ(mq_start(handle, 0, 0), 0u);
    EXPECT_EQ(mq_bytes_total(handle), 0);
  }
  EXPECT_EQ(Plan(plan, R"({"format":"torch"})"), 0u);
  EXPECT_THAT(ErrorMessage(), HasSubstr("no open checkpoint"));
  EXPECT_EQ(mq_start(plan, 0, 100), 0u) << "chunks of 100 bytes";
  mq_close(checkpoint);
  mq_close(checkpoint);
  mq_close(0);
  EXPECT_EQ(mq_describe(checkpoint), -1);
  EXPECT_EQ(mq_describe(plan), 0) << "lives without the checkpoint's handle";
}

TEST_F(MonoquantCTest, MemoryIsGivenAndTaken) {
  uint8_t* memory = mq_alloc(100);
  ASSERT_NE(memory, nullptr);
  memory[99] = 1;
  mq_free(memory);
  mq_free(nullptr);
}

}  // namespace
}  // namespace monoquant
