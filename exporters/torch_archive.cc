#include "exporters/torch_archive.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "exporters/zip_writer.h"
#include "ir/crc32.h"
#include "ir/quant_record.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kRoot = "archive/";
constexpr size_t kIdDigits = 40;

// A member whose bytes do not depend on the payload.
struct SmallMember {
  size_t member = 0;
  std::string bytes;
};

struct Archive {
  StoredZip zip;
  std::vector<SmallMember> small;
  std::vector<size_t> members;  // of each tensor
};

absl::Status AddSmall(Archive& archive, absl::string_view name,
                      std::string bytes) {
  MQ_RETURN_IF_ERROR(archive.zip.Add(absl::StrCat(kRoot, name), bytes.size()));
  archive.small.push_back({archive.zip.members().size() - 1, std::move(bytes)});
  return absl::OkStatus();
}

absl::StatusOr<Archive> BuildArchive(const Manifest& manifest,
                                     MakeTorchPickle make_pickle) {
  const std::vector<OutputTensor>& tensors = manifest.tensors;
  MQ_RETURN_IF_ERROR(CheckHasWriter(manifest.record));
  Archive archive;
  MQ_ASSIGN_OR_RETURN(TorchPickle pickle, make_pickle(manifest));
  MQ_RETURN_IF_ERROR(AddSmall(archive, "data.pkl", std::move(pickle.pickle)));
  // Version 1 promises that the offsets of the storages can be computed; see
  // zip_writer.h.
  MQ_RETURN_IF_ERROR(AddSmall(archive, ".format_version", "1"));
  MQ_RETURN_IF_ERROR(AddSmall(archive, ".storage_alignment",
                              absl::StrCat(StoredZip::kAlignment)));
  MQ_RETURN_IF_ERROR(AddSmall(archive, "byteorder", "little"));
  if (!manifest.record.empty()) {
    MQ_RETURN_IF_ERROR(AddSmall(archive, kQuantRecordFile,
                                QuantRecordToJson(manifest.record)));
  }
  archive.members.resize(tensors.size());
  for (size_t i = 0; i < pickle.storages.size(); ++i) {
    TorchStorage& storage = pickle.storages[i];
    const std::string name = absl::StrCat("data/", i);
    if (storage.tensor == kNoTie) {
      MQ_RETURN_IF_ERROR(AddSmall(archive, name, std::move(storage.bytes)));
      continue;
    }
    archive.members[storage.tensor] = archive.zip.members().size();
    MQ_RETURN_IF_ERROR(archive.zip.Add(absl::StrCat(kRoot, name),
                                       tensors[storage.tensor].byte_size));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].tie != kNoTie) {
      archive.members[i] = archive.members[tensors[i].tie];
    }
  }
  MQ_RETURN_IF_ERROR(AddSmall(archive, "version", "3\n"));
  MQ_RETURN_IF_ERROR(
      AddSmall(archive, ".data/serialization_id", std::string(kIdDigits, '0')));
  return archive;
}

absl::Span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// FNV-1a: spreads a few bytes over 64 bits.
uint64_t Hash(absl::Span<const uint8_t> bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

std::string Digits20(uint64_t value) {
  const std::string digits = absl::StrCat(value);
  return std::string(20 - digits.size(), '0') + digits;
}

// torch tells two files apart by this in its logs. As there, the first half
// stands for the names and the second for the values.
std::string SerializationId(absl::string_view pickle,
                            absl::Span<const uint32_t> crc32) {
  std::vector<uint8_t> crc_bytes;
  for (uint32_t crc : crc32) {
    for (int i = 0; i < 4; ++i) {
      crc_bytes.push_back(static_cast<uint8_t>(crc >> (8 * i)));
    }
  }
  return Digits20(Hash(Bytes(pickle))) + Digits20(Hash(crc_bytes));
}

}  // namespace

absl::StatusOr<FileLayout> TorchArchiveExporter::Layout(
    const Manifest& manifest) const {
  MQ_ASSIGN_OR_RETURN(const Archive archive,
                      BuildArchive(manifest, make_pickle_));
  FileLayout layout;
  layout.file_size = archive.zip.FileSize();
  for (size_t member : archive.members) {
    layout.offsets.push_back(archive.zip.members()[member].data_offset);
  }
  return layout;
}

absl::Status TorchArchiveExporter::WriteIndex(const Manifest& manifest,
                                              const FileLayout&,
                                              absl::Span<const uint32_t> crc32,
                                              ByteSink& sink) const {
  MQ_ASSIGN_OR_RETURN(Archive archive, BuildArchive(manifest, make_pickle_));
  // The first small member is the pickle; the last, so far of zeros, the id.
  archive.small.back().bytes =
      SerializationId(archive.small.front().bytes, crc32);

  const std::vector<StoredZip::Member>& members = archive.zip.members();
  std::vector<uint32_t> member_crc(members.size());
  for (size_t i = 0; i < archive.members.size(); ++i) {
    member_crc[archive.members[i]] = crc32[i];
  }
  for (const SmallMember& small : archive.small) {
    member_crc[small.member] = Crc32(Bytes(small.bytes));
    MQ_RETURN_IF_ERROR(
        sink.WriteAt(members[small.member].data_offset, Bytes(small.bytes)));
  }
  return archive.zip.WriteHeaders(member_crc, sink);
}

}  // namespace monoquant
