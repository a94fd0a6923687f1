#include "tests/bench/sparse_checkpoint.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace monoquant::bench {
namespace {

// The low `size` bytes of `value`, little-endian.
std::string Number(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes += static_cast<char>(value >> (8 * i));
  }
  return bytes;
}

std::string TensorName(size_t i) {
  return absl::StrCat("model.layers.", i / 9, ".self_attn.", i % 9,
                      "_proj.weight");
}

// A pickle as torch's pickler writes it: whatever could be referred to again
// is put into the memo, and globals are written once.
class StateDictPickle {
 public:
  explicit StateDictPickle(uint64_t elements) : elements_(elements) {
    bytes_ += "\x80\x02}";
    Put();
  }

  void Add(size_t i) {
    bytes_ += "(";
    Text(TensorName(i));
    Global("ctorch._utils\n_rebuild_tensor_v2\n", &rebuild_);
    bytes_ += "((";
    if (i == 0) {
      Text("storage");
      storage_ = memo_ - 1;
    } else {
      Get(storage_);
    }
    Global("ctorch\nFloatStorage\n", &float_storage_);
    Text(absl::StrCat(i));
    Text("cpu");
    Int(elements_);
    bytes_ += 't';
    Put();
    bytes_ += "QK";
    bytes_ += '\0';
    Int(elements_);
    bytes_ += '\x85';
    Put();
    bytes_ += "K\x01\x85";
    Put();
    bytes_ += '\x89';
    Global("ccollections\nOrderedDict\n", &ordered_dict_);
    bytes_ += ")R";
    Put();
    bytes_ += 't';
    Put();
    bytes_ += 'R';
    Put();
    bytes_ += 'u';
  }

  std::string Build() { return std::move(bytes_) + "."; }

 private:
  static constexpr uint64_t kNowhere = ~uint64_t{0};

  void Put() { bytes_ += 'r' + Number(memo_++, 4); }
  void Get(uint64_t index) { bytes_ += 'j' + Number(index, 4); }
  void Int(uint64_t value) { bytes_ += "\x8a\x08" + Number(value, 8); }
  void Text(absl::string_view text) {
    bytes_ += 'X' + Number(text.size(), 4);
    bytes_.append(text.data(), text.size());
    Put();
  }
  void Global(absl::string_view instruction, uint64_t* index) {
    if (*index != kNowhere) return Get(*index);
    bytes_.append(instruction.data(), instruction.size());
    *index = memo_;
    Put();
  }

  const uint64_t elements_;
  std::string bytes_;
  uint64_t memo_ = 0;
  uint64_t rebuild_ = kNowhere;
  uint64_t storage_ = kNowhere;
  uint64_t float_storage_ = kNowhere;
  uint64_t ordered_dict_ = kNowhere;
};

// Writes stored members one after the other, all with zip64 fields.
class SparseZip {
 public:
  // A member of `size` bytes that begins with `bytes`; the rest is zeros.
  void Add(const std::string& name, std::string bytes, uint64_t size) {
    const uint64_t offset = file_.size;
    const std::string sizes = Number(size, 8) + Number(size, 8);
    // Version, flags, method, time and date, CRC-32: nobody looks at the last
    // until the member is read.
    const std::string common = Number(45, 2) + std::string(8, '\0') +
                               Number(kUnchecked, 4) + Number(kIn64, 4) +
                               Number(kIn64, 4) + Number(name.size(), 2);
    std::string header = "PK\x03\x04" + common + Number(20, 2) + name +
                         Number(1, 2) + Number(16, 2) + sizes;
    directory_ += "PK\x01\x02" + Number(45, 2) + common + Number(28, 2) +
                  std::string(10, '\0') + Number(kIn64, 4) + name +
                  Number(1, 2) + Number(24, 2) + sizes + Number(offset, 8);
    ++count_;
    file_.size += header.size() + size;
    file_.pieces[offset] = std::move(header) + std::move(bytes);
  }

