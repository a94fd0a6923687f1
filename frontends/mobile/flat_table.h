// FlatBuffers that stay in their file: tables are read field by field.
//
// FlatBuffers' own verifier and accessors want all of a buffer in memory, with
// the weights that are in it. Here every access is checked by itself and reads
// some bytes of the file, through a few cached pages.
//
// A table begins with the distance back to its vtable; that holds two sizes,
// and for every field its place in the table, 0 for a field that is absent.
// References are distances forward; vectors and strings begin with their
// length. All numbers are little-endian.

#ifndef MONOQUANT_FRONTENDS_MOBILE_FLAT_TABLE_H_
#define MONOQUANT_FRONTENDS_MOBILE_FLAT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"
#include "ir/status_macros.h"

namespace monoquant {

// A file, of which small parts are read again and again. Not thread-safe.
class PagedFile {
 public:
  explicit PagedFile(std::shared_ptr<const ByteSource> source)
      : source_(std::move(source)), pages_(kPages) {}

  uint64_t size() const { return source_->size(); }

  // DataLoss, without the file's name, if the file ends before.
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst);

  template <typename T>
  absl::StatusOr<T> Read(uint64_t offset) {
    uint8_t bytes[sizeof(T)];
    MQ_RETURN_IF_ERROR(ReadAt(offset, absl::MakeSpan(bytes)));
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
  }

 private:
  static constexpr size_t kPages = 256;
  static constexpr uint64_t kPageBytes = 4 << 10;

  struct Page {
    uint64_t number = static_cast<uint64_t>(-1);
    std::vector<uint8_t> bytes;
  };

  const std::shared_ptr<const ByteSource> source_;
  std::vector<Page> pages_;  // page n is in pages_[n % kPages], or nowhere
};

// The elements of a vector, all of which lie in the file.
struct FlatVector {
  uint64_t offset = 0;
  uint32_t size = 0;
};

// A table; `file` outlives it. All errors are DataLoss without a file's name.
class FlatTable {
 public:
  // The table to which the first four bytes of the file refer.
  static absl::StatusOr<FlatTable> Root(PagedFile* file);

  // The value of field `id`, or `absent`.
  template <typename T>
  absl::StatusOr<T> Scalar(size_t id, T absent) const {
    MQ_ASSIGN_OR_RETURN(const uint64_t place, Field(id));
    if (place == 0) return absent;
    return file_->Read<T>(place);
  }

  // nullopt if it is absent.
  absl::StatusOr<std::optional<FlatTable>> Table(size_t id) const;
  // The first number of a struct in a union, which is referred to like a table.
  template <typename T>
  absl::StatusOr<T> StructAt(size_t id) const {
    MQ_ASSIGN_OR_RETURN(const uint64_t place, Field(id));
    MQ_ASSIGN_OR_RETURN(const uint64_t offset, Follow(place));
    return file_->Read<T>(offset);
  }
  // Empty if it is absent. Elements have `item_size` bytes.
  absl::StatusOr<FlatVector> Vector(size_t id, uint64_t item_size) const;
  // Empty if it is absent; DataLoss if it is longer than `limit`.
  absl::StatusOr<std::string> String(size_t id, size_t limit) const;

  // Element `index`, which exists, of a vector of tables, strings or numbers.
  absl::StatusOr<FlatTable> TableAt(FlatVector vector, uint32_t index) const;
  absl::StatusOr<std::string> StringAt(FlatVector vector, uint32_t index,
                                       size_t limit) const;
  template <typename T>
  absl::StatusOr<T> ScalarAt(FlatVector vector, uint32_t index) const {
    return file_->Read<T>(vector.offset + uint64_t{index} * sizeof(T));
  }

 private:
  FlatTable(PagedFile* file, uint64_t offset) : file_(file), offset_(offset) {}

  static absl::StatusOr<FlatTable> At(PagedFile* file, uint64_t offset);
  // Where field `id` lies in the file; 0 if it is absent.
  absl::StatusOr<uint64_t> Field(size_t id) const;
  // The place to which the reference at `place` leads.
  absl::StatusOr<uint64_t> Follow(uint64_t place) const;
  absl::StatusOr<FlatVector> VectorAt(uint64_t place, uint64_t item_size) const;
  absl::StatusOr<std::string> ReadString(uint64_t place, size_t limit) const;

  PagedFile* file_;
  uint64_t offset_;
  uint64_t vtable_ = 0;
  uint16_t vtable_size_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_MOBILE_FLAT_TABLE_H_
