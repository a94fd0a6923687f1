#include "frontends/torch/foreign_zip.h"

#include <cstddef>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "ir/errors.h"

namespace monoquant {
namespace {

enum class Match { kWhole, kEnd, kInside };

struct ForeignRow {
  Match match;
  absl::string_view member;
  absl::string_view what;
  absl::string_view next_step;
};

constexpr absl::string_view kExtract =
    "extract it and name the checkpoint inside";

constexpr ForeignRow kRows[] = {
    {Match::kEnd, "/.data/extern_modules", "a torch.package archive",
     "load the model from it in Python and save its state_dict()"},
    {Match::kWhole, "MAR-INF/MANIFEST.json",
     "a TorchServe model archive (.mar)", kExtract},
    {Match::kInside, "data/aotinductor/",
     "an AOTInductor package of a torch before 2.8",
     "save the state_dict() of the model that it was made from"},
    {Match::kWhole, "model.weights.h5", "a Keras model",
     "only PyTorch checkpoints are read"},
    {Match::kWhole, "data.pkl",
     "a torch archive that was packed again without its directory",
     "extract it into a directory and pack that directory, stored"},
    {Match::kEnd, ".npy", "an archive of NumPy arrays (.npz)",
     "save the arrays as tensors in torch or safetensors"},
    {Match::kEnd, ".safetensors", "an archive of checkpoints", kExtract},
    {Match::kEnd, ".ckpt", "an archive of checkpoints", kExtract},
    {Match::kEnd, ".pth", "an archive of checkpoints", kExtract},
    {Match::kEnd, ".pt", "an archive of checkpoints", kExtract},
    {Match::kEnd, ".bin", "an archive of checkpoints", kExtract},
};

bool Matches(const ForeignRow& row, absl::string_view name) {
  switch (row.match) {
    case Match::kWhole:
      return name == row.member;
    case Match::kEnd:
      return absl::EndsWith(name, row.member);
    default:
      return absl::StrContains(name, row.member);
  }
}

bool HasMember(const ZipArchive& zip, const ForeignRow& row) {
  for (size_t i = 0; i < zip.size(); ++i) {
    if (Matches(row, zip.entry(i).name)) return true;
  }
  return false;
}

}  // namespace

absl::Status DescribeForeignZip(const ZipArchive& zip) {
  absl::string_view what = "a zip archive without data.pkl";
  absl::string_view next_step =
      "name a file that torch.save wrote, or a .safetensors file";
  for (const ForeignRow& row : kRows) {
    if (!HasMember(zip, row)) continue;
    what = row.what;
    next_step = row.next_step;
    break;
  }
  return UnimplementedError(zip.name(), ": this is ", what,
                            ", which monoquant does not read; ", next_step);
}

}  // namespace monoquant
