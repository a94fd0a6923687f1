#include "frontends/safetensors/safetensors_header.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kMetadata = "__metadata__";
constexpr uint64_t kSizeBytes = 8;

absl::Status Malformed(const ByteSource& source, absl::string_view what) {
  return DataLossError(source.name(), ": malformed safetensors header: ", what,
                       "; download or copy it again");
}

absl::Status Truncated(const ByteSource& source, absl::string_view what) {
  return DataLossError(source.name(), " is truncated: ", what,
                       ", but the file has ", source.size(),
                       " bytes; download or copy it again");
}

absl::StatusOr<uint64_t> ReadHeaderSize(const ByteSource& source) {
  uint8_t bytes[kSizeBytes];
  MQ_RETURN_IF_ERROR(source.ReadAt(0, absl::MakeSpan(bytes)));
  uint64_t size = 0;
  for (size_t i = kSizeBytes; i-- > 0;) size = size << 8 | bytes[i];
  return size;
}

// The header's JSON, without the spaces behind it.
absl::StatusOr<std::string> ReadHeaderText(const ByteSource& source,
                                           uint64_t size) {
  std::string text(static_cast<size_t>(size), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      kSizeBytes,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size())));
  const size_t end = text.find_last_not_of(' ');
  if (text[0] != '{' || text[end] != '}') {
    return Malformed(source, "it does not begin with { and end with }");
  }
  text.resize(end + 1);
  return text;
}

// Fills in a tensor from its entry; `range` gets its place in the data.
absl::Status ReadEntry(const Json& json, TensorInfo* info, uint64_t range[2],
                       bool* has_unknown_fields) {
  const auto refuse = [](absl::string_view what) {
    return DataLossError(what);
  };
  const Json::Object* fields = json.AsObject();
  if (fields == nullptr) return refuse("its entry is no object");
  *has_unknown_fields = fields->size() > 3;

  const Json* dtype = json.Find("dtype");
  const std::string* dtype_name =
      dtype == nullptr ? nullptr : dtype->AsString();
  if (dtype_name == nullptr) return refuse("'dtype' is missing or no string");
  const auto found = DTypeFromName(*dtype_name);
  if (!found.has_value() || !GetDTypeInfo(*found).in_safetensors) {
    return UnimplementedError("dtype ", QuotedName(*dtype_name),
                              " is not known");
  }
  info->dtype = *found;

  const Json* shape = json.Find("shape");
  const Json::Array* dims = shape == nullptr ? nullptr : shape->AsArray();
  if (dims == nullptr) return refuse("'shape' is missing or no list");
  for (const Json& dim : *dims) {
    const int64_t* value = dim.AsInt();
    if (value == nullptr || *value < 0) {
      return refuse("'shape' holds something else than sizes");
    }
    info->shape.push_back(*value);
  }
  const auto byte_size = ByteSize(info->dtype, info->shape);
  if (!byte_size.ok()) return refuse(byte_size.status().message());
  info->byte_size = *byte_size;

  const Json* offsets = json.Find("data_offsets");
  const Json::Array* ends = offsets == nullptr ? nullptr : offsets->AsArray();
  if (ends == nullptr || ends->size() != 2) {
    return refuse("'data_offsets' is missing or no pair");
  }
  for (size_t i = 0; i < 2; ++i) {
    const int64_t* value = (*ends)[i].AsInt();
    if (value == nullptr || *value < 0) {
      return refuse("'data_offsets' holds something else than offsets");
    }
    range[i] = static_cast<uint64_t>(*value);
  }
  if (range[1] < range[0] || range[1] - range[0] != info->byte_size) {
    return refuse(absl::StrCat(
        DTypeName(info->dtype), " ", ShapeToString(info->shape), " needs ",
        info->byte_size, " bytes, but 'data_offsets' is [", range[0], ", ",
        range[1], "]"));
  }
  return absl::OkStatus();
}

absl::Status ReadMetadata(const Json& json, SafetensorsHeader* header) {
  const Json::Object* fields = json.AsObject();
  if (fields == nullptr) {
    return DataLossError("'__metadata__' is no object");
  }
  for (const auto& [key, value] : *fields) {
    if (value.AsString() == nullptr) {
      return DataLossError("metadata ", QuotedName(key), " is no string");
    }
    header->metadata.emplace_back(key, *value.AsString());
  }
  Sort(header->metadata);
  return absl::OkStatus();
}

