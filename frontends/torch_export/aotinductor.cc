#include "frontends/torch_export/aotinductor.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/torch/listed_tensors.h"
#include "frontends/torch_export/inner_archives.h"
#include "frontends/torch_export/tensor_meta.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kDirectory = "data/aotinductor/";
constexpr absl::string_view kConfig = "/weights_config.json";

// The compiled programs that have their weights beside them.
std::vector<std::string> FindPrograms(const TorchArchive& archive) {
  std::vector<std::string> programs;
  for (size_t i = 0; i < archive.zip->size(); ++i) {
    absl::string_view name = archive.zip->entry(i).name;
    if (absl::ConsumePrefix(&name, archive.prefix) &&
        absl::ConsumePrefix(&name, kDirectory) &&
        absl::ConsumeSuffix(&name, kConfig)) {
      programs.emplace_back(name);
    }
  }
  return programs;
}

// [file, size, stride, offset]: a view of the storage of the one tensor in
// `file`.
absl::Status ReadWeight(const Json& json, const std::string& name,
                        const std::string& where, InnerArchives* files,
                        ListedTensors* tensors) {
  const Json::Array* fields = json.AsArray();
  const std::string* file = nullptr;
  const int64_t* offset = nullptr;
  if (fields != nullptr && fields->size() == 4) {
    file = (*fields)[0].AsString();
    offset = (*fields)[3].AsInt();
  }
  if (file == nullptr || offset == nullptr || *offset < 0) {
    return DataLossError(where, ": ", JsonExcerpt(json),
                         " is no [file, size, stride, offset]");
  }
  StridedTensor tensor;
  auto size = ReadDims(&(*fields)[1], "size");
  if (!size.ok()) return Annotate(where, size.status());
  tensor.size = *std::move(size);
  auto stride = ReadDims(&(*fields)[2], "stride");
  if (!stride.ok()) return Annotate(where, stride.status());
  tensor.stride = *std::move(stride);
  tensor.offset = static_cast<uint64_t>(*offset);

  const std::string member = absl::StrCat("data/weights/", *file);
  MQ_ASSIGN_OR_RETURN(const InnerTensors* const inner, files->Get(member));
  if (inner->placed.size() != 1) {
    return DataLossError(where, ": member ", QuotedName(member), " has ",
                         inner->placed.size(), " tensors, not one");
  }
  const PlacedTensor& whole = inner->placed[0];
  tensor.dtype = inner->infos[0].dtype;
  tensor.conj = whole.conj;
  tensor.neg = whole.neg;
  tensor.storage_bytes = whole.storage->size();
  return tensors->Add(name, whole.storage, whole.big_endian, std::move(tensor));
}

}  // namespace

bool HasAotInductor(const TorchArchive& archive) {
  const std::string prefix = absl::StrCat(archive.prefix, kDirectory);
  for (size_t i = 0; i < archive.zip->size(); ++i) {
    if (absl::StartsWith(archive.zip->entry(i).name, prefix)) return true;
  }
  return false;
}

absl::Status ReadAotInductor(const TorchArchive& archive,
                             const OpenOptions& options, CheckpointIndex* index,
                             std::vector<PlacedTensor>* placed) {
  const std::string& file = archive.zip->name();
  const std::vector<std::string> programs = FindPrograms(archive);
  if (programs.empty()) {
    return UnimplementedError(
        file,
        ": this is an AOTInductor package with its weights inside of the "
        "compiled library, which monoquant does not read; compile it with "
        "aot_inductor.package_constants_on_disk_format = \"pickle_weights\", "
        "or name the exported program or checkpoint that it was made from");
  }
  InnerArchives files(archive, options, index);
  ListedTensors tensors(archive, index, placed);
  for (const std::string& program : programs) {
    const std::string member = absl::StrCat(kDirectory, program, kConfig);
    MQ_ASSIGN_OR_RETURN(const Json config, archive.ReadJson(member));
    const Json::Object* weights = config.AsObject();
    if (weights == nullptr) {
      return DataLossError(file, ": member ", QuotedName(member),
                           " is no object");
    }
    const std::string prefix =
        programs.size() > 1 ? absl::StrCat(program, ".") : "";
    for (const Json::Member& weight : *weights) {
      const std::string name = absl::StrCat(prefix, weight.first);
      MQ_RETURN_IF_ERROR(ReadWeight(
          weight.second, name,
          absl::StrCat(file, ": tensor ", QuotedName(name)), &files, &tensors));
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
