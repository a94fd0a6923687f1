#include "exporters/sharded_writer.h"

#include <atomic>
#include <utility>

#include "exporters/output_writer.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// One shard at work.
struct OpenShard {
  OpenShard(const Exporter& exporter, ShardOutput output)
      : writer(exporter, output.shard->manifest, std::move(output.layout),
               *output.sink),
        missing(output.shard->payload_bytes) {}

  OutputWriter writer;
  std::atomic<uint64_t> missing;  // bytes
  // Written by whoever writes the last byte, read after all have returned.
  bool finished = false;
  absl::Status status;  // of finishing it
};

// Where a tensor of the whole manifest is.
struct Place {
  size_t shard;
  size_t tensor;
};

}  // namespace

struct ShardedWriter::State {
  std::vector<std::unique_ptr<OpenShard>> shards;
  std::vector<Place> places;

  absl::Status Check(size_t output) const;
  absl::Status Count(OpenShard& shard, uint64_t bytes);
};

ShardedWriter::ShardedWriter(const Exporter& exporter,
                             std::vector<ShardOutput> outputs)
    : state_(new State) {
  size_t tensors = 0;
  for (const ShardOutput& output : outputs) {
    tensors += output.shard->outputs.size();
  }
  state_->places.resize(tensors);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::vector<size_t>& members = outputs[i].shard->outputs;
    for (size_t t = 0; t < members.size(); ++t) {
      state_->places[members[t]] = {i, t};
    }
    state_->shards.push_back(
        std::make_unique<OpenShard>(exporter, std::move(outputs[i])));
  }
}

ShardedWriter::~ShardedWriter() = default;

absl::Status ShardedWriter::State::Check(size_t output) const {
  if (output < places.size()) return absl::OkStatus();
  return OutOfRangeError("output tensor ", output, " of ", places.size(),
                         " was written");
}

// After bytes of a shard were written: the last ones finish it.
absl::Status ShardedWriter::State::Count(OpenShard& shard, uint64_t bytes) {
  if (bytes == 0 || shard.missing.fetch_sub(bytes) != bytes) {
    return absl::OkStatus();
  }
  shard.finished = true;
  shard.status = shard.writer.Finish();
  return shard.status;
}

absl::Status ShardedWriter::Write(size_t output, uint64_t offset,
                                  absl::Span<const uint8_t> bytes,
                                  uint32_t crc) {
  MQ_RETURN_IF_ERROR(state_->Check(output));
  const Place place = state_->places[output];
  OpenShard& shard = *state_->shards[place.shard];
  MQ_RETURN_IF_ERROR(shard.writer.Write(place.tensor, offset, bytes, crc));
  return state_->Count(shard, bytes.size());
}

absl::Status ShardedWriter::Adopt(const FinishedRange& range) {
  MQ_RETURN_IF_ERROR(state_->Check(range.output));
  const Place place = state_->places[range.output];
  OpenShard& shard = *state_->shards[place.shard];
  FinishedRange in_shard = range;
  in_shard.output = place.tensor;
  MQ_RETURN_IF_ERROR(shard.writer.Adopt(in_shard));
  return state_->Count(shard, range.size);
}

std::pair<size_t, size_t> ShardedWriter::Find(size_t output) const {
  const Place place = state_->places[output];
  return {place.shard, place.tensor};
}

absl::Status ShardedWriter::Finish() {
  for (const std::unique_ptr<OpenShard>& shard : state_->shards) {
    MQ_RETURN_IF_ERROR(shard->finished ? shard->status
                                       : shard->writer.Finish());
  }
  return absl::OkStatus();
}

}  // namespace monoquant
