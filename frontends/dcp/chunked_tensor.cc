#include "frontends/dcp/chunked_tensor.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "frontends/dcp/box_cover.h"
#include "ir/errors.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Rows of a chunk that go to different places are read together, this many
// bytes at a time,
constexpr uint64_t kBlockBytes = uint64_t{1} << 20;
// unless they are so long that a read of its own for each costs nothing.
constexpr uint64_t kLongRow = uint64_t{64} << 10;

std::vector<uint64_t> Strides(absl::Span<const int64_t> shape) {
  std::vector<uint64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * static_cast<uint64_t>(shape[i]);
  }
  return strides;
}

// One call of ChunkedTensor::Read; all counts are in units.
class RangeReader {
 public:
  RangeReader(const ChunkLayout& layout, absl::Span<const size_t> chunks,
              const ChunkedTensor::ReadChunk& read)
      : layout_(layout),
        chunks_(chunks),
        read_(read),
        strides_(Strides(layout.shape)) {}

  // Reads units [first, ...) into all of `dst`.
  absl::Status ReadRange(uint64_t first, absl::Span<uint8_t> dst);

 private:
  // A part of the tensor that is contiguous in it: one index in the dimensions
  // before `cut`, some indices in `cut`, all indices behind it. A chunk's share
  // of such a part is contiguous in the chunk.
  struct Part {
    size_t cut = 0;
    Shape offset;
    Shape size;
  };

  // The largest part at `first` of at most `limit` units.
  Part PartAt(uint64_t first, uint64_t limit) const;
  // Fills `dst`, which is the place for the part.
  absl::Status ReadPart(const Part& part, absl::Span<uint8_t> dst);
  // Fills in the share of one chunk.
  absl::Status ReadShare(size_t chunk, const Part& part,
                         absl::Span<uint8_t> dst);

  const ChunkLayout& layout_;
  const absl::Span<const size_t> chunks_;
  const ChunkedTensor::ReadChunk& read_;
  const std::vector<uint64_t> strides_;
  std::vector<uint8_t> block_;
};

absl::Status RangeReader::ReadRange(uint64_t first, absl::Span<uint8_t> dst) {
  while (!dst.empty()) {
    const Part part = PartAt(first, dst.size() / layout_.unit_bytes);
    const uint64_t count =
        static_cast<uint64_t>(part.size[part.cut]) * strides_[part.cut];
    const auto bytes = static_cast<size_t>(count * layout_.unit_bytes);
    MQ_RETURN_IF_ERROR(ReadPart(part, dst.first(bytes)));
    dst.remove_prefix(bytes);
    first += count;
  }
  return absl::OkStatus();
}

RangeReader::Part RangeReader::PartAt(uint64_t first, uint64_t limit) const {
  Part part;
  // Ends at the last dimension, whose stride is 1.
  while (first % strides_[part.cut] != 0 || limit < strides_[part.cut]) {
    ++part.cut;
  }
  part.size = layout_.shape;
  for (size_t i = 0; i < layout_.shape.size(); ++i) {
    const auto index = static_cast<int64_t>(first / strides_[i]);
    part.offset.push_back(index % layout_.shape[i]);
    if (i < part.cut) part.size[i] = 1;
  }
  part.size[part.cut] =
      std::min(layout_.shape[part.cut] - part.offset[part.cut],
               static_cast<int64_t>(limit / strides_[part.cut]));
  return part;
}

absl::Status RangeReader::ReadPart(const Part& part, absl::Span<uint8_t> dst) {
  // Chunks are sorted by where they begin; `ends` never decreases.
  const int64_t begin = part.offset[0];
  const int64_t end = begin + part.size[0];
  const auto first =
      std::upper_bound(layout_.ends.begin(), layout_.ends.end(), begin);
  for (auto i = static_cast<size_t>(first - layout_.ends.begin());
       i < layout_.boxes.size() && layout_.boxes[i].offset[0] < end; ++i) {
    MQ_RETURN_IF_ERROR(ReadShare(i, part, dst));
  }
  return absl::OkStatus();
}

