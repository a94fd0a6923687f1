// usage: embed CHECKPOINT OUTPUT.mqir
//
// Opens a checkpoint of any kind, quantizes one of its tensors in memory, then
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
#include "absl/types/span.h"
#include "core/error_stats.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "exporters/output_writer.h"
#include "frontends/frontend.h"
#include "ir/byte_sink.h"
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

std::unique_ptr<mq::CheckpointReader> Open(const std::string& path) {
  return OrDie(mq::OpenCheckpoint(OrDie(mq::OpenLocalCheckpoint(path))));
}

// One tensor in memory: floats in, codes and scales out, and back.
void QuantizeOne(const mq::CheckpointReader& model, size_t tensor) {
  const mq::TensorInfo& info = model.index().tensors[tensor];
  std::vector<float> weights(info.byte_size / sizeof(float));
  OrDie(
      model.Read(tensor, 0, weights.size(),
                 {reinterpret_cast<uint8_t*>(weights.data()), info.byte_size}));

  mq::QuantScheme scheme;  // int8, symmetric, one scale for each row
  const auto codes = OrDie(mq::QuantizeTensor(weights, info.shape, scheme));
  const auto decoded = OrDie(mq::DequantizeTensor(codes, info.shape, scheme));
  mq::ErrorStats error;
  error.Add(weights, decoded);
  std::cout << info.name << ": " << codes.codes.size() << " bytes of "
            << info.byte_size << ", SQNR " << error.SqnrDb() << " dB\n";
}

// A whole checkpoint, in pieces: memory does not grow with the model.
void QuantizeAll(const mq::CheckpointReader& model, const std::string& output) {
  mq::Recipe recipe;
  recipe.defaults.format = mq::NumberFormat::kInt4;
  const mq::Plan plan = OrDie(mq::MakePlan(model.index(), recipe));

  const mq::Exporter& mqir = *OrDie(mq::FindExporter("mqir"))->exporter;
  const mq::FileLayout layout = OrDie(mqir.Layout(plan.manifest));
  const auto sink = OrDie(mq::CreateLocalSink(output, layout.file_size, {}));
  mq::OutputWriter writer(mqir, plan.manifest, layout, *sink);
  const auto job =
      OrDie(mq::Job::Create(&model, plan,
                            [&writer](size_t tensor, uint64_t offset,
                                      absl::Span<const uint8_t> bytes) {
                              return writer.Write(tensor, offset, bytes);
                            }));
  OrDie(mq::RunToEnd(*job));
  OrDie(writer.Finish());
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: embed CHECKPOINT OUTPUT.mqir\n";
    return 2;
  }
  const auto model = Open(argv[1]);
  const auto& tensors = model->index().tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].dtype != mq::DType::kF32 || tensors[i].shape.size() != 2) {
      continue;
    }
    QuantizeOne(*model, i);
    break;
  }

  QuantizeAll(*model, argv[2]);
  const auto written = Open(argv[2]);
  std::cout << argv[2] << ": " << written->index().tensors.size()
            << " tensors, " << written->index().quant.tensors.size()
            << " of them quantized\n";
}
