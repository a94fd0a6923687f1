// usage: embed CHECKPOINT OUTPUT.mqir
//
// Opens a checkpoint of any kind, quantizes its first matrix in memory, then
// the whole checkpoint into a .mqir file, and reads that back.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plan.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "exporters/write_checkpoint.h"
#include "frontends/frontend.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/quant_scheme.h"

namespace mq = monoquant;

// Prints what went wrong and ends with monoquant's exit code for it.
void OrDie(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << "error: " << status.message() << "\n";
  std::exit(mq::GetErrorRow(status.code()).exit_code);
}
template <typename T>
T OrDie(absl::StatusOr<T> result) {
  OrDie(result.status());
  return *std::move(result);
}

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: embed IN OUT.mqir\n", 2;
  const auto open = [](const std::string& path) {
    return OrDie(mq::OpenCheckpoint(OrDie(mq::OpenLocalCheckpoint(path))));
  };

  // One tensor in memory: floats in, codes and scales out.
  const auto model = open(argv[1]);
  const std::vector<mq::TensorInfo>& tensors = model->index().tensors;
  size_t i = 0;
  while (i < tensors.size() && (tensors[i].dtype != mq::DType::kF32 ||
                                tensors[i].shape.size() != 2)) {
    ++i;
  }
  if (i < tensors.size()) {
    std::vector<float> weights(tensors[i].byte_size / sizeof(float));
    OrDie(model->Read(
        i, 0, weights.size(),
        {reinterpret_cast<uint8_t*>(weights.data()), tensors[i].byte_size}));
    mq::QuantScheme int8;  // symmetric, one scale for each row
    const auto q = OrDie(mq::QuantizeTensor(weights, tensors[i].shape, int8));
    std::cout << tensors[i].name << ": " << q.codes.size() << " bytes of "
              << tensors[i].byte_size << "\n";
  }

  // The whole checkpoint, in pieces: memory does not grow with the model.
  const mq::Plan plan = OrDie(mq::MakePlan(model->index(), mq::Recipe()));
  OrDie(mq::WriteCheckpoint(
      *model, plan, *OrDie(mq::FindExporter("mqir"))->exporter,
      [&](uint64_t size) { return mq::CreateLocalSink(argv[2], size, {}); }));

  const auto written = open(argv[2]);
  std::cout << argv[2] << ": " << written->index().tensors.size()
            << " tensors, " << written->index().quant.tensors.size()
            << " of them quantized\n";
}
