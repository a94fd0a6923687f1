// How much of a large checkpoint is read to open it, and how long an index of
// many tensors takes, beside a yardstick on the same bytes.
//
//   bazel run //tests/bench:open
//
// The files are sparse; they take some MB in the temporary directory while it
// runs. Nothing is asserted: //tests/bench:open_reads_test does that.

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "frontends/frontend.h"
#include "ir/local_files.h"
#include "tests/bench/sparse_checkpoint.h"

namespace monoquant::bench {
namespace {

constexpr int kRepeats = 5;

double Seconds(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("mq_open_" + std::to_string(getpid()))) {
    std::filesystem::create_directory(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Write(const std::string& name, const SparseFile& file) const {
    const std::filesystem::path path = path_ / name;
    std::ofstream out(path, std::ios::binary);
    for (const auto& [offset, piece] : file.pieces) {
      out.seekp(static_cast<std::streamoff>(offset));
      out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    }
    out.close();
    std::filesystem::resize_file(path, file.size);
    return path.string();
  }

 private:
  const std::filesystem::path path_;
};

std::shared_ptr<CountingSource> OpenCounting(const std::string& path) {
  auto source = OpenLocalFile(path);
  if (!source.ok()) Fail(source.status().ToString());
  return std::make_shared<CountingSource>(*std::move(source));
}

void OpenOrFail(const std::shared_ptr<CountingSource>& source, size_t tensors) {
  const auto reader = OpenCheckpoint(FilesOf(source));
  if (!reader.ok()) Fail(reader.status().ToString());
  if ((*reader)->index().tensors.size() != tensors) Fail("tensors are missing");
}

void CountBytes(const char* what, const std::string& path, size_t tensors) {
  const auto source = OpenCounting(path);
  OpenOrFail(source, tensors);
  std::printf("%-12s %8.2f GB, %zu tensors: %llu bytes read, %.5f %%\n", what,
              static_cast<double>(source->size()) / 1e9, tensors,
              static_cast<unsigned long long>(source->bytes_read()),
              100.0 * static_cast<double>(source->bytes_read()) /
                  static_cast<double>(source->size()));
}

// Reads every byte of the index; `look` sees them.
void ReadIndex(const std::string& path, const SparseFile& file,
               const std::function<void(const std::string&)>& look) {
  const auto source = OpenCounting(path);
  for (const auto& [offset, piece] : file.pieces) {
    // Headers in front of the members are not needed to open an archive.
    if (piece.size() < 200) continue;
    std::string bytes(piece.size(), '\0');
    const absl::Status status = source->ReadAt(
        offset,
        absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()));
    if (!status.ok()) Fail(status.ToString());
    look(bytes);
  }
}

volatile unsigned long sink;

void Crc(const std::string& bytes) {
  sink = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()),
               static_cast<uInt>(bytes.size()));
}

// What any reader of JSON does at least: finds the ends of all tokens.
void Tokenize(const std::string& bytes) {
  unsigned long tokens = 0;
  bool in_string = false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
      ++tokens;
    } else if (c == '{' || c == '}' || c == '[' || c == ']' || c == ',' ||
               c == ':') {
      ++tokens;
    }
  }
  sink = tokens;
}

void TimeIndex(const char* what, const char* yardstick, const std::string& path,
               const SparseFile& file, size_t tensors,
               const std::function<void(const std::string&)>& look) {
  const double open = Seconds([&] { OpenOrFail(OpenCounting(path), tensors); });
  const double least = Seconds([&] { ReadIndex(path, file, look); });
  std::printf(
      "%-12s %zu tensors: %.3f s; %s %.4f s; ratio %.1f; %.2f us a tensor\n",
      what, tensors, open, yardstick, least, open / least,
      1e6 * open / static_cast<double>(tensors));
}

int Main() {
  const TemporaryFolder folder;
  constexpr size_t kFew = 300;
  constexpr uint64_t kElements = 5'000'000'000 / sizeof(float) / kFew + 1;
  CountBytes("torch", folder.Write("large.pt", SparseTorchZip(kFew, kElements)),
             kFew);
  CountBytes(
      "safetensors",
      folder.Write("large.safetensors", SparseSafetensors(kFew, kElements)),
      kFew);

  constexpr size_t kMany = 200'000;
  const SparseFile zip = SparseTorchZip(kMany, 16);
  TimeIndex("torch", "reading and CRC-32", folder.Write("many.pt", zip), zip,
            kMany, Crc);
  const SparseFile safetensors = SparseSafetensors(kMany, 16);
  TimeIndex("safetensors", "reading and finding tokens",
            folder.Write("many.safetensors", safetensors), safetensors, kMany,
            Tokenize);
  return 0;
}

}  // namespace
}  // namespace monoquant::bench

int main() { return monoquant::bench::Main(); }
