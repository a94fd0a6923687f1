#include "cli/inspect_command.h"

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/hash_tensors.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/parallel.h"
#include "cli/progress.h"
#include "cli/run_report.h"
#include "cli/table.h"
#include "core/index_json.h"
#include "core/layer_kind.h"
#include "core/recipe.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// Some files carry whole tokenizers as metadata.
constexpr size_t kMaxMetadataText = 100;

// Of the classes that a pickle names; `scan` and --json list them all.
constexpr size_t kMaxGlobalsShown = 20;

// The tensors to show, as indices, with their digests if those were asked for.
struct Selection {
  std::vector<size_t> tensors;
  bool hashed = false;
  std::vector<std::string> hashes;  // one for each tensor, if hashed
};

absl::StatusOr<Selection> Select(const CheckpointReader& reader,
                                 const InspectArgs& args, Streams& streams) {
  const CheckpointIndex& index = reader.index();
  Selection selection;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    if (args.tensors.empty() ||
        GlobMatch(args.tensors, index.tensors[i].name)) {
      selection.tensors.push_back(i);
    }
  }
  if (selection.tensors.empty() && !args.tensors.empty()) {
    return InvalidArgumentError(index.path, ": no tensor has a name like '",
                                args.tensors,
                                "'; leave out --tensors to see all names");
  }
  selection.hashed = args.hash;
  if (args.hash) {
    Progress progress(args.report.progress, "hashing", streams.err);
    MQ_ASSIGN_OR_RETURN(
        selection.hashes,
        HashTensors(reader, selection.tensors, ResolveThreads(args.run.threads),
                    *streams.cancel, progress));
  }
  return selection;
}

// What each tensor is to the quantization record, by name.
std::map<std::string, std::string> DescribeRoles(const QuantRecord& record) {
  std::map<std::string, std::string> roles;
  for (const QuantizedTensor& tensor : record.tensors) {
    roles[tensor.codes_name()] = absl::StrCat(
        StoredSchemeToString(tensor.storage, tensor.scheme), " of ",
        DTypeName(tensor.dtype), " ", ShapeToString(tensor.shape));
    if (!tensor.scale.empty()) {
      roles[tensor.scale] = absl::StrCat("scale of ", tensor.name);
    }
    if (!tensor.zero_point.empty()) {
      roles[tensor.zero_point] = absl::StrCat("zero point of ", tensor.name);
    }
    if (!tensor.global_scale.empty()) {
      roles[tensor.global_scale] =
          absl::StrCat("global scale of ", tensor.name);
    }
    for (const std::string& constant : tensor.constants) {
      roles[constant] = absl::StrCat("constant of ", tensor.name);
    }
  }
  return roles;
}

std::string MetadataText(absl::string_view value) {
  std::string text = Printable(value.substr(0, kMaxMetadataText));
  if (value.size() > kMaxMetadataText) {
    absl::StrAppend(&text, "... (", HumanBytes(value.size()), ")");
  }
  return text;
}

std::string ToText(const Input& input, const Selection& selection) {
  const CheckpointIndex& index = input.reader->index();
  std::string text = absl::StrCat(Printable(input.path), "  ",
                                  IndexToLine(index, input.file_bytes), "\n");
  // What other programs quantized, is in the notes.
  if (!index.quant.version.empty()) {
    absl::StrAppend(&text, index.quant.recipe.empty() ? "written" : "quantized",
                    " by monoquant ", Printable(index.quant.version), " from ",
                    Printable(index.quant.source_name), "\n");
  }
  for (const auto& [key, value] : index.metadata) {
    absl::StrAppend(&text, "metadata  ", Printable(key), " = ",
                    MetadataText(value), "\n");
  }
  if (!input.side_files.carried.empty()) {
    absl::StrAppend(&text, "beside    ",
                    Printable(absl::StrJoin(input.side_files.carried, ", ")),
                    "\n");
  }
  if (!index.globals.empty()) {
    std::vector<std::string> shown = index.globals;
    std::string more;
    if (shown.size() > kMaxGlobalsShown) {
      more = absl::StrCat(" and ", shown.size() - kMaxGlobalsShown, " more");
      shown.resize(kMaxGlobalsShown);
    }
    absl::StrAppend(&text, "globals   ", Printable(absl::StrJoin(shown, ", ")),
                    more, "\n");
  }
  for (const std::string& note : index.notes) {
    absl::StrAppend(&text, "note      ", Printable(note), "\n");
  }

  const std::map<std::string, std::string> roles = DescribeRoles(index.quant);
  std::vector<std::string> header = {"tensor", "dtype", "shape", "size"};
  if (selection.hashed) header.push_back("sha256");
  header.push_back("note");
  Table table(std::move(header), {Table::Align::kLeft, Table::Align::kLeft,
                                  Table::Align::kLeft, Table::Align::kRight});
  for (size_t i = 0; i < selection.tensors.size(); ++i) {
    const TensorInfo& info = index.tensors[selection.tensors[i]];
    std::string note = info.module_kind;
    if (const auto role = roles.find(info.name); role != roles.end()) {
      note = role->second;
    }
    if (info.tie != kNoTie) {
      note = absl::StrCat("tied to ", index.tensors[info.tie].name);
    }
    std::vector<std::string> cells = {
        info.name, std::string(DTypeName(info.dtype)),
        ShapeToString(info.shape), HumanBytes(info.byte_size)};
    if (selection.hashed) cells.push_back(selection.hashes[i]);
    cells.push_back(std::move(note));
    table.Add(std::move(cells));
  }
  absl::StrAppend(&text, "\n", table.ToString());
  return text;
}

// With digests the document has the members that say what the tensors are, and
// no other, so that equal contents give equal text.
Json ToJson(const Input& input, const Selection& selection) {
  const CheckpointIndex& index = input.reader->index();
  const std::vector<LayerKind> kinds = FindLayerKinds(index);
  Json tensors((Json::Array()));
  for (size_t i = 0; i < selection.tensors.size(); ++i) {
    if (!selection.hashed) {
      const size_t tensor = selection.tensors[i];
      tensors.Append(TensorToJson(index, tensor, kinds[tensor]));
      continue;
    }
    const TensorInfo& info = index.tensors[selection.tensors[i]];
    Json json;
    json.Set("name", info.name);
    json.Set("dtype", DTypeName(info.dtype));
    json.Set("shape", Json::Array(info.shape.begin(), info.shape.end()));
    json.Set("bytes", info.byte_size);
    json.Set("sha256", selection.hashes[i]);
    tensors.Append(std::move(json));
  }
  Json json = IndexToJson(index, std::move(tensors));
  if (selection.hashed) {
    Json contents;
    for (const char* key : {"container", "metadata", "tensors"}) {
      contents.Set(key, *json.Find(key));
    }
    return contents;
  }
  const std::vector<std::string>& side_files = input.side_files.carried;
  json.Set("side_files", Json::Array(side_files.begin(), side_files.end()));
  return json;
}

}  // namespace

absl::Status RunInspect(const InspectArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(const Input input, OpenInput(args.input));
  MQ_ASSIGN_OR_RETURN(const Selection selection,
                      Select(*input.reader, args, streams));
  if (args.report.json) {
    streams.WriteDocument(ToJson(input, selection));
  } else if (!args.report.quiet) {
    *streams.out << ToText(input, selection);
  }
  return absl::OkStatus();
}

}  // namespace monoquant::cli
