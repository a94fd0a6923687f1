#include "wasm/testing/fake_host.h"

#include <algorithm>
#include <cstring>

#include "wasm/monoquant_c.h"

namespace monoquant::testing {

FakeHost& GetFakeHost() {
  static FakeHost* const host = new FakeHost;
  return *host;
}

}  // namespace monoquant::testing

using monoquant::testing::FakeHost;
using monoquant::testing::GetFakeHost;

int32_t mq_host_read(uint32_t source, double offset, uint8_t* dst,
                     uint32_t size) {
  FakeHost& host = GetFakeHost();
  ++host.reads;
  host.largest_read = std::max(host.largest_read, uint64_t{size});
  if (host.read_result != MQ_HOST_OK) return host.read_result;
  const std::string& bytes = host.sources.at(source);
  const uint64_t begin = static_cast<uint64_t>(offset);
  if (begin + size > bytes.size()) return MQ_HOST_TRUNCATED;
  std::memcpy(dst, bytes.data() + begin, size);
  return MQ_HOST_OK;
}

int32_t mq_host_write(uint32_t sink, double offset, const uint8_t* src,
                      uint32_t size) {
  FakeHost& host = GetFakeHost();
  ++host.writes;
  if (host.write_result != MQ_HOST_OK && host.IsFailing(sink)) {
    return host.write_result;
  }
  std::string& bytes = host.sinks[sink].bytes;
  const uint64_t begin = static_cast<uint64_t>(offset);
  bytes.resize(std::max<uint64_t>(bytes.size(), begin + size));
  std::memcpy(bytes.data() + begin, src, size);
  return MQ_HOST_OK;
}

int32_t mq_host_commit(uint32_t sink) {
  FakeHost& host = GetFakeHost();
  if (host.commit_result != MQ_HOST_OK && host.IsFailing(sink)) {
    return host.commit_result;
  }
  host.sinks[sink].committed = true;
  host.commits.push_back(sink);
  return MQ_HOST_OK;
}
