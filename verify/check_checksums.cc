#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/sharded/checkpoint_directory.h"
#include "frontends/zip/zip_archive.h"
#include "ir/byte_source.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/status_macros.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

// Bare names of the files that tensors lie in, as far as readers tell.
std::set<std::string> WeightFiles(const Subject& subject) {
  std::set<std::string> names;
  for (size_t i = 0; i < subject.tensors().size(); ++i) {
    const auto extent = subject.stored->Locate(i);
    if (extent.has_value()) names.insert(extent->file);
  }
  // Compressed members are nowhere as they are.
  if (!subject.main_file.empty() && !IsIndexName(subject.main_file)) {
    names.insert(subject.main_file);
  }
  return names;
}

absl::StatusOr<bool> IsZip(const ByteSource& source) {
  uint8_t magic[4] = {};
  if (source.size() < sizeof(magic)) return false;
  MQ_RETURN_IF_ERROR(source.ReadAt(0, absl::MakeSpan(magic)));
  return magic[0] == 'P' && magic[1] == 'K' && magic[2] == 3 && magic[3] == 4;
}

class Check {
 public:
  Check(const Subject& subject, VerifyProgress progress, Findings* findings)
      : subject_(subject), progress_(progress), findings_(*findings) {}

  absl::StatusOr<Checksums> Run() {
    if (subject_.stored->index().container == "mqir") {
      MQ_RETURN_IF_ERROR(CheckMqir());
      return std::move(checksums_);
    }
    std::vector<std::pair<std::string, std::shared_ptr<ByteSource>>> files;
    for (const std::string& name : WeightFiles(subject_)) {
      MQ_ASSIGN_OR_RETURN(auto source, subject_.files.open(name));
      total_ += source->size();
      files.emplace_back(name, std::move(source));
    }
    for (auto& [name, source] : files) {
      const uint64_t before = done_;
      const uint64_t size = source->size();
      MQ_ASSIGN_OR_RETURN(const bool is_zip, IsZip(*source));
      if (is_zip) {
        MQ_RETURN_IF_ERROR(CheckZip(name, std::move(source)));
      } else {
        checksums_.without.push_back(name);
      }
      done_ = before + size;
      MQ_RETURN_IF_ERROR(progress_(done_, total_));
    }
    return std::move(checksums_);
  }

 private:
  // OK unless reading itself fails.
  absl::Status Note(const std::string& file, const absl::Status& status) {
    if (status.ok()) return status;
    if (!absl::IsDataLoss(status)) return status;
    findings_.AddMessage(Severity::kError, FindingKind::kFiles, file,
                         status.message());
    return absl::OkStatus();
  }

  absl::Status CheckZip(const std::string& name,
                        std::shared_ptr<const ByteSource> source) {
    auto archive = ZipArchive::Open(std::move(source));
    if (!archive.ok()) return Note(name, archive.status());
    const ZipArchive& zip = **archive;
    for (size_t i = 0; i < zip.size() && zip.has_checksums(); ++i) {
      MQ_RETURN_IF_ERROR(Note(name, zip.Verify(i)));
      done_ += zip.entry(i).compressed_size;
      MQ_RETURN_IF_ERROR(progress_(done_, total_));
    }
    (zip.has_checksums() ? checksums_.verified : checksums_.without)
        .push_back(name);
    return absl::OkStatus();
  }

  // A reader of .mqir checks all of a tensor before it gives any of it.
  absl::Status CheckMqir() {
    for (const TensorInfo& tensor : subject_.tensors()) {
      total_ += tensor.byte_size;
    }
    for (size_t i = 0; i < subject_.tensors().size(); ++i) {
      const TensorInfo& tensor = subject_.tensors()[i];
      if (tensor.tie == kNoTie && tensor.byte_size > 0) {
        MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(tensor.shape));
        // A number that ends at a byte for elements of any size.
        const uint64_t count = std::min<uint64_t>(elements, 8);
        std::vector<uint8_t> bytes(static_cast<size_t>(
            count * static_cast<uint64_t>(GetDTypeInfo(tensor.dtype).bits) /
            8));
        const auto extent = subject_.stored->Locate(i);
        MQ_RETURN_IF_ERROR(
            Note(extent.has_value() ? extent->file : subject_.main_file,
                 subject_.stored->Read(i, 0, count, absl::MakeSpan(bytes))));
      }
      done_ += tensor.byte_size;
      MQ_RETURN_IF_ERROR(progress_(done_, total_));
    }
    const std::set<std::string> names = WeightFiles(subject_);
    checksums_.verified.assign(names.begin(), names.end());
    return absl::OkStatus();
  }

  const Subject& subject_;
  const VerifyProgress progress_;
  Findings& findings_;
  Checksums checksums_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

absl::StatusOr<Checksums> CheckChecksums(const Subject& subject,
                                         VerifyProgress progress,
                                         Findings* findings) {
  return Check(subject, progress, findings).Run();
}

}  // namespace monoquant
