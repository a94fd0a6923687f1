#include "frontends/torch_export/exported_program.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/name_list.h"
#include "frontends/torch/listed_tensors.h"
#include "frontends/torch/pickled_archive.h"
#include "frontends/torch_export/aotinductor.h"
#include "frontends/torch_export/inner_archives.h"
#include "frontends/torch_export/tensor_meta.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// The two halves of a program are stored alike.
struct Half {
  absl::string_view directory;
  absl::string_view config;  // what its list is called after the program's name
};

constexpr Half kWeights = {"data/weights/", "_weights_config.json"};
constexpr Half kConstants = {"data/constants/", "_constants_config.json"};
// What the first versions had instead of a list: an archive of torch.save.
constexpr absl::string_view kPickled = ".pt";

// One half of one program.
struct Payload {
  std::string program;
  std::string member;
  bool is_pickled;
};

std::vector<Payload> FindPayloads(const TorchArchive& archive,
                                  const Half& half) {
  std::vector<Payload> payloads;
  for (size_t i = 0; i < archive.zip->size(); ++i) {
    absl::string_view name = archive.zip->entry(i).name;
    if (!absl::ConsumePrefix(&name, archive.prefix)) continue;
    const absl::string_view member = name;
    if (!absl::ConsumePrefix(&name, half.directory)) continue;
    const bool is_pickled = absl::ConsumeSuffix(&name, kPickled);
    if (is_pickled || absl::ConsumeSuffix(&name, half.config)) {
      payloads.push_back({std::string(name), std::string(member), is_pickled});
    }
  }
  return payloads;
}

// Reads payloads of one half.
class PayloadReader {
 public:
  PayloadReader(const TorchArchive& archive, const OpenOptions& options,
                const Half& half, CheckpointIndex* index,
                std::vector<PlacedTensor>* placed)
      : archive_(archive),
        half_(half),
        listed_(archive, index, placed),
        inner_(archive, options, index) {}

  // Appends the tensors, with `prefix` before their names.
  absl::Status Read(const Payload& payload, absl::string_view prefix);

  // Only the names.
  absl::Status List(const Payload& payload, NameList* names);

  // Objects that are no tensors, and were left out.
  const NameList& objects() const { return objects_; }

 private:
  // A list of tensors, whose member "config" is an object.
  absl::StatusOr<Json> ReadConfig(const Payload& payload) const;
  absl::Status ReadEntry(const Json& json, absl::string_view name,
                         const std::string& where);
  // Appends what an inner archive holds, under `name` instead of "tensor".
  absl::Status AddInner(const std::string& member, absl::string_view name);

  const TorchArchive& archive_;
  const Half half_;
  ListedTensors listed_;
  InnerArchives inner_;
  NameList objects_;
};

absl::StatusOr<Json> PayloadReader::ReadConfig(const Payload& payload) const {
  MQ_ASSIGN_OR_RETURN(Json json, archive_.ReadJson(payload.member));
  const Json* config = json.Find("config");
  if (config == nullptr || !config->is_object()) {
    return DataLossError(archive_.zip->name(), ": member ",
                         QuotedName(payload.member), " has no object 'config'");
  }
  return json;
}

absl::Status PayloadReader::Read(const Payload& payload,
                                 absl::string_view prefix) {
  if (payload.is_pickled) {
    MQ_ASSIGN_OR_RETURN(const InnerTensors* const inner,
                        inner_.Get(payload.member));
    for (size_t i = 0; i < inner->placed.size(); ++i) {
      TensorInfo info = inner->infos[i];
      info.name = absl::StrCat(prefix, info.name);
      MQ_RETURN_IF_ERROR(listed_.Add(std::move(info), inner->placed[i]));
    }
    return absl::OkStatus();
  }
  MQ_ASSIGN_OR_RETURN(const Json list, ReadConfig(payload));
  for (const Json::Member& entry : *list.Find("config")->AsObject()) {
    const std::string name = absl::StrCat(prefix, entry.first);
    MQ_RETURN_IF_ERROR(ReadEntry(
        entry.second, name,
        absl::StrCat(archive_.zip->name(), ": tensor ", QuotedName(name))));
  }
  return absl::OkStatus();
}

absl::Status PayloadReader::ReadEntry(const Json& json, absl::string_view name,
                                      const std::string& where) {
  const Json* path = json.Find("path_name");
  const std::string* path_name = path == nullptr ? nullptr : path->AsString();
  if (path_name == nullptr || path_name->empty()) {
    return DataLossError(where, ": it has no 'path_name'");
  }
  const std::string member = absl::StrCat(half_.directory, *path_name);
  const Json* use_pickle = json.Find("use_pickle");
  const Json* meta = json.Find("tensor_meta");
  if (use_pickle != nullptr && use_pickle->AsBool() != nullptr &&
      *use_pickle->AsBool()) {
    if (meta != nullptr && meta->is_object()) return AddInner(member, name);
    objects_.Add(name);
    return absl::OkStatus();
  }
  if (meta == nullptr) {
    return DataLossError(where, ": it has no 'tensor_meta'");
  }
  auto tensor = ReadTensorMeta(*meta);
  if (!tensor.ok()) return Annotate(where, tensor.status());
  return listed_.Add(name, member, *std::move(tensor));
}

absl::Status PayloadReader::AddInner(const std::string& member,
                                     absl::string_view name) {
  MQ_ASSIGN_OR_RETURN(const InnerTensors* const inner, inner_.Get(member));
  for (size_t i = 0; i < inner->placed.size(); ++i) {
    TensorInfo info = inner->infos[i];
    absl::string_view part = info.name;
    if (!absl::ConsumePrefix(&part, "tensor")) {
      return DataLossError(archive_.zip->name(), ": member ",
                           QuotedName(member), " holds more than the tensor ",
                           QuotedName(name));
    }
    info.name = absl::StrCat(name, part);
    MQ_RETURN_IF_ERROR(listed_.Add(std::move(info), inner->placed[i]));
  }
  return absl::OkStatus();
}

