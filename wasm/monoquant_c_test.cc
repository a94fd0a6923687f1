// Guards: the C ABI as native code, with a host in memory. Everything that it
// promises about handles, texts, errors and reads; that the module built from
// it behaves the same is tested under Node.

#include "wasm/monoquant_c.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"
#include "wasm/testing/fake_host.h"

namespace monoquant {
namespace {

using ::monoquant::testing::FakeHost;
using ::monoquant::testing::GetFakeHost;
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
              ::testing::Not(HasSubstr("compressed-tensors")));
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

  EXPECT_EQ(mq_describe(job), -1);
  EXPECT_EQ(ErrorCode(), "UsageError");
  EXPECT_EQ(mq_bytes_done(job), 0);
  EXPECT_GE(mq_bytes_total(job), 3000 * 64 * 4);
  EXPECT_GT(Run(job), 5) << "one piece a step";
  EXPECT_EQ(mq_bytes_done(job), mq_bytes_total(job));
  ASSERT_EQ(mq_describe(job), 0);
  EXPECT_THAT(mq_text(), HasSubstr(R"({"tensors":[{"name":"w","scheme":{)"));
  EXPECT_THAT(mq_text(), HasSubstr("sqnr_db"));
  EXPECT_EQ(mq_step(job), 0) << "complete stays complete";
  mq_close(job);
  EXPECT_EQ(mq_bytes_done(job), 0);
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
      {R"({"format":"compressed-tensors"})", "is a directory of files"},
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
