// The byte layout of zip archives, as far as monoquant reads it. Numbers are
// little-endian.
//
//   member      local header | name | extra | bytes [| data descriptor]
//   ...
//   directory   (directory header | name | extra | comment) per member
//   [zip64 end record] [zip64 locator]   where a number needs more than 32 bits
//   end record  | comment

#ifndef MONOQUANT_FRONTENDS_ZIP_ZIP_FORMAT_H_
#define MONOQUANT_FRONTENDS_ZIP_ZIP_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace monoquant {
namespace zip {

inline constexpr uint32_t kLocalSignature = 0x04034b50;
inline constexpr uint32_t kDirectorySignature = 0x02014b50;
inline constexpr uint32_t kZip64EndSignature = 0x06064b50;
inline constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
inline constexpr uint32_t kEndSignature = 0x06054b50;

inline constexpr size_t kLocalSize = 30;
inline constexpr size_t kDirectorySize = 46;
inline constexpr size_t kZip64EndSize = 56;
inline constexpr size_t kZip64LocatorSize = 20;
inline constexpr size_t kEndSize = 22;
inline constexpr size_t kMaxCommentSize = 0xFFFF;

// In place of a 16 or 32 bit number: look into the zip64 record.
inline constexpr uint16_t kIn64Short = 0xFFFF;
inline constexpr uint32_t kIn64 = 0xFFFFFFFF;
inline constexpr uint16_t kZip64ExtraId = 0x0001;

// Bits of the flags.
inline constexpr uint16_t kEncrypted = 1u << 0;
inline constexpr uint16_t kHasDataDescriptor = 1u << 3;
inline constexpr uint16_t kPatched = 1u << 5;
inline constexpr uint16_t kStrongEncryption = 1u << 6;
inline constexpr uint16_t kMaskedHeaders = 1u << 13;

inline uint16_t Load16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | p[1] << 8);
}
inline uint32_t Load32(const uint8_t* p) {
  return Load16(p) | static_cast<uint32_t>(Load16(p + 2)) << 16;
}
inline uint64_t Load64(const uint8_t* p) {
  return Load32(p) | static_cast<uint64_t>(Load32(p + 4)) << 32;
}

}  // namespace zip
}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_FORMAT_H_
