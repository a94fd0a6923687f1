#include "cli/convert_command.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/transform.h"
#include "core/plan.h"
#include "core/repacking_reader.h"
#include "exporters/exporter.h"
#include "exporters/mqir.h"
#include "exporters/mqir_links.h"
#include "exporters/program_checks.h"
#include "exporters/programs.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/manifest.h"
#include "ir/mqir_writer.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// InvalidArgument if the output cannot hold links to the input.
absl::Status CheckLinkable(const Transform& transform) {
  const std::string& path = transform.output.path;
  if (transform.output.is_directory) {
    return InvalidArgumentError(
        path,
        ": is a directory, but --link is for one file beside the "
        "weights; name a .mqir file");
  }
  if (transform.output.row->exporter->name() != MqirExporter().name()) {
    return InvalidArgumentError(
        path,
        ": only mqir files can leave the weights where they are; leave "
        "out --link or add --to mqir");
  }
  const CheckpointFiles& files = transform.file.checkpoint_files;
  const std::string directory =
      files.is_directory ? files.path : DirectoryOf(files.path);
  if (SameFile(DirectoryOf(path), directory)) return absl::OkStatus();
  return InvalidArgumentError(
      path, ": a file with --link must lie beside the weights; write it into ",
      directory);
}

// The file as it is. Where --to or --for says in which format, its weights are
// stored as that does it; a file with links leaves them where they are.
// InvalidArgument if --for alone is to choose one for floats.
absl::StatusOr<Input> ChooseInput(const ConvertArgs& args,
                                  const Transform& transform,
                                  std::vector<std::string>* notes) {
  Input input = transform.file;
  const bool has_format = !args.transform.output.to.empty();
  const bool has_program = transform.output.program != nullptr;
  if (args.link || (!has_format && !has_program)) return input;
  if (!has_format && input.reader->index().quant.tensors.empty()) {
    return InvalidArgumentError(
        input.path,
        ": nothing in it is quantized, and --for chooses formats of quantized "
        "weights; add --to safetensors, or use quantize");
  }
  const ExporterRow& row = *transform.output.row;
  MQ_ASSIGN_OR_RETURN(input.reader,
                      MakeRepackingReader(transform.file.reader, row.storage));
  if (input.reader != transform.file.reader) {
    const uint64_t weights = input.reader->index().quant.tensors.size();
    notes->push_back(absl::StrCat(Plural(weights, "quantized tensor"),
                                  " stored as in ", row.exporter->name(),
                                  ", with the same numbers"));
  }
  return input;
}

// What the user should know about the links.
std::string LinkNote(const std::vector<MqirLink>& links,
                     const Manifest& manifest, const std::string& path) {
  uint64_t bytes = 0;
  for (const MqirLink& link : links) {
    bytes += manifest.tensors[link.tensor].byte_size;
  }
  if (bytes == 0) {
    return absl::StrCat("no tensor lies in ", path,
                        " as it is, so nothing could be linked");
  }
  return absl::StrCat(HumanBytes(bytes), " of weights stay in ", path,
                      ", which must be kept beside the output unchanged");
}

}  // namespace

absl::Status RunConvert(const ConvertArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(
      const Transform transform,
      BeginTransform("convert", "converting", /*suffix=*/"", args.transform));
  std::vector<std::string> notes;
  MQ_ASSIGN_OR_RETURN(const Input input, ChooseInput(args, transform, &notes));
  MQ_ASSIGN_OR_RETURN(const Plan plan, MakeCopyPlan(input.reader->index()));
  if (const Program* program = transform.output.program) {
    const absl::Status status = CheckManifest(*program, plan.manifest);
    if (!status.ok()) return Annotate(input.path, status);
  }
  const Exporter* exporter = transform.output.row->exporter;
  std::unique_ptr<Exporter> linking_exporter;
  if (args.link) {
    MQ_RETURN_IF_ERROR(CheckLinkable(transform));
    MQ_ASSIGN_OR_RETURN(std::vector<MqirLink> links,
                        FindLinks(input.checkpoint_files, *input.reader, plan));
    notes.push_back(LinkNote(links, plan.manifest, input.path));
    linking_exporter = MakeLinkingMqirExporter(std::move(links));
    exporter = linking_exporter.get();
  }
  return FinishTransform(transform, input, plan, *exporter, std::move(notes),
                         args.transform, streams);
}

}  // namespace monoquant::cli
