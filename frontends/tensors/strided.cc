#include "frontends/tensors/strided.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Pieces that are this close are read in one go: skipping a few KiB costs less
// than another call to the system, and far less than one to a browser.
constexpr uint64_t kMaxGap = 8 << 10;
// The most that is read in one go with gaps in it.
constexpr uint64_t kMaxWindow = 1 << 20;
// A view may have this many bytes even if its storage has fewer.
constexpr uint64_t kMaxExpandedBytes = uint64_t{256} << 20;

// One dimension of a box: steps through the storage and through the output.
struct Axis {
  uint64_t size;
  uint64_t src;
  uint64_t dst;
};

// A box of runs, to be copied from the storage at `src` to `dst`. A run is as
// many bytes as lie together in both.
struct Box {
  uint64_t run;
  uint64_t src;
  uint8_t* dst;
  std::vector<Axis> axes;  // by falling step through the storage
};

// Calls visit(src, dst) for every position of `axes`, with the steps summed up.
// Stops at the first error.
template <typename Visit>
absl::Status ForEachPosition(absl::Span<const Axis> axes, Visit visit) {
  std::vector<uint64_t> position(axes.size(), 0);
  uint64_t src = 0;
  uint64_t dst = 0;
  while (true) {
    MQ_RETURN_IF_ERROR(visit(src, dst));
    size_t i = axes.size();
    while (i > 0) {
      --i;
      src += axes[i].src;
      dst += axes[i].dst;
      if (++position[i] < axes[i].size) break;
      src -= axes[i].src * axes[i].size;
      dst -= axes[i].dst * axes[i].size;
      position[i] = 0;
      if (i == 0) return absl::OkStatus();
    }
    if (axes.empty()) return absl::OkStatus();
  }
}

template <size_t kRun>
void CopyRuns(const uint8_t* src, uint8_t* dst, const Axis& axis) {
  for (uint64_t i = 0; i < axis.size; ++i) {
    std::memcpy(dst, src, kRun);
    src += axis.src;
    dst += axis.dst;
  }
}

void CopyRuns(uint64_t run, const uint8_t* src, uint8_t* dst,
              const Axis& axis) {
  switch (run) {
    case 1:
      return CopyRuns<1>(src, dst, axis);
    case 2:
      return CopyRuns<2>(src, dst, axis);
    case 4:
      return CopyRuns<4>(src, dst, axis);
    case 8:
      return CopyRuns<8>(src, dst, axis);
    case 16:
      return CopyRuns<16>(src, dst, axis);
    default:
      for (uint64_t i = 0; i < axis.size; ++i) {
        std::memcpy(dst + i * axis.dst, src + i * axis.src,
                    static_cast<size_t>(run));
      }
  }
}

// Reads a box: the inner axes, whose runs lie close together, as windows of
// the storage, the outer ones step by step.
absl::Status ReadBox(Box box, const StorageReader& read) {
  std::vector<Axis>& axes = box.axes;
  // How many axes, from the innermost on, fit into a window, and its size.
  size_t inner = axes.size();
  uint64_t window = box.run;
  while (inner > 0 && axes[inner - 1].src <= window + kMaxGap) {
    // At most 2^63 bytes, since the view lies within its storage.
    const Axis& axis = axes[inner - 1];
    const uint64_t grown = (axis.size - 1) * axis.src + window;
    if (grown > kMaxWindow) break;
    window = grown;
    --inner;
  }
  // The axis that no longer fits is cut into blocks, if its steps are close.
  if (inner > 0 && window <= kMaxWindow &&
      axes[inner - 1].src <= window + kMaxGap) {
    const Axis axis = axes[inner - 1];
    const uint64_t steps = 1 + (kMaxWindow - window) / axis.src;
    const uint64_t blocks = axis.size / steps;
    Box rest = box;
    rest.src += blocks * steps * axis.src;
    rest.dst += blocks * steps * axis.dst;
    rest.axes[inner - 1].size = axis.size - blocks * steps;
    axes[inner - 1].size = steps;
    axes.insert(axes.begin() + static_cast<std::ptrdiff_t>(inner) - 1,
                {blocks, steps * axis.src, steps * axis.dst});
    window += (steps - 1) * axis.src;
    // `rest` is smaller than a window along this axis, so this ends here.
    if (rest.axes[inner - 1].size > 0) {
      MQ_RETURN_IF_ERROR(ReadBox(std::move(rest), read));
    }
  }

  const absl::Span<const Axis> outer_axes =
      absl::MakeConstSpan(axes).first(inner);
  absl::Span<const Axis> inner_axes = absl::MakeConstSpan(axes).subspan(inner);
  if (inner_axes.empty()) {
    return ForEachPosition(outer_axes, [&](uint64_t src, uint64_t dst) {
      return read(box.src + src,
                  absl::MakeSpan(box.dst + dst, static_cast<size_t>(box.run)));
    });
  }
  std::vector<uint8_t> buffer(static_cast<size_t>(window));
  const Axis& last = inner_axes.back();
  inner_axes.remove_suffix(1);
  return ForEachPosition(outer_axes, [&](uint64_t src, uint64_t dst) {
    MQ_RETURN_IF_ERROR(read(box.src + src, absl::MakeSpan(buffer)));
    return ForEachPosition(inner_axes, [&](uint64_t from, uint64_t to) {
      CopyRuns(box.run, buffer.data() + from, box.dst + dst + to, last);
      return absl::OkStatus();
    });
  });
}

}  // namespace

