// SHA-256 as text.

#ifndef MONOQUANT_IR_SHA256_H_
#define MONOQUANT_IR_SHA256_H_

#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "alg/sha256.h"

namespace monoquant {

class Sha256 {
 public:
  Sha256() { SHA256_Init(&context_); }

  void Add(absl::Span<const uint8_t> bytes) {
    SHA256_Update(&context_, bytes.data(), bytes.size());
  }

  // In hexadecimal, of all that was added; to be called once.
  std::string ToHex() {
    uint8_t digest[32];
    SHA256_Final(digest, &context_);
    return absl::BytesToHexString(absl::string_view(
        reinterpret_cast<const char*>(digest), sizeof(digest)));
  }

 private:
  SHA256_CTX context_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_SHA256_H_
