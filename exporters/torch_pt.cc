#include "exporters/torch_pt.h"

#include "exporters/state_dict_pickle.h"
#include "exporters/torch_archive.h"

namespace monoquant {

const Exporter& TorchPtExporter() {
  static const Exporter* const exporter =
      new TorchArchiveExporter("torch", PickleStateDict);
  return *exporter;
}

}  // namespace monoquant