// Sorts the tensors, whose offsets count from the start of the data, and
// checks that they lie one behind the other. Gives where the last one ends.
absl::StatusOr<uint64_t> CheckCover(const ByteSource& source,
                                    std::vector<SafetensorsEntry>* tensors) {
  // Those without bytes come before the one that starts at the same place.
  Sort(*tensors, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    if (a.offset != b.offset) return a.offset < b.offset;
    return a.info.byte_size < b.info.byte_size;
  });
  uint64_t end = 0;
  for (const SafetensorsEntry& entry : *tensors) {
    if (entry.offset != end) {
      return Malformed(source,
                       absl::StrCat("tensor ", QuotedName(entry.info.name),
                                    " begins at byte ", entry.offset,
                                    " of the data, but the one before it ",
                                    "ends at byte ", end));
    }
    // No overflow: ReadEntry has seen the sum as an int64_t.
    end += entry.info.byte_size;
  }
  return end;
}

}  // namespace

absl::StatusOr<bool> IsSafetensors(const ByteSource& source) {
  if (source.size() <= kSizeBytes) return false;
  MQ_ASSIGN_OR_RETURN(const uint64_t size, ReadHeaderSize(source));
  uint8_t first = 0;
  MQ_RETURN_IF_ERROR(source.ReadAt(kSizeBytes, absl::MakeSpan(&first, 1)));
  return size >= 2 && size <= kMaxSafetensorsHeader && first == '{';
}

absl::StatusOr<SafetensorsHeader> ReadSafetensorsHeader(
    const ByteSource& source) {
  if (source.size() < kSizeBytes) {
    return Truncated(source, "safetensors begins with a number of 8 bytes");
  }
  MQ_ASSIGN_OR_RETURN(const uint64_t size, ReadHeaderSize(source));
  if (size > kMaxSafetensorsHeader) {
    return Malformed(
        source, absl::StrCat("it has ", size, " bytes, more than the limit of ",
                             kMaxSafetensorsHeader));
  }
  if (size < 2) return Malformed(source, "it is empty");
  if (size > source.size() - kSizeBytes) {
    return Truncated(
        source, absl::StrCat("its header ends at byte ", kSizeBytes + size));
  }
  MQ_ASSIGN_OR_RETURN(const std::string text, ReadHeaderText(source, size));

  SafetensorsHeader header;
  NameList unknown_fields;
  IndexBudget budget;
  bool has_metadata = false;
  // What is wrong with one of the entries, where the JSON itself is right.
  absl::Status entry_status;
  const auto read_entry = [&](const std::string& name, const Json& value) {
    if (name == kMetadata) {
      if (has_metadata) {
        return DataLossError("'__metadata__' occurs twice");
      }
      has_metadata = true;
      return ReadMetadata(value, &header);
    }
    SafetensorsEntry entry;
    entry.info.name = name;
    uint64_t range[2] = {};
    bool has_unknown_fields = false;
    const absl::Status read =
        ReadEntry(value, &entry.info, range, &has_unknown_fields);
    if (!read.ok()) {
      return Annotate(absl::StrCat("tensor ", QuotedName(name)), read);
    }
    if (has_unknown_fields) unknown_fields.Add(name);
    entry.offset = range[0];
    MQ_RETURN_IF_ERROR(budget.Add(name, entry.info.shape.size()));
    header.tensors.push_back(std::move(entry));
    return absl::OkStatus();
  };
  const absl::Status parsed =
      ForEachJsonMember(text, [&](const std::string& name, Json value) {
        entry_status = read_entry(name, value);
        return entry_status;
      });
  if (!entry_status.ok()) return Annotate(source.name(), entry_status);
  if (!parsed.ok()) return Malformed(source, parsed.message());
  if (!unknown_fields.empty()) {
    header.notes.push_back(absl::StrCat("unknown fields are ignored in: ",
                                        unknown_fields.ToString()));
  }

  MQ_ASSIGN_OR_RETURN(const uint64_t data_size,
                      CheckCover(source, &header.tensors));
  const uint64_t data_offset = kSizeBytes + size;
  if (data_size > source.size() - data_offset) {
    return Truncated(source, absl::StrCat("its last tensor ends at byte ",
                                          data_offset + data_size));
  }
  if (data_size < source.size() - data_offset) {
    return DataLossError(
        source.name(), ": ", source.size() - data_offset - data_size,
        " bytes follow its last tensor, which a safetensors file must not "
        "have; download or copy it again");
  }
  for (SafetensorsEntry& entry : header.tensors) entry.offset += data_offset;
  return header;
}

}  // namespace monoquant