absl::Status RangeReader::ReadShare(size_t chunk, const Part& part,
                                    absl::Span<uint8_t> dst) {
  const Box box = layout_.boxes[chunk];
  const size_t rank = box.size.size();
  const std::vector<uint64_t> box_strides = Strides(box.size);
  Shape size(rank);
  uint64_t src_offset = 0;  // in the chunk
  uint64_t dst_offset = 0;  // in the part
  for (size_t i = 0; i < rank; ++i) {
    const int64_t begin = std::max(box.offset[i], part.offset[i]);
    const int64_t end =
        std::min(box.offset[i] + box.size[i], part.offset[i] + part.size[i]);
    if (begin >= end) return absl::OkStatus();
    size[i] = end - begin;
    src_offset += static_cast<uint64_t>(begin - box.offset[i]) * box_strides[i];
    dst_offset += static_cast<uint64_t>(begin - part.offset[i]) * strides_[i];
  }
  // Dimensions that the chunk has all of, and one more, make up a row. Those
  // before `inner` count the rows.
  size_t inner = rank - 1;
  while (inner > part.cut && size[inner] == layout_.shape[inner]) --inner;
  uint64_t row = layout_.unit_bytes;
  for (size_t i = inner; i < rank; ++i) row *= static_cast<uint64_t>(size[i]);
  uint64_t rows = 1;
  for (size_t i = part.cut; i < inner; ++i) {
    rows *= static_cast<uint64_t>(size[i]);
  }

  const uint64_t rows_at_once =
      row >= kLongRow ? 1 : std::min(rows, kBlockBytes / row);
  const bool is_direct = rows_at_once == 1;
  if (!is_direct) block_.resize(static_cast<size_t>(rows_at_once * row));
  uint64_t src = src_offset * layout_.unit_bytes;
  uint64_t to = dst_offset * layout_.unit_bytes;
  Shape index(inner, 0);
  for (uint64_t done = 0; done < rows; done += rows_at_once) {
    const uint64_t count = std::min(rows_at_once, rows - done);
    const absl::Span<uint8_t> block =
        is_direct
            ? dst.subspan(static_cast<size_t>(to), static_cast<size_t>(row))
            : absl::MakeSpan(block_).first(static_cast<size_t>(count * row));
    MQ_RETURN_IF_ERROR(read_(chunks_[chunk], src, block));
    src += count * row;
    for (uint64_t i = 0; i < count; ++i) {
      if (!is_direct) {
        std::memcpy(dst.data() + to, block_.data() + i * row,
                    static_cast<size_t>(row));
      }
      // To the next row, like an odometer.
      for (size_t dim = inner; dim-- > part.cut;) {
        const uint64_t step = strides_[dim] * layout_.unit_bytes;
        to += step;
        if (++index[dim] < size[dim]) break;
        to -= static_cast<uint64_t>(size[dim]) * step;
        index[dim] = 0;
      }
    }
  }
  return absl::OkStatus();
}

// The number of elements in a unit.
int64_t UnitElements(int bits) {
  return static_cast<int64_t>(std::lcm(bits, 8) / bits);
}

}  // namespace

absl::StatusOr<ChunkedTensor> ChunkedTensor::Create(DType dtype,
                                                    const Shape& shape,
                                                    const BoxList& boxes) {
  MQ_RETURN_IF_ERROR(CheckCover(shape, boxes));
  ChunkedTensor tensor;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (!boxes[i].IsEmpty()) tensor.chunks_.push_back(i);
  }
  if (tensor.chunks_.size() < 2) return tensor;
  Sort(tensor.chunks_, [&](size_t a, size_t b) {
    const auto offset_a = boxes[a].offset;
    const auto offset_b = boxes[b].offset;
    return std::lexicographical_compare(offset_a.begin(), offset_a.end(),
                                        offset_b.begin(), offset_b.end());
  });

  const int bits = GetDTypeInfo(dtype).bits;
  const int64_t unit = UnitElements(bits);
  auto layout = std::make_unique<ChunkLayout>(shape.size());
  layout->unit_bytes = static_cast<uint64_t>(unit * bits / 8);
  layout->shape = shape;
  layout->shape.back() /= unit;
  int64_t end = 0;
  for (size_t chunk : tensor.chunks_) {
    Shape offset(boxes[chunk].offset.begin(), boxes[chunk].offset.end());
    Shape size(boxes[chunk].size.begin(), boxes[chunk].size.end());
    if (offset.back() % unit != 0 || size.back() % unit != 0) {
      return UnimplementedError("its chunk ", ShapeToString(size), " at ",
                                ShapeToString(offset), " of ", DTypeName(dtype),
                                " begins or ends inside of a byte");
    }
    offset.back() /= unit;
    size.back() /= unit;
    layout->boxes.Add(offset, size);
    end = std::max(end, offset[0] + size[0]);
    layout->ends.push_back(end);
  }
  tensor.layout_ = std::move(layout);
  return tensor;
}

absl::Status ChunkedTensor::Read(uint64_t first, absl::Span<uint8_t> dst,
                                 const ReadChunk& read) const {
  if (dst.empty()) return absl::OkStatus();
  if (layout_ == nullptr) return read(chunks_[0], first, dst);
  return RangeReader(*layout_, chunks_, read)
      .ReadRange(first / layout_->unit_bytes, dst);
}

}  // namespace monoquant
