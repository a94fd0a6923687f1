// The host functions of monoquant_c.h over memory, so that the C ABI can be
// tested as native code.

#ifndef MONOQUANT_WASM_TESTING_FAKE_HOST_H_
#define MONOQUANT_WASM_TESTING_FAKE_HOST_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace monoquant::testing {

// What mq_host_read, mq_host_write and mq_host_commit act on.
struct FakeHost {
  struct Sink {
    std::string bytes;
    bool committed = false;
  };

  // Whether the results of writes and commits are those of `sink`.
  bool IsFailing(uint32_t sink) const {
    return !failing_sink.has_value() || *failing_sink == sink;
  }

  std::map<uint32_t, std::string> sources;
  std::map<uint32_t, Sink> sinks;

  // Calls so far, and the largest read.
  int reads = 0;
  int writes = 0;
  uint64_t largest_read = 0;

  // Sinks in the order in which they were committed.
  std::vector<uint32_t> commits;

  // What the next read, write and commit answer, and all after it; the latter
  // two of one sink, if that is set.
  int32_t read_result = 0;
  int32_t write_result = 0;
  int32_t commit_result = 0;
  std::optional<uint32_t> failing_sink;
};

// The one host of this process.
FakeHost& GetFakeHost();

}  // namespace monoquant::testing

#endif  // MONOQUANT_WASM_TESTING_FAKE_HOST_H_
