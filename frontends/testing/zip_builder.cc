#include "frontends/testing/zip_builder.h"

#include <zlib.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/zip/zip_format.h"
#include "ir/crc32.h"

namespace monoquant::testing {
namespace {

// Appends the low `size` bytes of `value`, little-endian.
void Put(uint64_t value, int size, std::string* out) {
  for (int i = 0; i < size; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i)));
  }
}

std::string Deflate(const std::string& bytes) {
  z_stream z = {};
  deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, static_cast<uLong>(bytes.size())), '\0');
  std::string input = bytes;
  z.next_in = reinterpret_cast<Bytef*>(input.data());
  z.avail_in = static_cast<uInt>(input.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

// What both headers state.
struct Facts {
  std::string stored;
  uint16_t flags;
  uint16_t method;
  uint32_t crc32;
};

Facts FactsOf(const ZipMember& member) {
  Facts facts;
  facts.stored = member.deflate ? Deflate(member.bytes) : member.bytes;
  facts.flags = member.flags.value_or(
      member.data_descriptor ? zip::kHasDataDescriptor : 0);
  facts.method = member.method.value_or(member.deflate ? 8 : 0);
  facts.crc32 = member.crc32.value_or(Crc32(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(member.bytes.data()),
                          member.bytes.size())));
  return facts;
}

std::string Zip64Extra(const ZipMember& member, const Facts& facts) {
  std::string extra;
  if (!member.zip64) return extra;
  Put(zip::kZip64ExtraId, 2, &extra);
  Put(16, 2, &extra);
  Put(member.bytes.size(), 8, &extra);
  Put(facts.stored.size(), 8, &extra);
  return extra;
}

void PutMember(const ZipMember& member, const Facts& facts, std::string* out) {
  const std::string& name =
      member.local_name.has_value() ? *member.local_name : member.name;
  const std::string extra = Zip64Extra(member, facts);
  const bool later = member.data_descriptor;
  const uint32_t size = static_cast<uint32_t>(member.bytes.size());
  const uint32_t stored_size = static_cast<uint32_t>(facts.stored.size());
  Put(zip::kLocalSignature, 4, out);
  Put(20, 2, out);  // version needed
  Put(facts.flags, 2, out);
  Put(member.local_method.value_or(facts.method), 2, out);
  Put(0, 4, out);  // time and date
  Put(later ? 0 : member.local_crc32.value_or(facts.crc32), 4, out);
  Put(later ? 0 : member.zip64 ? zip::kIn64 : stored_size, 4, out);
  Put(later          ? 0
      : member.zip64 ? zip::kIn64
                     : member.local_size.value_or(size),
      4, out);
  Put(name.size(), 2, out);
  Put(extra.size(), 2, out);
  absl::StrAppend(out, name, extra, facts.stored);
  if (!later) return;
  Put(0x08074b50, 4, out);
  Put(facts.crc32, 4, out);
  Put(stored_size, 4, out);
  Put(size, 4, out);
}

void PutEntry(const ZipMember& member, const Facts& facts, size_t offset,
              std::string* out) {
  const std::string extra = Zip64Extra(member, facts);
  Put(zip::kDirectorySignature, 4, out);
  Put(20, 2, out);  // version made by
  Put(20, 2, out);  // version needed
  Put(facts.flags, 2, out);
  Put(facts.method, 2, out);
  Put(0, 4, out);  // time and date
  Put(facts.crc32, 4, out);
  const uint32_t stored_size = static_cast<uint32_t>(facts.stored.size());
  const uint32_t size = static_cast<uint32_t>(member.bytes.size());
  Put(member.zip64 ? zip::kIn64 : member.compressed_size.value_or(stored_size),
      4, out);
  Put(member.zip64 ? zip::kIn64 : member.size.value_or(size), 4, out);
  Put(member.name.size(), 2, out);
  Put(extra.size(), 2, out);
  Put(0, 2, out);  // comment
  Put(0, 2, out);  // disk
  Put(0, 2, out);  // internal attributes
  Put(0, 4, out);  // external attributes
  Put(member.header_offset.value_or(static_cast<uint32_t>(offset)), 4, out);
  absl::StrAppend(out, member.name, extra);
}

}  // namespace

std::string ZipBuilder::Build() const {
  std::string out;
  std::string directory;
  for (const ZipMember& member : members) {
    const Facts facts = FactsOf(member);
    PutEntry(member, facts, out.size(), &directory);
    PutMember(member, facts, &out);
  }
  const size_t offset = out.size();
  out += directory;
  if (zip64_end) {
    const size_t record = out.size();
    Put(zip::kZip64EndSignature, 4, &out);
    Put(zip::kZip64EndSize - 12, 8, &out);
    Put(45, 2, &out);
    Put(45, 2, &out);
    Put(0, 8, &out);  // disks
    Put(members.size(), 8, &out);
    Put(members.size(), 8, &out);
    Put(directory.size(), 8, &out);
    Put(offset, 8, &out);
    Put(zip::kZip64LocatorSignature, 4, &out);
    Put(0, 4, &out);
    Put(record, 8, &out);
    Put(1, 4, &out);
  }
  const uint64_t count =
      zip64_end ? zip::kIn64Short : entries.value_or(members.size());
  Put(zip::kEndSignature, 4, &out);
  Put(0, 4, &out);  // disks
  Put(count, 2, &out);
  Put(count, 2, &out);
  Put(zip64_end ? zip::kIn64 : directory.size(), 4, &out);
  Put(zip64_end ? zip::kIn64 : directory_offset.value_or(offset), 4, &out);
  Put(comment.size(), 2, &out);
  return out + comment;
}

}  // namespace monoquant::testing
