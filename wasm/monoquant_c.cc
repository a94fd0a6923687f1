#include "wasm/monoquant_c.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/dequantizing_reader.h"
#include "core/index_json.h"
#include "core/tensor_survey.h"
#include "core/version.h"
#include "exporters/exporter.h"
#include "frontends/frontend.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/sha256.h"
#include "ir/status_macros.h"
#include "wasm/host_checkpoint.h"
#include "wasm/host_io.h"
#include "wasm/json_members.h"
#include "wasm/planned_output.h"
#include "wasm/running_job.h"

namespace monoquant {
namespace {

// A SHA-256 that can be described once.
struct Hash {
  Sha256 sha256;
  bool described = false;
};

using Object = std::variant<HostCheckpoint, std::unique_ptr<PlannedOutput>,
                            std::unique_ptr<RunningJob>,
                            std::unique_ptr<TensorSurvey>, Hash>;

// The module's whole state.
struct State {
  std::map<uint32_t, Object> objects;
  uint32_t last_handle = 0;
  std::string text;
};

State& GetState() {
  static State* const state = new State;
  return *state;
}

uint32_t Keep(Object object) {
  State& state = GetState();
  state.objects.emplace(++state.last_handle, std::move(object));
  return state.last_handle;
}

// The object behind a handle, which has to be of type T.
template <typename T>
absl::StatusOr<T*> Get(uint32_t handle, absl::string_view type) {
  State& state = GetState();
  const auto it = state.objects.find(handle);
  if (it != state.objects.end()) {
    if (T* object = std::get_if<T>(&it->second)) return object;
  }
  return InvalidArgumentError("handle ", handle, " is no open ", type);
}

absl::StatusOr<HostCheckpoint*> GetCheckpoint(uint32_t handle) {
  return Get<HostCheckpoint>(handle, "checkpoint");
}
absl::StatusOr<PlannedOutput*> GetPlan(uint32_t handle) {
  MQ_ASSIGN_OR_RETURN(const auto* plan,
                      Get<std::unique_ptr<PlannedOutput>>(handle, "plan"));
  return plan->get();
}
absl::StatusOr<RunningJob*> GetJob(uint32_t handle) {
  MQ_ASSIGN_OR_RETURN(const auto* job,
                      Get<std::unique_ptr<RunningJob>>(handle, "job"));
  return job->get();
}

absl::StatusOr<TensorSurvey*> GetSurvey(uint32_t handle) {
  MQ_ASSIGN_OR_RETURN(const auto* survey,
                      Get<std::unique_ptr<TensorSurvey>>(handle, "survey"));
  return survey->get();
}

void SetText(const Json& json) { GetState().text = json.ToString(); }

void SetError(const absl::Status& status) {
  const ErrorRow& row = GetErrorRow(status.code());
  Json json;
  json.Set("code", row.name);
  json.Set("exit_code", row.exit_code);
  json.Set("message", std::string(status.message()));
  SetText(json);
}

// What the functions of the ABI return, with the error put where it belongs.
uint32_t ToHandle(absl::StatusOr<Object> object) {
  if (object.ok()) return Keep(*std::move(object));
  SetError(object.status());
  return 0;
}
int32_t ToResult(const absl::Status& status) {
  if (status.ok()) return 0;
  SetError(status);
  return -1;
}
int32_t ToMore(const absl::StatusOr<bool>& more) {
  if (more.ok()) return *more ? 1 : 0;
  SetError(more.status());
  return -1;
}

absl::StatusOr<Json> ParseRequest(absl::string_view request) {
  absl::StatusOr<Json> json = ParseJson(request);
  if (!json.ok()) return Annotate("the request", json.status());
  return json;
}

absl::StatusOr<Object> Open(absl::string_view request) {
  MQ_ASSIGN_OR_RETURN(const Json json, ParseRequest(request));
  HostCheckpoint checkpoint;
  MQ_ASSIGN_OR_RETURN(checkpoint.files, HostFiles(json));
  OpenOptions& options = checkpoint.options;
  // Of the right type, where they are there: HostFiles has looked.
  if (const Json* root = json.Find("root")) options.root = *root->AsString();
  const auto flag = [&json](absl::string_view key) {
    const Json* value = json.Find(key);
    return value != nullptr && *value->AsBool();
  };
  options.allow_opaque = flag("allow_opaque");
  options.as_stored = flag("as_stored");
  MQ_ASSIGN_OR_RETURN(checkpoint.reader,
                      OpenCheckpoint(checkpoint.files, options));
  return checkpoint;
}

absl::StatusOr<Object> MakePlanned(uint32_t checkpoint,
                                   absl::string_view request) {
  MQ_ASSIGN_OR_RETURN(const HostCheckpoint* opened, GetCheckpoint(checkpoint));
  MQ_ASSIGN_OR_RETURN(const Json json, ParseRequest(request));
  return PlannedOutput::Create(*opened, json);
}

absl::StatusOr<Object> Start(uint32_t plan, uint32_t first_sink,
                             RunningJobOptions options) {
  MQ_ASSIGN_OR_RETURN(const PlannedOutput* output, GetPlan(plan));
  return RunningJob::Create(*output, first_sink, std::move(options));
}

absl::StatusOr<Object> Join(uint32_t plan, uint32_t first_sink,
                            uint32_t chunk_bytes, absl::string_view records) {
  RunningJobOptions options;
  options.chunk_bytes = chunk_bytes;
  MQ_ASSIGN_OR_RETURN(options.finished, DecodeRecords(records));
  return Start(plan, first_sink, std::move(options));
}

// The tensor of that name in an open checkpoint.
absl::StatusOr<SurveyedTensor> FindTensor(uint32_t checkpoint,
                                          absl::string_view name) {
  MQ_ASSIGN_OR_RETURN(HostCheckpoint * opened, GetCheckpoint(checkpoint));
  std::shared_ptr<const CheckpointReader>& floats = opened->floats;
  if (floats == nullptr && opened->options.as_stored) floats = opened->reader;
  if (floats == nullptr) {
    MQ_ASSIGN_OR_RETURN(
        floats, MakeDequantizingReader(opened->reader, {.dtype = DType::kF32}));
  }
  const CheckpointIndex& index = floats->index();
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    if (index.tensors[i].name == name) return SurveyedTensor{floats, i};
  }
  return NotFoundError(index.path, ": there is no tensor ", QuotedName(name));
}

absl::StatusOr<Object> StartSurvey(uint32_t checkpoint,
                                   absl::string_view request) {
  constexpr uint64_t kDefaultBins = 64;
  MQ_ASSIGN_OR_RETURN(const Json json, ParseRequest(request));
  JsonMembers members(json, "the survey's request");
  const std::string name = members.String("tensor", "");
  const uint64_t bins =
      members.Uint("bins", TensorSurvey::kMaxBins, kDefaultBins);
  const Json* against = members.Find("against");
  MQ_RETURN_IF_ERROR(members.Finish());
  MQ_ASSIGN_OR_RETURN(SurveyedTensor tensor, FindTensor(checkpoint, name));
  std::optional<SurveyedTensor> other;
  if (against != nullptr) {
    JsonMembers other_members(*against, "\"against\"");
    const uint64_t other_checkpoint =
        other_members.Uint("checkpoint", UINT32_MAX);
    const std::string other_name = other_members.String("tensor", name);
    MQ_RETURN_IF_ERROR(other_members.Finish());
    MQ_ASSIGN_OR_RETURN(
        other, FindTensor(static_cast<uint32_t>(other_checkpoint), other_name));
  }
  return TensorSurvey::Create(std::move(tensor), std::move(other),
                              static_cast<size_t>(bins));
}

absl::StatusOr<Hash*> GetHash(uint32_t handle) {
  MQ_ASSIGN_OR_RETURN(Hash * hash, Get<Hash>(handle, "hash"));
  if (!hash->described) return hash;
  return InvalidArgumentError("hash ", handle,
                              " was described; begin another one");
}

absl::Status AddToHash(uint32_t handle, absl::Span<const uint8_t> bytes) {
  MQ_ASSIGN_OR_RETURN(Hash * hash, GetHash(handle));
  hash->sha256.Add(bytes);
  return absl::OkStatus();
}

absl::StatusOr<Json> DescribeHash(Hash& hash) {
  hash.described = true;
  Json json;
  json.Set("sha256", hash.sha256.ToHex());
  return json;
}

absl::Status LeaveRecords(uint32_t part) {
  MQ_ASSIGN_OR_RETURN(const RunningJob* job, GetJob(part));
  MQ_ASSIGN_OR_RETURN(const absl::string_view records, job->records());
  GetState().text = std::string(records);
  return absl::OkStatus();
}

absl::StatusOr<bool> Settle(uint32_t plan) {
  MQ_ASSIGN_OR_RETURN(PlannedOutput * output, GetPlan(plan));
  return output->Settle();
}

absl::StatusOr<bool> Step(uint32_t job) {
  if (const auto survey = GetSurvey(job); survey.ok()) return (*survey)->Step();
  MQ_ASSIGN_OR_RETURN(RunningJob * running, GetJob(job));
  return running->Step();
}

absl::StatusOr<Json> Describe(uint32_t handle) {
  if (const auto checkpoint = GetCheckpoint(handle); checkpoint.ok()) {
    return IndexToJson((*checkpoint)->reader->index());
  }
  if (const auto plan = GetPlan(handle); plan.ok()) return (*plan)->Describe();
  if (const auto survey = GetSurvey(handle); survey.ok()) {
    return (*survey)->Describe();
  }
  if (const auto hash = GetHash(handle); hash.ok()) {
    return DescribeHash(**hash);
  }
  MQ_ASSIGN_OR_RETURN(const RunningJob* job, GetJob(handle));
  return job->Describe();
}

Json About() {
  Json containers((Json::Array()));
  for (const Frontend& frontend : AllFrontends()) {
    for (const ContainerKind& kind : frontend.kinds) {
      containers.Append(kind.name);
    }
  }
  Json formats((Json::Array()));
  for (const ExporterRow& row : AllExporters()) {
    Json json;
    json.Set("name", row.exporter->name());
    json.Set("directory", row.quantization_config != nullptr);
    json.Set("extensions",
             Json::Array(row.extensions.begin(), row.extensions.end()));
    json.Set("python", row.python_hint);
    json.Set("description", row.description);
    formats.Append(std::move(json));
  }
  Json json;
  json.Set("version", kVersion);
  json.Set("containers", std::move(containers));
  json.Set("formats", std::move(formats));
  return json;
}

}  // namespace
}  // namespace monoquant

