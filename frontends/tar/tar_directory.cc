#include "frontends/tar/tar_directory.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A header fills a block, and so do the last bytes of a member.
constexpr uint64_t kBlock = 512;
// What precedes a member to say more of it than fits its header.
constexpr uint64_t kMaxExtension = 64 << 10;

// A field of the header: "name" is at byte 0.
struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName = {0, 100};
constexpr Field kSize = {124, 12};
constexpr Field kChecksum = {148, 8};
constexpr size_t kType = 156;
constexpr Field kMagic = {257, 5};
constexpr Field kPrefix = {345, 155};

absl::string_view Get(absl::string_view header, Field field) {
  return header.substr(field.offset, field.size);
}

// Up to the first zero.
absl::string_view GetText(absl::string_view header, Field field) {
  const absl::string_view text = Get(header, field);
  return text.substr(0, std::min(text.find('\0'), text.size()));
}

// Octal digits between blanks; since GNU also a big-endian number behind 0x80.
std::optional<uint64_t> GetNumber(absl::string_view header, Field field) {
  absl::string_view text = Get(header, field);
  uint64_t value = 0;
  if (text[0] == '\x80') {
    for (const char c : text.substr(1)) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  text = GetText(header, field);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  for (const char c : text) {
    if (c < '0' || c > '7' || value >> 60 != 0) return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// The sum of the header's bytes, of which those of the checksum count as
// blanks. Some programs added signed bytes; torch's names have none.
bool HasChecksum(absl::string_view header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool blank =
        i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    sum += blank ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return GetNumber(header, kChecksum) == sum;
}

bool IsEmptyBlock(absl::string_view header) {
  return header.find_first_not_of('\0') == header.npos;
}

absl::StatusOr<std::string> ReadText(const ByteSource& source, uint64_t offset,
                                     uint64_t size) {
  std::string text(static_cast<size_t>(size), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      offset,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size())));
  return text;
}

// What a pax header says of the member behind it, in lines "LENGTH KEY=VALUE"
// that count themselves.
struct Extension {
  std::optional<std::string> path;
  std::optional<uint64_t> size;
};

bool ParsePax(absl::string_view text, Extension* extension) {
  while (!text.empty() && text[0] != '\0') {
    const size_t blank = text.find(' ');
    uint64_t length = 0;
    if (blank == text.npos ||
        !absl::SimpleAtoi(text.substr(0, blank), &length) ||
        length > text.size() || length < blank + 2 ||
        text[static_cast<size_t>(length) - 1] != '\n') {
      return false;
    }
    const absl::string_view line =
        text.substr(blank + 1, static_cast<size_t>(length) - blank - 2);
    text.remove_prefix(static_cast<size_t>(length));
    const size_t equals = line.find('=');
    if (equals == line.npos) return false;
    const absl::string_view key = line.substr(0, equals);
    const absl::string_view value = line.substr(equals + 1);
    if (key == "path") extension->path = std::string(value);
    if (key == "size") {
      uint64_t size = 0;
      if (!absl::SimpleAtoi(value, &size)) return false;
      extension->size = size;
    }
  }
  return true;
}

// Types of members.
constexpr bool IsRegular(char type) {
  return type == '0' || type == '\0' || type == '7';
}
constexpr bool IsExtension(char type) { return type == 'x' || type == 'L'; }

}  // namespace

absl::StatusOr<bool> IsTar(const ByteSource& source) {
  if (source.size() < kBlock) return false;
  MQ_ASSIGN_OR_RETURN(const std::string header, ReadText(source, 0, kBlock));
  return !IsEmptyBlock(header) && HasChecksum(header);
}

absl::StatusOr<std::vector<TarMember>> ReadTarDirectory(
    const ByteSource& source) {
  std::vector<TarMember> members;
  Extension extension;
  uint64_t offset = 0;
  for (size_t headers = 0;
       offset < source.size() && source.size() - offset >= kBlock; ++headers) {
    // Each member may have two extensions.
    if (headers > 3 * kMaxTarMembers || members.size() > kMaxTarMembers) {
      return DataLossError(source.name(),
                           ": this tar archive has more members "
                           "than the limit of ",
                           kMaxTarMembers);
    }
    MQ_ASSIGN_OR_RETURN(const std::string header,
                        ReadText(source, offset, kBlock));
    if (IsEmptyBlock(header)) break;
    const auto broken = [&] {
      return DataLossError(
          source.name(), ": the tar header at byte ", offset,
          " is broken; the file is damaged, download or copy it again");
    };
    auto size = GetNumber(header, kSize);
    if (!HasChecksum(header) || !size.has_value()) return broken();
    const char type = header[kType];
    const uint64_t data = offset + kBlock;
    if (IsExtension(type)) {
      if (*size > kMaxExtension || *size > source.size() - data) {
        return broken();
      }
      MQ_ASSIGN_OR_RETURN(const std::string text,
                          ReadText(source, data, *size));
      if (type == 'L') {
        extension.path = std::string(GetText(text, {0, text.size()}));
      } else if (!ParsePax(text, &extension)) {
        return broken();
      }
    } else {
      if (extension.size.has_value()) size = extension.size;
      if (IsRegular(type)) {
        std::string name(GetText(header, kName));
        if (Get(header, kMagic) == "ustar" &&
            !GetText(header, kPrefix).empty()) {
          name = absl::StrCat(GetText(header, kPrefix), "/", name);
        }
        if (extension.path.has_value()) name = *extension.path;
        members.push_back(
            {std::string(absl::StripPrefix(name, "./")), data, *size});
      }
      extension = Extension();
    }
    uint64_t end = 0;
    if (!CheckedAlignUp(*size, kBlock, &end) ||
        !CheckedAdd(data, end, &offset)) {
      return broken();
    }
  }
  return members;
}

}  // namespace monoquant
