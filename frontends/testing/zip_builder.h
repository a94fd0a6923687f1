// Makes small zip archives for tests; on request, wrong ones.

#ifndef MONOQUANT_FRONTENDS_TESTING_ZIP_BUILDER_H_
#define MONOQUANT_FRONTENDS_TESTING_ZIP_BUILDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace monoquant::testing {

// One member. Whatever is set beyond name and bytes replaces the right value,
// in the directory or in the header in front of the member.
struct ZipMember {
  std::string name;
  std::string bytes;
  bool deflate = false;
  // Sizes and CRC-32 behind the bytes, as torch writes them.
  bool data_descriptor = false;
  // Sizes in zip64 fields although they are small.
  bool zip64 = false;

  std::optional<uint32_t> crc32;  // in both places
  std::optional<uint16_t> method;
  std::optional<uint16_t> flags;
  std::optional<uint32_t> size;
  std::optional<uint32_t> compressed_size;
  std::optional<uint32_t> header_offset;
  std::optional<std::string> local_name;
  std::optional<uint16_t> local_method;
  std::optional<uint32_t> local_size;
  std::optional<uint32_t> local_crc32;
};

struct ZipBuilder {
  std::vector<ZipMember> members;
  std::string comment;
  // Zip64 end record and locator although they are not needed.
  bool zip64_end = false;
  std::optional<uint16_t> entries;
  std::optional<uint32_t> directory_offset;

  ZipBuilder& Add(absl::string_view name, absl::string_view bytes) {
    ZipMember member;
    member.name = std::string(name);
    member.bytes = std::string(bytes);
    members.push_back(std::move(member));
    return *this;
  }

  std::string Build() const;
};

}  // namespace monoquant::testing

#endif  // MONOQUANT_FRONTENDS_TESTING_ZIP_BUILDER_H_
