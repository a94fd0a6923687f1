// Plans and writes a zip archive of stored (uncompressed) members.
//
// Every offset is known as soon as a member is added; the checksums come at
// the end. Members are written as torch's own writer lays them out:
//
//   +--------------+------+----------------+---------------+-----------------+
//   | local header | name | extra: zip64?  | extra: "FB"   | data, at a      |
//   | 30 bytes     |      | 0 or 20 bytes  | padding       | multiple of 64  |
//   +--------------+------+----------------+---------------+-----------------+
//
// with two differences: checksum and size stand in the local header, where
// strict readers look for them, and no data descriptor follows the data. The
// room of the descriptor goes into the next member's padding, so that data
// begins where torch computes it to begin when it loads without reading local
// headers (torch.utils.serialization.config.load.calculate_storage_offsets).

#ifndef MONOQUANT_EXPORTERS_ZIP_WRITER_H_
#define MONOQUANT_EXPORTERS_ZIP_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/byte_sink.h"

namespace monoquant {

class StoredZip {
 public:
  // Where data begins: at multiples of this.
  static constexpr uint64_t kAlignment = 64;

  struct Member {
    std::string name;
    uint64_t size = 0;
    uint64_t header_offset = 0;
    uint64_t data_offset = 0;
  };

  // Appends a member. `name` is unique ASCII of at most 1,000 bytes.
  // FailedPrecondition if the archive would become larger than 2^62 bytes.
  absl::Status Add(std::string name, uint64_t size);

  const std::vector<Member>& members() const { return members_; }

  // Bytes of the whole archive with the members so far.
  uint64_t FileSize() const;

  // Writes everything that is not data: local headers and directory. crc32[i]
  // is the checksum of member i.
  absl::Status WriteHeaders(absl::Span<const uint32_t> crc32,
                            ByteSink& sink) const;

 private:
  uint64_t DirectorySize() const;

  std::vector<Member> members_;
  // End of the last member's data, and where torch's writer would go on.
  uint64_t end_ = 0;
  uint64_t torch_cursor_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_ZIP_WRITER_H_
