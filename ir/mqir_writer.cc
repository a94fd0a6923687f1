#include "ir/mqir_writer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/mqir_format.h"
#include "ir/mqir_index.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::Status CannotWrite(absl::string_view reason) {
  return FailedPreconditionError("cannot write an .mqir file: ", reason);
}

absl::Status TooLarge() {
  return CannotWrite(absl::StrCat("the index exceeds ", kMaxMqirTensors,
                                  " tensors or ", kMaxMqirIndexSize, " bytes"));
}

// The manifest as the index that a reader would see, without extents.
CheckpointIndex ToCheckpoint(const Manifest& manifest) {
  CheckpointIndex checkpoint;
  checkpoint.container = "mqir";
  checkpoint.tensors.reserve(manifest.tensors.size());
  for (const OutputTensor& from : manifest.tensors) {
    TensorInfo& tensor = checkpoint.tensors.emplace_back();
    tensor.name = from.name;
    tensor.dtype = from.dtype;
    tensor.shape = from.shape;
    tensor.byte_size = from.byte_size;
    tensor.tie = from.tie;
    tensor.module_kind = from.module_kind;
  }
  checkpoint.metadata = manifest.metadata;
  checkpoint.quant = manifest.record;
  return checkpoint;
}

// Adds the sources and turns the extents of linked tensors to them.
absl::Status ApplyLinks(absl::Span<const MqirLink> links, MqirIndex* index) {
  absl::flat_hash_map<absl::string_view, uint32_t> sources;
  for (const MqirLink& link : links) {
    const std::vector<TensorInfo>& tensors = index->checkpoint.tensors;
    if (link.tensor >= tensors.size() || tensors[link.tensor].tie != kNoTie) {
      return CannotWrite(absl::StrCat("tensor ", link.tensor,
                                      " does not exist or is tied, it cannot "
                                      "be linked"));
    }
    MqirExtent& extent = index->extents[index->tensor_extents[link.tensor]];
    if (extent.source != 0) {
      return CannotWrite(absl::StrCat("tensor ",
                                      QuotedName(tensors[link.tensor].name),
                                      " is linked twice"));
    }
    const auto [it, is_new] = sources.try_emplace(
        link.file, static_cast<uint32_t>(index->sources.size() + 1));
    if (is_new) {
      index->sources.push_back({link.file, link.file_size, link.container});
    } else if (index->sources[it->second - 1].size != link.file_size) {
      return CannotWrite(absl::StrCat("links disagree about the size of ",
                                      QuotedName(link.file)));
    }
    extent.source = it->second;
    extent.offset = link.offset;
  }
  return absl::OkStatus();
}

// The index with all but offsets in this file and checksums.
absl::StatusOr<MqirIndex> MakeIndex(const Manifest& manifest,
                                    absl::Span<const MqirLink> links) {
  if (manifest.tensors.size() > kMaxMqirTensors) return TooLarge();
  MQ_RETURN_IF_ERROR(CheckHasWriter(manifest.record));
  MqirIndex index;
  index.checkpoint = ToCheckpoint(manifest);
  // Before anything relies on ties, sizes and the record.
  const absl::Status valid = ValidateIndex(index.checkpoint);
  if (!valid.ok()) return CannotWrite(valid.message());
  for (const TensorInfo& tensor : index.checkpoint.tensors) {
    if (tensor.tie != kNoTie) {
      index.tensor_extents.push_back(index.tensor_extents[tensor.tie]);
      continue;
    }
    index.tensor_extents.push_back(static_cast<uint32_t>(index.extents.size()));
    index.extents.push_back({.size = tensor.byte_size});
  }
  MQ_RETURN_IF_ERROR(ApplyLinks(links, &index));
  return index;
}

// Gives every extent of this file its offset and returns the file's size.
absl::StatusOr<uint64_t> Place(uint64_t index_size,
                               std::vector<MqirExtent>* extents) {
  uint64_t end;
  if (!MqirPayloadStart(index_size, &end)) return TooLarge();
  for (MqirExtent& extent : *extents) {
    if (extent.source != 0) continue;
    if (!CheckedAlignUp(end, kMqirAlignment, &extent.offset) ||
        !CheckedAdd(extent.offset, extent.size, &end)) {
      return CannotWrite("the file would have more than 2^64 bytes");
    }
  }
  return end;
}

}  // namespace

absl::StatusOr<MqirLayout> LayoutMqir(const Manifest& manifest,
                                      absl::Span<const MqirLink> links) {
  MQ_ASSIGN_OR_RETURN(MqirIndex index, MakeIndex(manifest, links));
  const size_t index_size = EncodeMqirIndex(index).size();
  if (index_size == 0) return TooLarge();
  MqirLayout layout;
  MQ_ASSIGN_OR_RETURN(layout.file_size, Place(index_size, &index.extents));
  for (uint32_t extent : index.tensor_extents) {
    layout.offsets.push_back(index.extents[extent].offset);
  }

  // What is written must be readable: ask the reader, before a payload byte is
  // written. It also checks links, metadata and texts.
  const std::vector<uint8_t> bytes = EncodeMqirIndex(index);
  const MqirHeader header = {.file_size = layout.file_size,
                             .index_size = bytes.size()};
  const absl::Status readable =
      DecodeMqirIndex(bytes, header, "output").status();
  if (!readable.ok()) return CannotWrite(readable.message());
  return layout;
}

absl::StatusOr<std::string> BuildMqirHeadAndIndex(
    const Manifest& manifest, const MqirLayout& layout,
    absl::Span<const uint32_t> crc32, absl::Span<const MqirLink> links) {
  const size_t count = manifest.tensors.size();
  if (layout.offsets.size() != count || crc32.size() != count) {
    return InternalError("manifest of ", count, " tensors with ",
                         layout.offsets.size(), " offsets and ", crc32.size(),
                         " checksums");
  }
  MQ_ASSIGN_OR_RETURN(MqirIndex index, MakeIndex(manifest, links));
  for (size_t i = 0; i < count; ++i) {
    if (manifest.tensors[i].tie != kNoTie) continue;
    MqirExtent& extent = index.extents[index.tensor_extents[i]];
    extent.offset = layout.offsets[i];
    extent.crc32 = crc32[i];
  }
  const std::vector<uint8_t> bytes = EncodeMqirIndex(index);
  const MqirHeader header = {.file_size = layout.file_size,
                             .index_size = bytes.size(),
                             .index_crc32 = Crc32(bytes)};
  std::string out = EncodeMqirHeader(header);
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  uint64_t payload_start;
  if (!MqirPayloadStart(bytes.size(), &payload_start)) return TooLarge();
  out.resize(payload_start, '\0');
  return out;
}

}  // namespace monoquant
