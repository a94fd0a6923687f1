#include "wasm/monoquant_c.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/index_json.h"
#include "core/version.h"
#include "exporters/exporter.h"
#include "frontends/frontend.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/status_macros.h"
#include "wasm/host_checkpoint.h"
#include "wasm/host_io.h"
#include "wasm/planned_output.h"
#include "wasm/running_job.h"

namespace monoquant {
namespace {

using Object = std::variant<HostCheckpoint, std::unique_ptr<PlannedOutput>,
                            std::unique_ptr<RunningJob>>;

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
  return absl::InvalidArgumentError(
      absl::StrCat("handle ", handle, " is no open ", type));
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
                             uint32_t chunk_bytes) {
  MQ_ASSIGN_OR_RETURN(const PlannedOutput* output, GetPlan(plan));
  return RunningJob::Create(*output, first_sink, chunk_bytes);
}

absl::StatusOr<bool> Settle(uint32_t plan) {
  MQ_ASSIGN_OR_RETURN(PlannedOutput * output, GetPlan(plan));
  return output->Settle();
}

absl::StatusOr<bool> Step(uint32_t job) {
  MQ_ASSIGN_OR_RETURN(RunningJob * running, GetJob(job));
  return running->Step();
}

absl::StatusOr<Json> Describe(uint32_t handle) {
  if (const auto checkpoint = GetCheckpoint(handle); checkpoint.ok()) {
    return IndexToJson((*checkpoint)->reader->index());
  }
  if (const auto plan = GetPlan(handle); plan.ok()) return (*plan)->Describe();
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
  return monoquant::ToHandle(monoquant::Start(plan, first_sink, chunk_bytes));
}

int32_t mq_step(uint32_t job) {
  return monoquant::ToMore(monoquant::Step(job));
}

double mq_bytes_done(uint32_t job) {
  const auto running = monoquant::GetJob(job);
  return running.ok() ? static_cast<double>((*running)->bytes_done()) : 0;
}

double mq_bytes_total(uint32_t job) {
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