  SparseFile Build() {
    const uint64_t offset = file_.size;
    const uint64_t size = directory_.size();
    directory_ += "PK\x06\x06" + Number(44, 8) + Number(45, 2) + Number(45, 2) +
                  std::string(8, '\0') + Number(count_, 8) + Number(count_, 8) +
                  Number(size, 8) + Number(offset, 8);
    directory_ +=
        "PK\x06\x07" + Number(0, 4) + Number(offset + size, 8) + Number(1, 4);
    directory_ += "PK\x05\x06" + Number(0, 4) + Number(0xFFFF, 2) +
                  Number(0xFFFF, 2) + Number(kIn64, 4) + Number(kIn64, 4) +
                  Number(0, 2);
    file_.size += directory_.size();
    file_.pieces[offset] = std::move(directory_);
    return std::move(file_);
  }

 private:
  static constexpr uint64_t kIn64 = 0xFFFFFFFF;
  // As torch.serialization.set_crc32_options(False) leaves it.
  static constexpr uint64_t kUnchecked = 0;

  SparseFile file_;
  std::string directory_;
  uint64_t count_ = 0;
};

}  // namespace

uint64_t SparseFile::IndexBytes() const {
  uint64_t bytes = 0;
  for (const auto& [offset, piece] : pieces) bytes += piece.size();
  return bytes;
}

SparseFile SparseTorchZip(size_t count, uint64_t elements) {
  StateDictPickle pickle(elements);
  for (size_t i = 0; i < count; ++i) pickle.Add(i);
  std::string bytes = pickle.Build();
  const uint64_t size = bytes.size();
  SparseZip zip;
  zip.Add("model/data.pkl", std::move(bytes), size);
  for (size_t i = 0; i < count; ++i) {
    zip.Add(absl::StrCat("model/data/", i), "", elements * sizeof(float));
  }
  zip.Add("model/version", "3\n", 2);
  return zip.Build();
}

SparseFile SparseSafetensors(size_t count, uint64_t elements) {
  const uint64_t size = elements * sizeof(float);
  std::string header = "{";
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) header += ',';
    header += absl::StrCat(
        "\"", TensorName(i), "\":{\"dtype\":\"F32\",\"shape\":[", elements,
        "],\"data_offsets\":[", i * size, ",", (i + 1) * size, "]}");
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  SparseFile file;
  file.size = 8 + header.size() + count * size;
  file.pieces[0] = Number(header.size(), 8) + header;
  return file;
}

absl::Status SparseSource::ReadAt(uint64_t offset,
                                  absl::Span<uint8_t> dst) const {
  if (offset > file_.size || dst.size() > file_.size - offset) {
    return absl::OutOfRangeError(absl::StrCat(name_, ": read beyond its end"));
  }
  if (dst.empty()) return absl::OkStatus();
  std::memset(dst.data(), 0, dst.size());
  const uint64_t end = offset + dst.size();
  // The last piece that begins at or before `offset`, and those after it.
  auto it = file_.pieces.upper_bound(offset);
  if (it != file_.pieces.begin()) --it;
  for (; it != file_.pieces.end() && it->first < end; ++it) {
    const uint64_t from = std::max(offset, it->first);
    const uint64_t to = std::min(end, it->first + it->second.size());
    if (from >= to) continue;
    std::memcpy(dst.data() + (from - offset),
                it->second.data() + (from - it->first),
                static_cast<size_t>(to - from));
  }
  return absl::OkStatus();
}

CheckpointFiles FilesOf(std::shared_ptr<ByteSource> source) {
  CheckpointFiles files;
  files.path = source->name();
  files.main = source->name();
  files.names = {source->name()};
  files.open = [source = std::move(source)](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    if (name == source->name()) return source;
    return absl::NotFoundError(absl::StrCat("no file ", name));
  };
  return files;
}

}  // namespace monoquant::bench
