#include "exporters/pickle_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace monoquant {
namespace {

constexpr char kProto = '\x80';
constexpr char kGlobal = 'c';
constexpr char kBinUnicode = 'X';
constexpr char kBinInt = 'J';    // 4 bytes, signed
constexpr char kBinInt1 = 'K';   // 1 byte
constexpr char kBinInt2 = 'M';   // 2 bytes
constexpr char kLong1 = '\x8a';  // length byte, two's complement
constexpr char kNewFalse = '\x89';
constexpr char kNone = 'N';
constexpr char kEmptyTuple = ')';
constexpr char kEmptyList = ']';
constexpr char kEmptyDict = '}';
constexpr char kMark = '(';
constexpr char kTuple = 't';
constexpr char kSetItems = 'u';
constexpr char kAppends = 'e';
constexpr char kReduce = 'R';
constexpr char kNewObject = '\x81';
constexpr char kBuild = 'b';
constexpr char kBinPersId = 'Q';
constexpr char kBinPut = 'q';
constexpr char kLongBinPut = 'r';
constexpr char kBinGet = 'h';
constexpr char kLongBinGet = 'j';
constexpr char kStop = '.';

}  // namespace

PickleWriter::PickleWriter() {
  Op(kProto);
  Little(2, 1);
}

void PickleWriter::Little(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  }
}

bool PickleWriter::Recall(absl::string_view key) {
  const auto it = memo_.find(key);
  if (it == memo_.end()) return false;
  const bool small = it->second < 256;
  Op(small ? kBinGet : kLongBinGet);
  Little(it->second, small ? 1 : 4);
  return true;
}

void PickleWriter::Remember(absl::string_view key) {
  const uint32_t index = static_cast<uint32_t>(memo_.size());
  memo_.emplace(std::string(key), index);
  const bool small = index < 256;
  Op(small ? kBinPut : kLongBinPut);
  Little(index, small ? 1 : 4);
}

void PickleWriter::Global(absl::string_view module, absl::string_view name) {
  // Two lines, which no shared string has.
  const std::string key = absl::StrCat(module, "\n", name, "\n");
  if (Recall(key)) return;
  Op(kGlobal);
  out_ += key;
  Remember(key);
}

void PickleWriter::String(absl::string_view text) {
  Op(kBinUnicode);
  Little(text.size(), 4);
  out_.append(text.data(), text.size());
}

void PickleWriter::SharedString(absl::string_view text) {
  if (Recall(text)) return;
  String(text);
  Remember(text);
}

void PickleWriter::Int(uint64_t value) {
  if (value <= 0xFF) {
    Op(kBinInt1);
    Little(value, 1);
  } else if (value <= 0xFFFF) {
    Op(kBinInt2);
    Little(value, 2);
  } else if (value <= 0x7FFFFFFF) {
    Op(kBinInt);
    Little(value, 4);
  } else {
    // As many bytes as hold the value and a sign bit.
    int bytes = 5;
    while (bytes < 8 && value >> (8 * bytes - 1) != 0) ++bytes;
    Op(kLong1);
    Little(static_cast<uint64_t>(bytes), 1);
    Little(value, bytes);
  }
}

void PickleWriter::False() { Op(kNewFalse); }
void PickleWriter::None() { Op(kNone); }
void PickleWriter::EmptyTuple() { Op(kEmptyTuple); }
void PickleWriter::EmptyList() { Op(kEmptyList); }
void PickleWriter::EmptyDict() { Op(kEmptyDict); }
void PickleWriter::Mark() { Op(kMark); }
void PickleWriter::Tuple() { Op(kTuple); }
void PickleWriter::SetItems() { Op(kSetItems); }
void PickleWriter::Appends() { Op(kAppends); }
void PickleWriter::Reduce() { Op(kReduce); }
void PickleWriter::NewObject() { Op(kNewObject); }
void PickleWriter::Build() { Op(kBuild); }
void PickleWriter::PersistentId() { Op(kBinPersId); }

std::string PickleWriter::Finish() && {
  Op(kStop);
  return std::move(out_);
}

}  // namespace monoquant