absl::Status PayloadReader::List(const Payload& payload, NameList* names) {
  if (payload.is_pickled) {
    names->Add(payload.member);
    return absl::OkStatus();
  }
  MQ_ASSIGN_OR_RETURN(const Json list, ReadConfig(payload));
  for (const Json::Member& entry : *list.Find("config")->AsObject()) {
    names->Add(entry.first);
  }
  return absl::OkStatus();
}

// Notes names, if there are any.
void Note(absl::string_view what, const NameList& names,
          absl::string_view advice, CheckpointIndex* index) {
  if (names.empty()) return;
  index->notes.push_back(absl::StrCat(what, names.ToString(), advice));
}

void NoteConstants(const NameList& names, CheckpointIndex* index) {
  Note("constants of the program are left out: ", names,
       absl::StrCat("; choose them with --root ", kConstantsRoot), index);
}

void NoteObjects(const NameList& names, CheckpointIndex* index) {
  Note("objects that are no tensors are left out: ", names, "", index);
}

}  // namespace

absl::Status ReadExportedProgram(const TorchArchive& archive,
                                 const OpenOptions& options,
                                 CheckpointIndex* index,
                                 std::vector<PlacedTensor>* placed) {
  const std::vector<Payload> weights = FindPayloads(archive, kWeights);
  if (weights.empty()) {
    if (!HasAotInductor(archive)) {
      return UnimplementedError(archive.zip->name(),
                                ": this .pt2 archive has no list of weights "
                                "(data/weights/*",
                                kWeights.config,
                                "); save the program with torch.export.save");
    }
    MQ_RETURN_IF_ERROR(ReadAotInductor(archive, options, index, placed));
    return KeepBelowRoot(archive.zip->name(), options.root, 0, index, placed);
  }
  // Programs are told apart where there are several.
  const auto prefix_of = [&](const Payload& payload, absl::string_view before) {
    return weights.size() > 1 ? absl::StrCat(before, payload.program, ".")
                              : std::string(before);
  };
  const bool only_constants = options.root == kConstantsRoot;
  if (!only_constants) {
    PayloadReader reader(archive, options, kWeights, index, placed);
    for (const Payload& payload : weights) {
      MQ_RETURN_IF_ERROR(reader.Read(payload, prefix_of(payload, "")));
    }
    NoteObjects(reader.objects(), index);
    MQ_RETURN_IF_ERROR(
        KeepBelowRoot(archive.zip->name(), options.root, 0, index, placed));
  }
  PayloadReader reader(archive, options, kConstants, index, placed);
  NameList left_out;
  for (const Payload& payload : FindPayloads(archive, kConstants)) {
    if (only_constants) {
      MQ_RETURN_IF_ERROR(reader.Read(payload, prefix_of(payload, "")));
    } else if (options.root == ".") {
      MQ_RETURN_IF_ERROR(reader.Read(
          payload, prefix_of(payload, absl::StrCat(kConstantsRoot, "."))));
    } else {
      MQ_RETURN_IF_ERROR(reader.List(payload, &left_out));
    }
  }
  if (only_constants) index->root = std::string(kConstantsRoot);
  NoteConstants(left_out, index);
  NoteObjects(reader.objects(), index);
  if (HasAotInductor(archive)) {
    index->notes.push_back(
        "programs that AOTInductor compiled are in it too, and left out");
  }
  return absl::OkStatus();
}

absl::Status ReadPickledExport(const TorchArchive& archive,
                               const OpenOptions& options,
                               CheckpointIndex* index,
                               std::vector<PlacedTensor>* placed) {
  // torch 2.1 called the same archives .json.
  const auto find = [&](absl::string_view name) {
    const auto member = archive.Find(absl::StrCat(name, ".pt"));
    return member.has_value() ? member
                              : archive.Find(absl::StrCat(name, ".json"));
  };
  const std::optional<size_t> state_dict = find("serialized_state_dict");
  const std::optional<size_t> constants = find("serialized_constants");
  if (!state_dict.has_value()) {
    return DataLossError(
        archive.zip->name(),
        ": member 'serialized_state_dict.pt' is missing; the file is "
        "incomplete, download or copy it again");
  }
  const bool only_constants =
      constants.has_value() && options.root == kConstantsRoot;
  const bool everything = options.root == ".";
  if (!only_constants) {
    // A flat dict: nothing in it is to be taken for a training checkpoint.
    OpenOptions state_options = options;
    if (options.root.empty()) state_options.root = ".";
    MQ_RETURN_IF_ERROR(
        ReadInnerArchive(archive, *state_dict, state_options, index, placed));
  }
  if (!constants.has_value()) return absl::OkStatus();
  if (!only_constants && !everything) {
    NameList names;
    names.Add(archive.zip->entry(*constants).name);
    NoteConstants(names, index);
    return absl::OkStatus();
  }
  const size_t before = index->tensors.size();
  OpenOptions all = options;
  all.root = ".";
  MQ_RETURN_IF_ERROR(ReadInnerArchive(archive, *constants, all, index, placed));
  if (only_constants) {
    index->root = std::string(kConstantsRoot);
    return absl::OkStatus();
  }
  for (size_t i = before; i < index->tensors.size(); ++i) {
    std::string& name = index->tensors[i].name;
    name = absl::StrCat(kConstantsRoot, ".", name);
  }
  return absl::OkStatus();
}

}  // namespace monoquant
