// usage: yardstick INPUT OUTPUT BYTES THREADS
//
// The least that a run can take: reads all of INPUT and writes BYTES bytes to
// OUTPUT, with as many threads, in pieces that stay in the cache, into space
// that is reserved first, and syncs them. Nothing is computed.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr uint64_t kPiece = uint64_t{1} << 20;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

// Every thread takes the next piece of both files.
class Copy {
 public:
  Copy(int in, uint64_t in_bytes, int out, uint64_t out_bytes)
      : in_(in), out_(out), in_bytes_(in_bytes), out_bytes_(out_bytes) {}

  void Work() {
    std::vector<char> buffer(kPiece);
    while (true) {
      const uint64_t piece = next_.fetch_add(1);
      const uint64_t begin = piece * kPiece;
      if (begin >= in_bytes_) return;
      const uint64_t end = std::min(begin + kPiece, in_bytes_);
      Read(buffer, begin, end);
      // The same share of the output.
      Write(buffer, Share(begin), Share(end));
    }
  }

 private:
  uint64_t Share(uint64_t at) const {
    return static_cast<uint64_t>(static_cast<long double>(at) / in_bytes_ *
                                 out_bytes_);
  }

  void Read(std::vector<char>& buffer, uint64_t begin, uint64_t end) const {
    for (uint64_t at = begin; at < end;) {
      const ssize_t n =
          pread(in_, buffer.data(), end - at, static_cast<off_t>(at));
      if (n <= 0) Fail("read");
      at += static_cast<uint64_t>(n);
    }
  }

  void Write(const std::vector<char>& buffer, uint64_t begin,
             uint64_t end) const {
    for (uint64_t at = begin; at < end;) {
      const ssize_t n = pwrite(out_, buffer.data(),
                               std::min<uint64_t>(end - at, buffer.size()),
                               static_cast<off_t>(at));
      if (n <= 0) Fail("write");
      at += static_cast<uint64_t>(n);
    }
    // Lets the disk begin before the end.
    sync_file_range(out_, static_cast<off_t>(begin),
                    static_cast<off_t>(end - begin), SYNC_FILE_RANGE_WRITE);
  }

  const int in_;
  const int out_;
  const uint64_t in_bytes_;
  const uint64_t out_bytes_;
  std::atomic<uint64_t> next_{0};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s INPUT OUTPUT BYTES THREADS\n", argv[0]);
    return 2;
  }
  const uint64_t out_bytes = std::stoull(argv[3]);
  const int in = open(argv[1], O_RDONLY);
  if (in < 0) Fail(argv[1]);
  struct stat info;
  if (fstat(in, &info) != 0) Fail(argv[1]);
  const int out = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (out < 0) Fail(argv[2]);
  if (posix_fallocate(out, 0, static_cast<off_t>(out_bytes)) != 0) {
    Fail("reserve");
  }
  Copy copy(in, static_cast<uint64_t>(info.st_size), out, out_bytes);
  std::vector<std::thread> threads;
  for (int i = 0; i < std::stoi(argv[4]); ++i) {
    threads.emplace_back([&copy] { copy.Work(); });
  }
  for (std::thread& thread : threads) thread.join();
  if (fsync(out) != 0 || close(out) != 0) Fail("sync");
  return 0;
}
