#include "frontends/torch/torch_reader.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/place_state_dict.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/torch_archive.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kMaxRecordBytes = uint64_t{64} << 20;

// A stored member of the archive.
class ZipStorage : public Storage {
 public:
  ZipStorage(std::shared_ptr<const ZipArchive> zip, size_t member,
             std::string label, std::string file_name)
      : zip_(std::move(zip)),
        member_(member),
        label_(std::move(label)),
        file_name_(std::move(file_name)) {}

  const std::string& file() const override { return zip_->name(); }
  std::string label() const override { return label_; }
  uint64_t size() const override { return zip_->entry(member_).size; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    return zip_->ReadAt(member_, offset, dst);
  }
  std::optional<FileExtent> Locate() const override {
    const auto offset = zip_->DataOffset(member_);
    if (!offset.ok()) return std::nullopt;
    return FileExtent{file_name_, *offset, size()};
  }

 private:
  const std::shared_ptr<const ZipArchive> zip_;
  const size_t member_;
  const std::string label_;
  const std::string file_name_;  // bare
};

absl::StatusOr<std::shared_ptr<const Storage>> FindZipStorage(
    const TorchArchive& archive, const std::string& file_name,
    absl::string_view key) {
  std::string label = absl::StrCat("data/", key);
  const std::optional<size_t> member = archive.Find(label);
  if (!member.has_value()) {
    return absl::DataLossError(absl::StrCat(
        "storage ", QuotedName(label),
        " is not in the archive; the file is incomplete, download or copy it "
        "again"));
  }
  if (archive.zip->entry(*member).method != ZipMethod::kStored) {
    return absl::UnimplementedError(absl::StrCat(
        "storage ", QuotedName(label),
        " is compressed, which torch never does; load the file in torch and "
        "save it again"));
  }
  return std::make_shared<ZipStorage>(archive.zip, *member, std::move(label),
                                      file_name);
}

absl::Status ReadRecord(const TorchArchive& archive, CheckpointIndex* index) {
  const auto member = archive.Find(kQuantRecordFile);
  if (!member.has_value()) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      archive.zip->ReadMember(*member, kMaxRecordBytes));
  absl::StatusOr<QuantRecord> record = QuantRecordFromJson(text);
  if (!record.ok()) {
    return absl::DataLossError(
        absl::StrCat(archive.zip->name(), ": member ",
                     QuotedName(archive.zip->entry(*member).name), ": ",
                     record.status().message()));
  }
  index->quant = *std::move(record);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> IsTorchZip(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  uint8_t magic[4] = {};
  if (source->size() < sizeof(magic)) return false;
  MQ_RETURN_IF_ERROR(source->ReadAt(0, absl::MakeSpan(magic)));
  // A member's header, or the end record of an archive without members.
  return magic[0] == 'P' && magic[1] == 'K' &&
         ((magic[2] == 3 && magic[3] == 4) || (magic[2] == 5 && magic[3] == 6));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchZip(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  MQ_ASSIGN_OR_RETURN(TorchArchive archive,
                      OpenTorchArchive(std::move(source)));
  const ZipArchive& zip = *archive.zip;
  MQ_ASSIGN_OR_RETURN(std::string pickle,
                      zip.ReadMember(archive.data_pkl, PickleLimits().bytes));
  MQ_ASSIGN_OR_RETURN(
      const StateDict state_dict,
      ReadStateDict(
          std::move(pickle), zip.name(),
          absl::StrCat("member ", QuotedName(zip.entry(archive.data_pkl).name)),
          options));
  CheckpointIndex index;
  index.container = archive.torchscript ? "torchscript" : "torch";
  index.path = files.path;
  index.notes = archive.notes;
  std::vector<PlacedTensor> placed;
  const auto find = [&](absl::string_view key) {
    return FindZipStorage(archive, files.main, key);
  };
  MQ_RETURN_IF_ERROR(PlaceStateDict(state_dict, zip.name(), find,
                                    archive.big_endian, &index, &placed));
  MQ_RETURN_IF_ERROR(ReadRecord(archive, &index));
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
