#include "frontends/foreign.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kHeadBytes = 512;

constexpr absl::string_view kAgain =
    "download the file itself, not the page about it";

struct Description {
  absl::string_view what;
  absl::string_view next_step;
};

// Bytes at a fixed place.
struct MagicRow {
  size_t offset;
  absl::string_view magic;
  Description description;
};

// A view of a literal that may hold zeros.
template <size_t kSize>
constexpr absl::string_view Bytes(const char (&literal)[kSize]) {
  return absl::string_view(literal, kSize - 1);
}

constexpr MagicRow kMagic[] = {
    // Files are asked for this only where safetensors is needed.
    {0,
     "PK\x03\x04",
     {"a zip archive as torch.save writes it, not a safetensors shard",
      "name it by itself, or convert all shards to safetensors"}},
    {0,
     "GGUF",
     {"a GGUF file (llama.cpp)",
      "it is quantized already; name the PyTorch checkpoint it was made from"}},
    {0,
     "\x89HDF\r\n\x1A\n",
     {"an HDF5 file (Keras)", "only PyTorch checkpoints are read"}},
    {0, "\x1F\x8B", {"gzip-compressed", "unpack it with gunzip first"}},
    {0,
     Bytes("\xFD"
           "7zXZ\0"),
     {"xz-compressed", "unpack it with unxz first"}},
    {0, "BZh", {"bzip2-compressed", "unpack it with bunzip2 first"}},
    {0, "\x28\xB5\x2F\xFD", {"zstd-compressed", "unpack it with unzstd first"}},
    {0, "7z\xBC\xAF\x27\x1C", {"a 7-zip archive", "extract it first"}},
    {0, "Rar!", {"a RAR archive", "extract it first"}},
    {0,
     "\x7F"
     "ELF",
     {"a program or library (ELF)", "name the checkpoint itself"}},
    {0, "MZ", {"a Windows program", "name the checkpoint itself"}},
    {0,
     "\x93NUMPY",
     {"a NumPy array (.npy)", "save it as a tensor in torch or safetensors"}},
    {0,
     "version https://git-lfs.github.com",
     {"a Git LFS pointer, not the file it points to",
      "run 'git lfs pull' where it came from"}},
    {4,
     "TFL3",
     {"a TensorFlow Lite model", "only PyTorch checkpoints are read"}},
    {4,
     "ET12",
     {"an ExecuTorch program",
      "save the state_dict() of the model that it was made from"}},
    {257,
     "ustar",
     {"a tar archive", "extract it and name the checkpoint inside"}},
};

bool BeginsWithTag(absl::string_view text) {
  text = absl::StripLeadingAsciiWhitespace(text);
  return absl::StartsWithIgnoreCase(text, "<!doctype") ||
         absl::StartsWithIgnoreCase(text, "<html") ||
         absl::StartsWithIgnoreCase(text, "<head") ||
         absl::StartsWithIgnoreCase(text, "<?xml") ||
         absl::StartsWithIgnoreCase(text, "<!--");
}

bool IsText(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\r' ||
           c == '\t';
  });
}

// An ONNX model begins with the fields ir_version (08 0x) and either
// producer_name (12 size text) or graph (3A size), which begins with a node
// (0A).
bool IsOnnx(absl::string_view head) {
  if (head.size() <= 4 || head[0] != 0x08 || head[1] <= 0 || head[1] >= 0x20) {
    return false;
  }
  if (head[2] == 0x3A) {
    // The size takes 1 to 5 bytes, of which all but the last have the top bit.
    size_t end = 3;
    while (end < 8 && end < head.size() && (head[end] & 0x80) != 0) ++end;
    return end + 1 < head.size() && head[end + 1] == 0x0A;
  }
  const size_t size = static_cast<unsigned char>(head[3]);
  return head[2] == 0x12 && size + 4 <= head.size() &&
         IsText(head.substr(4, size));
}

// A .t7 file of Lua Torch: tagged little-endian 32-bit numbers, of which the
// first is a type (a table, a torch object) and the second an index, 1.
bool IsT7(absl::string_view head) {
  return head.size() >= 8 && (head[0] == 3 || head[0] == 4) &&
         head.substr(1, 7) == Bytes("\0\0\0\1\0\0\0");
}

Description DescribeHead(absl::string_view head) {
  for (const MagicRow& row : kMagic) {
    if (head.size() > row.offset &&
        absl::StartsWith(head.substr(row.offset), row.magic)) {
      return row.description;
    }
  }
  // As with zip archives: asked only where safetensors is needed.
  if (head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return {"a pickle, not a safetensors shard",
            "name it by itself, or convert all shards to safetensors"};
  }
  if (BeginsWithTag(head)) return {"a web page (HTML) or XML", kAgain};
  const absl::string_view text = absl::StripLeadingAsciiWhitespace(head);
  if (IsText(head) &&
      (absl::StartsWith(text, "{") || absl::StartsWith(text, "["))) {
    if (absl::StrContains(head, "\"error\"") ||
        absl::StrContains(head, "\"message\"")) {
      return {"an error message (JSON) of a server", kAgain};
    }
    return {"JSON", "name the checkpoint itself"};
  }
  if (IsOnnx(head)) {
    return {"an ONNX model",
            "save the state_dict() of the model that it was made from"};
  }
  if (IsT7(head)) {
    return {"a Lua Torch file (.t7)",
            "convert it with a program that reads .t7"};
  }
  if (IsText(head)) return {"plain text", "name the checkpoint itself"};
  return {"of no kind that monoquant knows",
          "name a file that torch.save wrote, a .safetensors or a .mqir file"};
}

absl::Status DescribeDirectory(const CheckpointFiles& files) {
  if (std::any_of(files.names.begin(), files.names.end(),
                  [](const std::string& name) {
                    return absl::EndsWith(name, ".distcp");
                  })) {
    return UnimplementedError(
        files.path,
        ": this directory is a distributed checkpoint without its file "
        ".metadata; copy that too (cp and ls pass over names that begin with a "
        "dot), or save again if saving was interrupted");
  }
  NameList found;
  for (const std::string& name : files.names) found.Add(name);
  return UnimplementedError(
      files.path,
      ": this directory has neither a checkpoint (*.safetensors, *.bin, *.pt, "
      "*.pth, *.ckpt) nor an index (*.index.json); found ",
      found.empty() ? "no files" : found.ToString(),
      "; name a checkpoint file itself");
}

}  // namespace

absl::Status DescribeForeignFile(const ByteSource& source) {
  if (source.size() == 0) {
    return UnimplementedError(
        source.name(), ": this file is empty; download or copy it again");
  }
  std::string head(
      static_cast<size_t>(std::min<uint64_t>(kHeadBytes, source.size())), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  const Description description = DescribeHead(head);
  return UnimplementedError(source.name(), ": this file is ", description.what,
                            "; ", description.next_step);
}

absl::Status DescribeForeign(const CheckpointFiles& files) {
  if (files.is_directory) return DescribeDirectory(files);
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  return DescribeForeignFile(*source);
}

}  // namespace monoquant