using monoquant::GetState;

uint8_t* mq_alloc(uint32_t size) {
  return static_cast<uint8_t*>(std::malloc(size));
}

void mq_free(uint8_t* memory) { std::free(memory); }

const char* mq_text(void) { return GetState().text.c_str(); }

uint32_t mq_text_size(void) {
  return static_cast<uint32_t>(GetState().text.size());
}

void mq_about(void) { monoquant::SetText(monoquant::About()); }

uint32_t mq_open(const char* request, uint32_t size) {
  return monoquant::ToHandle(monoquant::Open({request, size}));
}

uint32_t mq_plan(uint32_t checkpoint, const char* request, uint32_t size) {
  return monoquant::ToHandle(
      monoquant::MakePlanned(checkpoint, {request, size}));
}

int32_t mq_settle(uint32_t plan) {
  return monoquant::ToMore(monoquant::Settle(plan));
}

uint32_t mq_start(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes) {
  monoquant::RunningJobOptions options;
  options.chunk_bytes = chunk_bytes;
  return monoquant::ToHandle(
      monoquant::Start(plan, first_sink, std::move(options)));
}

uint32_t mq_start_part(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes,
                       uint32_t part, uint32_t parts) {
  monoquant::RunningJobOptions options;
  options.chunk_bytes = chunk_bytes;
  options.share = monoquant::JobShare{part, parts};
  return monoquant::ToHandle(
      monoquant::Start(plan, first_sink, std::move(options)));
}

