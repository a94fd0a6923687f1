#include "frontends/tar/tar_tables.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/storage_types.h"
#include "frontends/torch/stream_pickle.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Reads a member from its first to its last byte.
class Cursor {
 public:
  Cursor(const ByteSource& member, const OpenOptions& options)
      : member_(member), options_(options) {}

  uint64_t offset() const { return offset_; }

  absl::StatusOr<PickleGraph> TakePickle(absl::string_view what) {
    MQ_ASSIGN_OR_RETURN(PickleGraph graph,
                        ReadPickleAt(member_, offset_, what, options_));
    offset_ += graph.consumed();
    return graph;
  }

  // How many rows the table has.
  absl::StatusOr<size_t> TakeCount() {
    MQ_ASSIGN_OR_RETURN(const PickleGraph graph, TakePickle("the count"));
    const auto count = AsSize(graph, graph.root());
    if (!count.has_value()) return Error("its first value is no count");
    if (*count > kMaxTarRows) {
      return Error(
          absl::StrCat("it has more rows than the limit of ", kMaxTarRows));
    }
    return static_cast<size_t>(*count);
  }

  absl::Status TakeNumbers(absl::Span<int64_t> numbers) {
    const uint64_t size = numbers.size() * sizeof(int64_t);
    MQ_RETURN_IF_ERROR(Need(size));
    uint8_t bytes[kMaxDims * sizeof(int64_t)];
    const auto room = absl::MakeSpan(bytes).first(static_cast<size_t>(size));
    MQ_RETURN_IF_ERROR(member_.ReadAt(offset_, room));
    for (size_t i = 0; i < numbers.size(); ++i) {
      uint64_t value = 0;
      for (size_t byte = 8; byte-- > 0;) {
        value = value << 8 | bytes[8 * i + byte];
      }
      numbers[i] = static_cast<int64_t>(value);
    }
    offset_ += size;
    return absl::OkStatus();
  }

  absl::Status Skip(uint64_t size) {
    MQ_RETURN_IF_ERROR(Need(size));
    offset_ += size;
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    if (offset_ == member_.size()) return absl::OkStatus();
    return Error(absl::StrCat(member_.size() - offset_,
                              " bytes are left over at its end"));
  }

  absl::Status Error(absl::string_view message) const {
    return DataLossError(member_.name(), ": ", message);
  }

 private:
  absl::Status Need(uint64_t size) const {
    if (offset_ <= member_.size() && size <= member_.size() - offset_) {
      return absl::OkStatus();
    }
    return DataLossError(member_.name(), " is truncated: ", size,
                         " bytes are needed at byte ", offset_,
                         ", but it has only ", member_.size());
  }

  const ByteSource& member_;
  const OpenOptions& options_;
  uint64_t offset_ = 0;
};

uint64_t ItemSize(DType dtype) {
  return static_cast<uint64_t>(GetDTypeInfo(dtype).bits / 8);
}

absl::Status TakeStorage(Cursor* cursor, TarStorages* storages) {
  MQ_ASSIGN_OR_RETURN(const PickleGraph graph, cursor->TakePickle("a storage"));
  const auto row = graph.Items(graph.root());
  if (row.size() != 3) return cursor->Error("a storage has no key and class");
  const auto key = KeyName(graph, row[0]);
  const PickleGlobal* storage_class = graph.AsGlobal(row[2]);
  if (!key.has_value() || storage_class == nullptr) {
    return cursor->Error("a storage has no key and class");
  }
  const auto type = FindStorageType(*storage_class);
  if (!type.has_value()) {
    return cursor->Error(
        absl::StrCat("storage ", QuotedName(*key), " has the unknown class ",
                     QuotedName(absl::StrCat(storage_class->module, ".",
                                             storage_class->name))));
  }
  TarStorage storage;
  storage.key = *key;
  storage.dtype = type->dtype.value_or(DType::kU8);
  int64_t numel = 0;
  MQ_RETURN_IF_ERROR(cursor->TakeNumbers(absl::MakeSpan(&numel, 1)));
  if (numel < 0 || !CheckedMul(static_cast<uint64_t>(numel),
                               ItemSize(storage.dtype), &storage.bytes)) {
    return cursor->Error(absl::StrCat("storage ", QuotedName(*key), " has ",
                                      numel, " elements"));
  }
  storage.offset = cursor->offset();
  MQ_RETURN_IF_ERROR(cursor->Skip(storage.bytes));
  if (!storages->try_emplace(*key, std::move(storage)).second) {
    return cursor->Error(
        absl::StrCat("storage ", QuotedName(*key), " occurs twice"));
  }
  return absl::OkStatus();
}