absl::StatusOr<StridedView> MakeStridedView(uint64_t item_size, uint64_t offset,
                                            absl::Span<const int64_t> size,
                                            absl::Span<const int64_t> stride,
                                            uint64_t storage_bytes) {
  const auto refuse = [&](absl::string_view what) {
    return DataLossError("size ", ShapeToString(size), ", stride ",
                         ShapeToString(stride), ", offset ", offset, ": ",
                         what);
  };
  if (size.size() != stride.size()) return refuse("ranks differ");
  StridedView view;
  view.item_size = item_size;
  const auto elements = NumElements(size);
  if (!elements.ok()) return refuse(elements.status().message());
  view.elements = *elements;
  uint64_t bytes;
  if (!CheckedMul(view.elements, item_size, &bytes) ||
      !CheckedMul(offset, item_size, &view.offset)) {
    return refuse("numbers overflow");
  }
  // The byte behind the element that lies furthest back.
  uint64_t end;
  if (!CheckedAdd(view.offset, item_size, &end)) {
    return refuse("numbers overflow");
  }
  for (size_t i = 0; i < size.size(); ++i) {
    if (stride[i] < 0) return refuse("a stride is negative");
    // Strides of empty views and along dimensions of size 1 mean nothing.
    if (view.elements == 0 || size[i] == 1) continue;
    StridedView::Dim dim = {static_cast<uint64_t>(size[i]), 0};
    uint64_t reach;
    if (!CheckedMul(static_cast<uint64_t>(stride[i]), item_size, &dim.stride) ||
        !CheckedMul(dim.size - 1, dim.stride, &reach) ||
        !CheckedAdd(end, reach, &end)) {
      return refuse("numbers overflow");
    }
    // A step here that continues where the dimension outside left off.
    if (!view.dims.empty() &&
        view.dims.back().stride / dim.size == dim.stride &&
        view.dims.back().stride % dim.size == 0) {
      view.dims.back() = {view.dims.back().size * dim.size, dim.stride};
    } else {
      view.dims.push_back(dim);
    }
  }
  if (view.elements == 0) {
    view.offset = 0;
    return view;
  }
  if (end > storage_bytes) {
    return refuse(absl::StrCat("reaches to byte ", end,
                               ", but the storage has ", storage_bytes));
  }
  if (bytes > std::max(storage_bytes, kMaxExpandedBytes)) {
    return refuse(absl::StrCat("expands ", storage_bytes, " stored bytes to ",
                               bytes, ", more than the limit of ",
                               kMaxExpandedBytes));
  }
  return view;
}

absl::Status ReadStrided(const StridedView& view, uint64_t first,
                         uint64_t count, const StorageReader& read,
                         absl::Span<uint8_t> dst) {
  if (count == 0) return absl::OkStatus();
  if (view.IsContiguous()) {
    return read(view.offset + first * view.item_size, dst);
  }
  const size_t rank = view.dims.size();
  // blocks[i]: the elements of one step along dimension i - 1.
  std::vector<uint64_t> blocks(rank + 1, 1);
  for (size_t i = rank; i-- > 0;) {
    blocks[i] = blocks[i + 1] * view.dims[i].size;
  }
  // The range is cut into boxes: from where it begins up to the end of a row,
  // whole rows up to the end of a plane, and so on, and back down at the end.
  uint64_t position = first;
  const uint64_t end = first + count;
  while (position < end) {
    size_t level = rank;
    while (level > 0 && position % blocks[level - 1] == 0 &&
           end - position >= blocks[level - 1]) {
      --level;
    }
    Box box;
    box.run = view.item_size;
    box.src = view.offset;
    box.dst = dst.data() + (position - first) * view.item_size;
    for (size_t i = 0; i < rank; ++i) {
      box.src +=
          position / blocks[i + 1] % view.dims[i].size * view.dims[i].stride;
    }
    uint64_t steps = 1;
    if (level > 0) {
      const StridedView::Dim& dim = view.dims[level - 1];
      const uint64_t index = position / blocks[level] % dim.size;
      steps = std::min((end - position) / blocks[level], dim.size - index);
      box.axes.push_back({steps, dim.stride, blocks[level] * view.item_size});
    }
    for (size_t i = level; i < rank; ++i) {
      box.axes.push_back({view.dims[i].size, view.dims[i].stride,
                          blocks[i + 1] * view.item_size});
    }
    position += steps * blocks[level];

    // Elements that lie together in the storage and in the output.
    if (box.axes.back().src == box.run) {
      box.run *= box.axes.back().size;
      box.axes.pop_back();
    }
    // Only the outermost can be this small.
    if (!box.axes.empty() && box.axes.front().size == 1) {
      box.axes.erase(box.axes.begin());
    }
    Sort(box.axes, [](const Axis& a, const Axis& b) { return a.src > b.src; });
    MQ_RETURN_IF_ERROR(ReadBox(std::move(box), read));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