int32_t mq_records(uint32_t part) {
  return monoquant::ToResult(monoquant::LeaveRecords(part));
}

uint32_t mq_join(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes,
                 const char* records, uint32_t size) {
  return monoquant::ToHandle(
      monoquant::Join(plan, first_sink, chunk_bytes, {records, size}));
}

uint32_t mq_survey(uint32_t checkpoint, const char* request, uint32_t size) {
  return monoquant::ToHandle(
      monoquant::StartSurvey(checkpoint, {request, size}));
}

uint32_t mq_hash(void) { return monoquant::Keep(monoquant::Hash()); }

int32_t mq_hash_add(uint32_t hash, const uint8_t* bytes, uint32_t size) {
  return monoquant::ToResult(monoquant::AddToHash(hash, {bytes, size}));
}

int32_t mq_step(uint32_t job) {
  return monoquant::ToMore(monoquant::Step(job));
}

double mq_bytes_done(uint32_t job) {
  if (const auto survey = monoquant::GetSurvey(job); survey.ok()) {
    return static_cast<double>((*survey)->bytes_done());
  }
  const auto running = monoquant::GetJob(job);
  return running.ok() ? static_cast<double>((*running)->bytes_done()) : 0;
}

double mq_bytes_total(uint32_t job) {
  if (const auto survey = monoquant::GetSurvey(job); survey.ok()) {
    return static_cast<double>((*survey)->bytes_total());
  }
  const auto running = monoquant::GetJob(job);
  return running.ok() ? static_cast<double>((*running)->bytes_total()) : 0;
}

int32_t mq_describe(uint32_t handle) {
  const auto json = monoquant::Describe(handle);
  if (!json.ok()) {
    monoquant::SetError(json.status());
    return -1;
  }
  monoquant::SetText(*json);
  return 0;
}

void mq_close(uint32_t handle) { GetState().objects.erase(handle); }
