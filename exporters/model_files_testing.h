// Model directories of which there is nothing but the index.

#ifndef MONOQUANT_EXPORTERS_MODEL_FILES_TESTING_H_
#define MONOQUANT_EXPORTERS_MODEL_FILES_TESTING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "exporters/model_files.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/errors.h"

namespace monoquant::testing {

// Tensors "t0", "t1" ... of 64 bytes in files; an empty name: in none as it is.
class IndexOnlyReader : public CheckpointReader {
 public:
  IndexOnlyReader(std::string container, std::vector<std::string> files)
      : files_(std::move(files)) {
    index_.container = std::move(container);
    for (size_t i = 0; i < files_.size(); ++i) {
      TensorInfo info;
      info.name = "t" + std::to_string(i);
      info.dtype = DType::kU8;
      info.shape = {64};
      info.byte_size = 64;
      index_.tensors.push_back(info);
    }
  }

  const CheckpointIndex& index() const override { return index_; }
  CheckpointIndex& mutable_index() { return index_; }
  absl::Status Read(size_t, uint64_t, uint64_t,
                    absl::Span<uint8_t>) const override {
    return UnimplementedError("only an index");
  }
  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (files_[tensor].empty()) return std::nullopt;
    return FileExtent{files_[tensor], 0, 64};
  }

 private:
  CheckpointIndex index_;
  const std::vector<std::string> files_;
};

// The directory "dir" with a tensor for each of `file_of_each`, a config.json
// and other weights, "old.bin".
inline ModelFiles DirectoryOf(std::vector<std::string> weight_files,
                              std::vector<std::string> file_of_each,
                              std::string container = "safetensors-sharded") {
  ModelFiles model;
  model.path = "dir";
  model.directory = "dir";
  model.is_directory = true;
  model.weight_files = std::move(weight_files);
  model.side_files.carried = {"config.json"};
  model.side_files.other_weights = {"old.bin"};
  model.reader = std::make_shared<IndexOnlyReader>(std::move(container),
                                                   std::move(file_of_each));
  model.stored = model.reader;
  return model;
}

// The names of the files of TwoShards.
inline constexpr const char* kTwoShards[] = {"m-00001-of-00002.safetensors",
                                             "m-00002-of-00002.safetensors"};

// A directory of two shards and five tensors, two of which lie in no file as
// they are.
inline ModelFiles TwoShards() {
  return DirectoryOf({kTwoShards[0], kTwoShards[1]},
                     {kTwoShards[0], "", kTwoShards[1], kTwoShards[1], ""});
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_EXPORTERS_MODEL_FILES_TESTING_H_
