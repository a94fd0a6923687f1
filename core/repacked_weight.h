// One quantized weight as another storage keeps it: the bytes of its tensors
// there, computed from those that a checkpoint has.
//
// Numbers stay what they are. What may change is how they are packed, the type
// of scales, and whether levels are signed: level and zero point of uint4 less
// 8 are those of int4, and stand for the same values.

#ifndef MONOQUANT_CORE_REPACKED_WEIGHT_H_
#define MONOQUANT_CORE_REPACKED_WEIGHT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/code_rows.h"
#include "core/level_grid.h"
#include "core/param_runs.h"
#include "core/stored_tensor.h"
#include "core/word_order.h"
#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

// What errors tell to do with a weight that has no exact counterpart.
inline constexpr absl::string_view kRepackRemedy =
    "quantize decodes it and quantizes anew, which is not lossless";

// Thread-safe. Functions read from the checkpoint that `from` lies in, the same
// for all of them, and write to `dst` the bytes `range` of a tensor of
// StoredWeight, which are whole elements and not none. They take some hundred
// KB beside that, or about 10 MB if `from` does not keep codes row by row, but
// no more than about ten times the size of the range.
//
// FailedPrecondition, naming the weight, for a scale that the type of the
// target's scales is not exact for, and for a zero point that the target does
// not have. Errors of the reader are passed on.
class RepackedWeight {
 public:
  // `from` is a place of a format with scales, with its columns in the order of
  // the scheme. `scheme` differs from that of `from` in the type of scales and
  // the sign of levels only; `to` is what StoreWeight has for it in `storage`.
  RepackedWeight(std::string name, const StoredTensorPlace& from,
                 QuantStorage storage, const QuantScheme& scheme,
                 StoredWeight to);

  absl::Status ReadCodes(const CheckpointReader& reader, const ByteRange& range,
                         uint8_t* dst) const;
  absl::Status ReadScales(const CheckpointReader& reader,
                          const ByteRange& range, uint8_t* dst) const;
  absl::Status ReadZeroPoints(const CheckpointReader& reader,
                              const ByteRange& range, uint8_t* dst) const;

 private:
  absl::Status Refuse(const CheckpointReader& reader,
                      absl::string_view problem) const;
  absl::Status ReadLevels(const CheckpointReader& reader,
                          const CodeBlock& block,
                          std::vector<uint8_t>* levels) const;
  absl::Status ReadParams(const CheckpointReader& reader,
                          const SlotRange& slots,
                          std::vector<QParams>* params) const;
  absl::Status ReadParamBlock(const CheckpointReader& reader,
                              const CodeBlock& groups,
                              std::vector<QParams>* params) const;
  absl::Status StoreScales(const CheckpointReader& reader,
                           const std::vector<QParams>& params,
                           uint8_t* dst) const;

  absl::Status ReadCodeRows(const CheckpointReader& reader,
                            const ByteRange& range, uint8_t* dst) const;
  absl::Status ReadCodeLines(const CheckpointReader& reader,
                             const ByteRange& range, uint8_t* dst) const;
  template <typename Store>
  absl::Status ReadParamLines(const CheckpointReader& reader,
                              const ByteRange& range, const Lines& whole,
                              uint8_t* dst, Store store) const;
  absl::Status ReadZeroPointWords(const CheckpointReader& reader,
                                  const ByteRange& range, uint8_t* dst) const;

  const std::string name_;
  const StoredTensorPlace from_;
  const CodeRows from_rows_;
  const QuantStorage storage_;
  const QuantScheme scheme_;
  const StoredWeight to_;
  const CodeRows to_rows_;
  // Of a target that does not keep codes row by row.
  std::optional<WordOrder> order_;
  // What levels and zero points differ by.
  int32_t shift_ = 0;
  // Those that the target can have.
  int32_t smallest_zero_point_ = 0;
  int32_t largest_zero_point_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_REPACKED_WEIGHT_H_
