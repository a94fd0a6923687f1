// Makes small distributed checkpoints for tests; on request, wrong ones.

#ifndef MONOQUANT_FRONTENDS_TESTING_DCP_BUILDER_H_
#define MONOQUANT_FRONTENDS_TESTING_DCP_BUILDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace monoquant::testing {

// One chunk. Whatever is set beyond its place and bytes replaces the right
// value.
struct SavedChunk {
  std::vector<int64_t> offset;
  std::vector<int64_t> size;
  std::string bytes;

  // What stands in the file; otherwise TensorArchive of the bytes.
  std::optional<std::string> archive;
  // What storage_data says.
  bool is_stored = true;
  std::vector<int64_t> stored_offset = offset;
  std::optional<std::string> relative_path;
  std::optional<int64_t> slice_offset;
  std::optional<int64_t> slice_length;
  std::string transform;
};

struct SavedTensor {
  // In planner_data, the path; joined by dots, the key.
  std::vector<std::string> path;
  std::vector<int64_t> size;
  std::vector<SavedChunk> chunks;
  std::string dtype = "float32";
  std::string storage_class = "FloatStorage";
};

struct DcpBuilder {
  std::vector<SavedTensor> tensors;
  // Paths of Python objects.
  std::vector<std::vector<std::string>> objects;
  bool has_planner_data = true;

  // The files ".metadata" and "__0_0.distcp".
  std::vector<std::pair<std::string, std::string>> Build() const;
};

// torch.save of one contiguous tensor.
std::string TensorArchive(absl::string_view storage_class,
                          const std::vector<int64_t>& size,
                          absl::string_view bytes);

}  // namespace monoquant::testing

#endif  // MONOQUANT_FRONTENDS_TESTING_DCP_BUILDER_H_
