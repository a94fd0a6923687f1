// Tensors in the pickle of a torch archive, and the storages that they are made
// of.

#ifndef MONOQUANT_EXPORTERS_TORCH_PICKLER_H_
#define MONOQUANT_EXPORTERS_TORCH_PICKLER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "exporters/pickle_writer.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/manifest.h"

namespace monoquant {

// The bytes of a storage: those of a tensor, or what follows from the format.
struct TorchStorage {
  size_t tensor = kNoTie;  // of the manifest
  std::string bytes;       // if there is no tensor
};

// A pickle, and the storages whose keys in it are 0, 1, ...: in the order in
// which it refers to them, as torch counts offsets.
struct TorchPickle {
  std::string pickle;
  std::vector<TorchStorage> storages;
};

// Pushes tensors. torch.load(weights_only=True) reads all of them.
class TorchPickler {
 public:
  // `manifest` must outlive this.
  explicit TorchPickler(const Manifest& manifest) : manifest_(manifest) {}

  // For everything that is not a tensor.
  PickleWriter& writer() { return writer_; }

  // An empty OrderedDict.
  void OrderedDict();

  // Tensor `tensor` of the manifest, contiguous; it is all of its storage,
  // which tied tensors share. FailedPrecondition, naming it, for what torch
  // does not have; see torch_pt.h.
  absl::Status Tensor(size_t tensor);

  // torch's qint8 tensor of codes (I8), with a scale (F64) and a zero point
  // (I64) for each index of its first dimension; or its quint8 tensor (U8),
  // with both as F32.
  absl::Status QuantizedTensor(size_t codes, size_t scale, size_t zero_point);

  // A tensor without dimensions of these bytes, which equal ones share.
  void Scalar(DType dtype, absl::string_view bytes);

  TorchPickle Finish() &&;

 private:
  size_t StorageOf(size_t tensor);
  void PickleStorage(absl::string_view module, absl::string_view name,
                     size_t storage, uint64_t elements);
  void PickleEnd();

  const Manifest& manifest_;
  PickleWriter writer_;
  std::vector<TorchStorage> storages_;
  // Numbers of the storages, by the tensor that has the bytes, and by bytes.
  absl::flat_hash_map<size_t, size_t> of_tensor_;
  absl::flat_hash_map<std::string, size_t> of_bytes_;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_TORCH_PICKLER_H_