// (view key, key, offset, numel).
absl::Status AddView(const PickleGraph& graph, NodeId node,
                     const Cursor& cursor, TarStorages* storages) {
  const auto row = graph.Items(node);
  if (row.size() != 4) return cursor.Error("malformed view of a storage");
  const auto key = KeyName(graph, row[0]);
  const auto root = KeyName(graph, row[1]);
  const auto offset = AsSize(graph, row[2]);
  const auto numel = AsSize(graph, row[3]);
  if (!key.has_value() || !root.has_value() || !offset.has_value() ||
      !numel.has_value()) {
    return cursor.Error("malformed view of a storage");
  }
  const auto found = storages->find(*root);
  if (found == storages->end()) {
    return cursor.Error(absl::StrCat("view ", QuotedName(*key),
                                     " is of storage ", QuotedName(*root),
                                     ", which is not there"));
  }
  TarStorage view = found->second;
  const uint64_t item_size = ItemSize(view.dtype);
  uint64_t begin = 0;
  uint64_t bytes = 0;
  uint64_t end = 0;
  if (!CheckedMul(*offset, item_size, &begin) ||
      !CheckedMul(*numel, item_size, &bytes) ||
      !CheckedAdd(begin, bytes, &end) || end > view.bytes) {
    return cursor.Error(absl::StrCat(
        "view ", QuotedName(*key), " of ", *numel, " elements from ", *offset,
        " on goes beyond storage ", QuotedName(*root)));
  }
  view.bytes = bytes;
  view.part_offset = view.part_offset.value_or(0) + begin;
  if (!storages->try_emplace(*key, std::move(view)).second) {
    return cursor.Error(
        absl::StrCat("storage ", QuotedName(*key), " occurs twice"));
  }
  return absl::OkStatus();
}

absl::Status TakeTensor(const TarStorages& storages, Cursor* cursor,
                        TarTensors* tensors) {
  MQ_ASSIGN_OR_RETURN(const PickleGraph graph, cursor->TakePickle("a tensor"));
  const auto row = graph.Items(graph.root());
  if (row.size() != 3) return cursor->Error("a tensor has no key and storage");
  const auto key = KeyName(graph, row[0]);
  const auto storage_key = KeyName(graph, row[1]);
  if (!key.has_value() || !storage_key.has_value()) {
    return cursor->Error("a tensor has no key and storage");
  }
  const auto with_key = [&](absl::string_view message) {
    return cursor->Error(
        absl::StrCat("tensor ", QuotedName(*key), ": ", message));
  };
  const auto storage = storages.find(*storage_key);
  if (storage == storages.end()) {
    return with_key(absl::StrCat("its storage ", QuotedName(*storage_key),
                                 " is not there"));
  }
  // The upper half of the number is what happened to be there.
  int64_t dims = 0;
  MQ_RETURN_IF_ERROR(cursor->TakeNumbers(absl::MakeSpan(&dims, 1)));
  dims = static_cast<int32_t>(dims);
  if (dims < 0 || dims > kMaxDims) {
    return with_key(
        absl::StrCat("has ", dims, " dimensions, not 0 to ", kMaxDims));
  }
  TorchTensor tensor;
  tensor.storage_key = storage->second.key;
  tensor.dtype = storage->second.dtype;
  tensor.storage_bytes = storage->second.bytes;
  tensor.part_offset = storage->second.part_offset;
  tensor.size.resize(static_cast<size_t>(dims));
  tensor.stride.resize(static_cast<size_t>(dims));
  MQ_RETURN_IF_ERROR(cursor->TakeNumbers(absl::MakeSpan(tensor.size)));
  MQ_RETURN_IF_ERROR(cursor->TakeNumbers(absl::MakeSpan(tensor.stride)));
  int64_t offset = 0;
  MQ_RETURN_IF_ERROR(cursor->TakeNumbers(absl::MakeSpan(&offset, 1)));
  if (offset < 0) return with_key("its offset is negative");
  tensor.offset = static_cast<uint64_t>(offset);
  if (!tensors->try_emplace(*key, std::move(tensor)).second) {
    return with_key("occurs twice");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TarStorages> ReadTarStorages(const ByteSource& member,
                                            const OpenOptions& options) {
  TarStorages storages;
  Cursor cursor(member, options);
  MQ_ASSIGN_OR_RETURN(const size_t count, cursor.TakeCount());
  for (size_t i = 0; i < count; ++i) {
    MQ_RETURN_IF_ERROR(TakeStorage(&cursor, &storages));
  }
  MQ_ASSIGN_OR_RETURN(const PickleGraph views,
                      cursor.TakePickle("the list of views"));
  for (NodeId view : views.Items(views.root())) {
    if (storages.size() >= kMaxTarRows) {
      return cursor.Error(absl::StrCat(
          "it has more storages and views than the limit of ", kMaxTarRows));
    }
    MQ_RETURN_IF_ERROR(AddView(views, view, cursor, &storages));
  }
  MQ_RETURN_IF_ERROR(cursor.Finish());
  return storages;
}

absl::StatusOr<TarTensors> ReadTarTensors(const ByteSource& member,
                                          const TarStorages& storages,
                                          const OpenOptions& options) {
  TarTensors tensors;
  Cursor cursor(member, options);
  MQ_ASSIGN_OR_RETURN(const size_t count, cursor.TakeCount());
  for (size_t i = 0; i < count; ++i) {
    MQ_RETURN_IF_ERROR(TakeTensor(storages, &cursor, &tensors));
  }
  MQ_RETURN_IF_ERROR(cursor.Finish());
  return tensors;
}

}  // namespace monoquant
