// Recognises a container by its content and opens it.

#ifndef MONOQUANT_FRONTENDS_FRONTEND_H_
#define MONOQUANT_FRONTENDS_FRONTEND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

struct OpenOptions {
  // Which dict of a training checkpoint holds the weights ("model",
  // "state.ema"); empty: found by itself, and stated in CheckpointIndex::root;
  // ".": all of the checkpoint.
  std::string root;
  // Read the weights of a file whose pickle calls something dangerous, which is
  // refused otherwise. Nothing is ever executed, with or without this.
  bool allow_opaque = false;
  // List the tensors of an already quantized checkpoint as they are stored,
  // codes and scales, and not as the floats that they stand for.
  bool as_stored = false;
  // Leave monoquant's own quantization record unread, so that a checkpoint says
  // no more of its weights than tensors and configuration do. Of safetensors;
  // other containers have no other word for it.
  bool without_record = false;
  // Where it is not null: what is wrong with weights that another program
  // quantized is added here, DataLoss and Unimplemented as they would be
  // returned, and these weights are left as they are stored. For who wants to
  // know of all and not of the first; the weights are not for use.
  std::vector<absl::Status>* problems = nullptr;
};

// What a frontend may find; a row of the table in the README.
struct ContainerKind {
  absl::string_view name;           // CheckpointIndex::container
  absl::string_view recognised_by;  // "`PK`, and `constants.pkl` inside"
  absl::string_view description;    // "`torch.save` of torch 1.6 and later"
};

// A reader of one container, or of a family that begins alike.
struct Frontend {
  absl::Span<const ContainerKind> kinds;
  // True if these bytes are of one of the kinds, by content alone: looks at a
  // few hundred bytes of the main file, or at the names in a directory. Claims
  // nothing about whether they are sound.
  absl::StatusOr<bool> (*recognises)(const CheckpointFiles& files);
  absl::StatusOr<std::unique_ptr<CheckpointReader>> (*open)(
      const CheckpointFiles& files, const OpenOptions& options);
};

// Every frontend, in the order in which they are asked. To add one: a file of
// its own and one line in registry.cc.
absl::Span<const Frontend> AllFrontends();

// The kinds of all frontends as a Markdown table, for the documents.
std::string ContainerTable();

// Opens a checkpoint of any container. Reads the index only.
//
// DataLoss for damaged or malformed files; Unimplemented for things that are
// recognisably something else (a web page, GGUF, an empty file), naming what
// they are and the next step; errors of the source are passed on.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(
    const CheckpointFiles& files, const OpenOptions& options = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_FRONTEND_H_
