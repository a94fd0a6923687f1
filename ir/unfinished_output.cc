#include "ir/unfinished_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "ir/crc32.h"
#include "ir/errno_status.h"
#include "ir/errors.h"
#include "ir/pending_files.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kTitle = "monoquant unfinished output 1\n";

// A log larger than that is none of ours.
constexpr off_t kMaxLogBytes = off_t{1} << 30;

// In front of each record: its size and its checksum.
struct RecordHead {
  uint32_t size;
  uint32_t crc32;
};

uint32_t CrcOf(absl::string_view text) {
  return Crc32(absl::MakeConstSpan(
      reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

// Another user's file, or one with a second name, is not gone on with: who
// wrote it decides what the output would be.
bool IsOurs(const struct stat& info) {
  return info.st_uid == geteuid() &&
         (S_ISDIR(info.st_mode) ||
          (S_ISREG(info.st_mode) && info.st_nlink == 1));
}

// The whole of an open file; empty if that fails.
std::string ReadAll(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0 || info.st_size > kMaxLogBytes) return "";
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = pread(fd, text.data() + have, text.size() - have,
                            static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return "";
    have += static_cast<size_t>(n);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnfinishedOutput>> UnfinishedOutput::Claim(
    const std::string& path, OutputPlace place, absl::string_view key) {
  UniqueFd directory(
      open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.ok()) return ErrnoStatus(errno, path, "cannot open");
  std::unique_ptr<UnfinishedOutput> output(
      new UnfinishedOutput(std::move(place), std::move(directory)));
  MQ_RETURN_IF_ERROR(output->Lock(path));
  output->ReadLog(key);
  if (output->records_.empty()) output->StartLog(key);
  return output;
}

// Opens the log, which is what is locked.
absl::Status UnfinishedOutput::Lock(const std::string& path) {
  const std::string name = PartLogName(place_.name);
  // The owner removes the log when it is done: what was opened may be gone.
  constexpr int kAttempts = 100;
  for (int i = 0; i < kAttempts; ++i) {
    UniqueFd log(openat(directory_.get(), name.c_str(),
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!log.ok()) return ErrnoStatus(errno, path, "cannot open its log");
    const int error =
        RetryOnInterrupt([&] { return flock(log.get(), LOCK_EX | LOCK_NB); });
    if (error == EWOULDBLOCK) {
      return AlreadyExistsError(
          path,
          ": another run is writing it; wait for that one, or "
          "choose another output");
    }
    if (error != 0) return ErrnoStatus(error, path, "cannot lock its log");
    struct stat here;
    struct stat there;
    if (fstat(log.get(), &here) != 0 || !IsOurs(here)) {
      return ErrnoStatus(EPERM, path, "cannot use its log");
    }
    if (fstatat(directory_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) ==
            0 &&
        here.st_dev == there.st_dev && here.st_ino == there.st_ino) {
      log_ = std::move(log);
      return absl::OkStatus();
    }
  }
  return ErrnoStatus(EBUSY, path, "cannot lock its log");
}

// Leaves records_ empty unless everything there is of a run with this key.
void UnfinishedOutput::ReadLog(absl::string_view key) {
  struct stat part;
  if (fstatat(directory_.get(), PartName(place_.name).c_str(), &part,
              AT_SYMLINK_NOFOLLOW) != 0 ||
      !IsOurs(part)) {
    return;
  }
  const std::string text = ReadAll(log_.get());
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, kTitle) || !absl::ConsumePrefix(&rest, key) ||
      !absl::ConsumePrefix(&rest, "\n")) {
    return;
  }
  // Up to what the run could not write to its end.
  RecordHead head;
  while (rest.size() >= sizeof(head)) {
    std::memcpy(&head, rest.data(), sizeof(head));
    const absl::string_view record = rest.substr(sizeof(head), head.size);
    if (record.size() != head.size || CrcOf(record) != head.crc32) break;
    records_.emplace_back(record);
    rest.remove_prefix(sizeof(head) + head.size);
  }
  log_size_ = text.size() - rest.size();
  if (ftruncate(log_.get(), static_cast<off_t>(log_size_)) != 0) broken_ = true;
}

void UnfinishedOutput::StartLog(absl::string_view key) {
  const std::string text = absl::StrCat(kTitle, key, "\n");
  log_size_ = text.size();
  broken_ = ftruncate(log_.get(), 0) != 0 ||
            pwrite(log_.get(), text.data(), text.size(), 0) !=
                static_cast<ssize_t>(text.size());
}

UnfinishedOutput::~UnfinishedOutput() {
  const bool is_owner = log_.ok();
  if (is_owner && !removed_ && !worth_keeping()) Remove();
}

std::string UnfinishedOutput::PartPath() const {
  return absl::StrCat(place_.directory, "/", PartName(place_.name));
}

void UnfinishedOutput::Add(absl::string_view record) {
  const RecordHead head = {static_cast<uint32_t>(record.size()), CrcOf(record)};
  std::string text(sizeof(head), '\0');
  std::memcpy(text.data(), &head, sizeof(head));
  text += record;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (broken_) return;
  if (pwrite(log_.get(), text.data(), text.size(),
             static_cast<off_t>(log_size_)) !=
      static_cast<ssize_t>(text.size())) {
    broken_ = true;
    return;
  }
  log_size_ += text.size();
  ++added_;
}

bool UnfinishedOutput::worth_keeping() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !removed_ && (!records_.empty() || added_ > 0);
}

void UnfinishedOutput::Remove() {
  removed_ = true;
  RemoveFileOrFlatDirectory(directory_.get(), PartName(place_.name).c_str());
  unlinkat(directory_.get(), PartLogName(place_.name).c_str(), 0);
}

}  // namespace monoquant
