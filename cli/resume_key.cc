#include "cli/resume_key.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/version.h"
#include "ir/dtype.h"
#include "ir/file_stamp.h"
#include "ir/manifest.h"
#include "ir/marks.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/sha256.h"
#include "ir/shape.h"

namespace monoquant::cli {
namespace {

// A hash over a list of texts and numbers.
class Hash {
 public:
  // With its size, so that what follows is not taken for a part of it.
  void Add(absl::string_view text) {
    Add(uint64_t{text.size()});
    AddBytes(text.data(), text.size());
  }

  void Add(uint64_t number) { AddBytes(&number, sizeof(number)); }

  std::string ToHex() { return sha_.ToHex(); }

 private:
  void AddBytes(const void* bytes, size_t size) {
    sha_.Add(absl::MakeConstSpan(static_cast<const uint8_t*>(bytes), size));
  }

  Sha256 sha_;
};

// Another build of the same version may compute something else.
std::string DescribeProgram() {
  const std::string path = "/proc/self/exe";
  FileStamps stamps;
  stamps.Add(path);
  return absl::StrCat(kVersion, " ", stamps.Describe({path}));
}

void AddTensor(const TensorInfo& info, const TensorPlan& plan, Hash& hash) {
  hash.Add(info.name);
  hash.Add(DTypeName(info.dtype));
  hash.Add(ShapeToString(info.shape));
  hash.Add(uint64_t{info.tie});
  hash.Add(static_cast<uint64_t>(plan.action));
  if (plan.action == Action::kQuantize) {
    hash.Add(SchemeToString(plan.scheme));
    hash.Add(plan.observer);
    hash.Add(plan.algorithm);
    hash.Add(plan.packing.row_bytes);
    hash.Add(uint64_t{plan.packing.offset});
    hash.Add(static_cast<uint64_t>(plan.packing.order));
    hash.Add(uint64_t{plan.packing.zero_points_less_1});
    hash.Add(uint64_t{plan.packing.first_code_high});
    hash.Add(uint64_t{plan.packing.zero_point_words});
    hash.Add(plan.packing.scale_block);
    hash.Add(uint64_t{plan.packing.code_bytes});
    hash.Add(uint64_t{plan.scale_leader});
  }
  for (const size_t output : plan.outputs()) {
    hash.Add(uint64_t{output});
  }
}

}  // namespace

std::string ResumeKey(const ResumeKeyInput& input) {
  Hash hash;
  hash.Add(DescribeProgram());
  hash.Add(input.command);
  hash.Add(input.chunk_bytes);
  hash.Add(uint64_t{input.measure_errors});
  hash.Add(input.file->path);
  hash.Add(input.file->stamps.Describe(input.file->files));

  const CheckpointIndex& index = input.reader->index();
  hash.Add(index.container);
  hash.Add(index.root);
  hash.Add(static_cast<uint64_t>(input.plan->nonfinite));
  for (const TensorPlan& tensor : input.plan->tensors) {
    AddTensor(index.tensors[tensor.input], tensor, hash);
  }
  // In which storage they are.
  hash.Add(QuantRecordToJson(input.plan->manifest.record));
  for (const OutputTensor& output : input.plan->manifest.tensors) {
    hash.Add(DTypeName(output.dtype));
    hash.Add(output.byte_size);
    hash.Add(uint64_t{output.tie});
  }
  for (const WeightFile& file : input.output_plan->files) {
    const Marks& elsewhere = file.layout.elsewhere;
    if (std::find(elsewhere.begin(), elsewhere.end(), true) !=
        elsewhere.end()) {
      return "";
    }
    hash.Add(file.name);
    hash.Add(file.layout.file_size);
    for (const uint64_t offset : file.layout.offsets) hash.Add(offset);
  }
  for (const Shard& shard : input.output_plan->shards) {
    for (const size_t output : shard.outputs) hash.Add(uint64_t{output});
  }
  return hash.ToHex();
}

}  // namespace monoquant::cli
