#include "exporters/state_dict_pickle.h"

#include <cstddef>
#include <utility>

#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<TorchPickle> PickleStateDict(const Manifest& manifest) {
  TorchPickler pickler(manifest);
  pickler.OrderedDict();
  pickler.writer().Mark();
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    pickler.writer().String(manifest.tensors[i].name);
    MQ_RETURN_IF_ERROR(pickler.Tensor(i));
  }
  pickler.writer().SetItems();
  return std::move(pickler).Finish();
}

}  // namespace monoquant
