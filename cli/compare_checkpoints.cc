#include "cli/compare_checkpoints.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/parallel.h"
#include "cli/timer.h"
#include "core/casts.h"
#include "ir/dtype.h"
#include "ir/marks.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// Fixed, so that sums are made of the same parts in every run; a multiple of
// eight, so that pieces of any type begin at a byte.
constexpr uint64_t kPieceElements = uint64_t{128} << 10;

// A pair whose values can be looked at.
struct Candidate {
  TensorPair pair;
  bool is_float = false;
};

// A part of a candidate, and what came of it.
struct Piece {
  size_t candidate = 0;
  uint64_t first = 0;
  uint64_t count = 0;
  ErrorStats error;
  uint64_t became_nonfinite = 0;
  bool bytes_differ = false;
};

// What one worker reads into.
struct Buffers {
  std::vector<uint8_t> bytes[2];
  std::vector<float> values[2];
};

// Pairs tensors by name: into candidates, and into those lists of the result
// that do not depend on values.
std::vector<Candidate> PairTensors(const CheckpointIndex& original,
                                   const CheckpointIndex& other,
                                   CheckpointComparison& result) {
  absl::flat_hash_map<absl::string_view, size_t> by_name;
  for (size_t i = 0; i < other.tensors.size(); ++i) {
    by_name[other.tensors[i].name] = i;
  }
  std::vector<Candidate> candidates;
  Marks found_in_other(other.tensors.size(), false);
  for (size_t i = 0; i < original.tensors.size(); ++i) {
    const TensorInfo& a = original.tensors[i];
    const auto found = by_name.find(a.name);
    if (found == by_name.end()) {
      result.missing.push_back(a.name);
      continue;
    }
    const TensorPair pair = {i, found->second};
    const TensorInfo& b = other.tensors[pair.other];
    found_in_other[pair.other] = true;
    const bool floats = IsQuantizable(a.dtype) && IsQuantizable(b.dtype);
    if (a.shape != b.shape || (!floats && a.dtype != b.dtype)) {
      result.mismatched.push_back(pair);
    } else {
      candidates.push_back({pair, floats});
    }
  }
  for (size_t j = 0; j < other.tensors.size(); ++j) {
    if (!found_in_other[j]) result.extra.push_back(other.tensors[j].name);
  }
  return candidates;
}

absl::StatusOr<std::vector<Piece>> CutIntoPieces(
    const CheckpointIndex& original, const std::vector<Candidate>& candidates) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const TensorInfo& info = original.tensors[candidates[i].pair.original];
    MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(info.shape));
    for (uint64_t first = 0; first < elements; first += kPieceElements) {
      Piece piece;
      piece.candidate = i;
      piece.first = first;
      piece.count = std::min(kPieceElements, elements - first);
      pieces.push_back(piece);
    }
  }
  return pieces;
}

absl::Status ComparePiece(const CheckpointReader& original,
                          const CheckpointReader& other,
                          const Candidate& candidate, Piece& piece,
                          Buffers& buffers) {
  const CheckpointReader* readers[2] = {&original, &other};
  const size_t tensors[2] = {candidate.pair.original, candidate.pair.other};
  for (int side = 0; side < 2; ++side) {
    const DType dtype = readers[side]->index().tensors[tensors[side]].dtype;
    std::vector<uint8_t>& bytes = buffers.bytes[side];
    bytes.resize(piece.count * static_cast<uint64_t>(GetDTypeInfo(dtype).bits) /
                 8);
    MQ_RETURN_IF_ERROR(readers[side]->Read(tensors[side], piece.first,
                                           piece.count, absl::MakeSpan(bytes)));
    if (!candidate.is_float) continue;
    buffers.values[side].resize(piece.count);
    ToFloat(dtype, bytes.data(), absl::MakeSpan(buffers.values[side]));
  }
  if (!candidate.is_float) {
    piece.bytes_differ = buffers.bytes[0] != buffers.bytes[1];
    return absl::OkStatus();
  }
  const std::vector<float>& a = buffers.values[0];
  const std::vector<float>& b = buffers.values[1];
  piece.error.Add(a, b);
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i]) && !std::isfinite(b[i])) ++piece.became_nonfinite;
  }
  return absl::OkStatus();
}

// Adds up the pieces, always in the same order.
void Collect(const std::vector<Candidate>& candidates,
             const std::vector<Piece>& pieces, CheckpointComparison& result) {
  size_t next = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    FloatComparison comparison;
    comparison.pair = candidates[i].pair;
    bool bytes_differ = false;
    for (; next < pieces.size() && pieces[next].candidate == i; ++next) {
      comparison.error.Merge(pieces[next].error);
      comparison.became_nonfinite += pieces[next].became_nonfinite;
      bytes_differ = bytes_differ || pieces[next].bytes_differ;
    }
    if (candidates[i].is_float) {
      result.floats.push_back(comparison);
      continue;
    }
    ++result.num_others;
    if (bytes_differ) result.different.push_back(candidates[i].pair);
  }
  std::stable_sort(result.floats.begin(), result.floats.end(),
                   [](const FloatComparison& a, const FloatComparison& b) {
                     return a.SqnrDb() < b.SqnrDb();
                   });
}

}  // namespace

bool FloatComparison::Identical() const {
  return error.nonfinite() == 0 && error.MaxAbsError() == 0;
}

double FloatComparison::SqnrDb() const {
  if (became_nonfinite > 0) return -std::numeric_limits<double>::infinity();
  return error.SqnrDb();
}

absl::StatusOr<CheckpointComparison> CompareCheckpoints(
    const CheckpointReader& original, const CheckpointReader& other,
    int threads, const std::atomic<bool>& cancel, Progress& progress) {
  CheckpointComparison result;
  const std::vector<Candidate> candidates =
      PairTensors(original.index(), other.index(), result);
  MQ_ASSIGN_OR_RETURN(std::vector<Piece> pieces,
                      CutIntoPieces(original.index(), candidates));
  uint64_t bytes_total = 0;
  for (const Candidate& candidate : candidates) {
    bytes_total += original.index().tensors[candidate.pair.original].byte_size;
  }

  std::atomic<uint64_t> bytes_done{0};
  std::vector<Buffers> buffers(static_cast<size_t>(threads));
  const Timer timer;
  const auto work = [&](size_t item, int worker) -> absl::Status {
    Piece& piece = pieces[item];
    Buffers& mine = buffers[static_cast<size_t>(worker)];
    MQ_RETURN_IF_ERROR(ComparePiece(original, other,
                                    candidates[piece.candidate], piece, mine));
    bytes_done.fetch_add(mine.bytes[0].size(), std::memory_order_relaxed);
    return absl::OkStatus();
  };
  const auto tick = [&] {
    progress.Update(bytes_done, bytes_total, timer.seconds());
  };
  MQ_RETURN_IF_ERROR(ParallelFor(pieces.size(), threads, cancel, work, tick));
  Collect(candidates, pieces, result);
  return result;
}

}  // namespace monoquant::cli
