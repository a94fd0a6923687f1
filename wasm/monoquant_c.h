// monoquant behind a C ABI: what the WebAssembly module exports, and the three
// functions that it asks of its host. wasm/loader/monoquant.mjs is such a host;
// docs/wasm.md is the tour.
//
// Data crosses as JSON text and bytes, objects as handles (numbers above 0),
// and file offsets as doubles, which are exact up to 2^53: no 64-bit integers,
// which JavaScript would have to box.
//
// Results. A function that makes a handle returns 0 on failure, the others
// state their failure value. After a failure mq_text has
//   {"code": "MalformedInputError", "exit_code": 6, "message": "..."}
// with the codes of docs/errors.md.
//
// Memory. The module reads an index whole and payload in pieces of at most
// chunk_bytes; it never holds a file, or a tensor that is larger than a piece.
//
// Threads. One at a time. Several instances of the module are independent.

#ifndef MONOQUANT_WASM_MONOQUANT_C_H_
#define MONOQUANT_WASM_MONOQUANT_C_H_

#include <stdint.h>

#ifdef __wasm__
#define MQ_HOST(name) \
  __attribute__((import_module("monoquant"), import_name(name)))
#else
#define MQ_HOST(name)
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------
// What the host provides.

enum MqHostResult {
  MQ_HOST_OK = 0,
  MQ_HOST_FAILED = 1,     // the device or the permission failed
  MQ_HOST_TRUNCATED = 2,  // read: the file has become shorter
  MQ_HOST_NO_SPACE = 3,   // write, commit: disk or quota is full
};

// Fills `dst` with the `size` bytes at `offset` of source number `source`, as
// the host numbered it for mq_open. All of them lie inside the file, by the
// size that the host stated.
MQ_HOST("read")
int32_t mq_host_read(uint32_t source, double offset, uint8_t* dst,
                     uint32_t size);

// Writes bytes at `offset` of sink number `sink`, one of those given to
// mq_start. Ranges come in no particular order, do not overlap, and lie inside
// the planned size; what is never written must read as zero.
MQ_HOST("write")
int32_t mq_host_write(uint32_t sink, double offset, const uint8_t* src,
                      uint32_t size);

// All bytes of `sink` are written; puts them under their final name. Called
// once for each sink, in the order of their numbers, by the last mq_step of a
// job, when every byte of every sink is written. Without it a sink is to be
// discarded. After a failure the later ones are not committed: that a directory
// of files is whole, its last file says.
MQ_HOST("commit")
int32_t mq_host_commit(uint32_t sink);

// ---------------------------------------------------------------------------
// What the module provides.

// Memory for arguments; 0 where there is none.
uint8_t* mq_alloc(uint32_t size);
void mq_free(uint8_t* memory);

// The text of the last function that left one: UTF-8, valid until the next
// call of any function but mq_text_size.
const char* mq_text(void);
uint32_t mq_text_size(void);

// Leaves a text: {"version", "containers": [...], "formats": [{"name",
// "directory", "extensions": [...], "python", "description"}]}. "directory" is
// true for a format that is always a directory of files. Cannot fail.
void mq_about(void);

// Opens a checkpoint: reads its index. `request` is JSON:
//   {"path": "model.safetensors",    what messages call it
//    "main": "model.safetensors",    the file that is meant; absent for a
//                                    directory
//    "files": [{"name": "model.safetensors", "size": 1234, "source": 0}, ...],
//    "root": "model",                which dict of a training checkpoint;
//                                    absent: found by itself
//    "allow_opaque": false,          read it even if a pickle calls something
//                                    dangerous, which is never executed
//    "as_stored": false}             codes and scales of a checkpoint that is
//                                    already quantized, not its floats
// Names are bare, without a directory, and differ. "source" is the number that
// mq_host_read is given for the file. The sources are in use until the
// checkpoint and all its plans and jobs are closed.
uint32_t mq_open(const char* request, uint32_t size);

// Plans an output of an open checkpoint; reads no payload. `request` is JSON:
//   {"mode": "quantize",      or "convert", "dequantize"; "convert" changes no
//                            number, and stores them as the format does
//    "recipe": {...},         docs/recipe.md; only for quantize; absent: the
//                             format's default
//    "dtype": "F16",          only for dequantize, may be absent
//    "format": "torch",       a name from mq_about; may be absent with "for"
//    "for": "vllm",           "sglang", "transformers" or "torch": the program
//                             that is to load the output. It chooses the format
//                             where there is none, and what it has no use for
//                             stays as it is; for "convert" that is an error.
//                             May be absent
//    "max_shard_bytes": N}    makes a directory of any format that can have
//                             several files, of at most N bytes of tensors
//                             each; absent or 0: shards of the input stay
//                             shards in a format that is a directory
// The checkpoint may be closed after it; so may the plan after mq_start.
//
// An output is one file, or a directory of files: the same ones, with the same
// bytes, as the command line writes for it. Beside the files with tensors these
// are the index of shards, the config.json, which has a "quantization_config"
// where the format needs one, and copies of the input's other files, as far as
// they are among those that mq_open was given.
uint32_t mq_plan(uint32_t checkpoint, const char* request, uint32_t size);

// Does what is left of planning, a piece at a time: 1 if there is more to do,
// 0 if the plan is settled, -1 on failure. There is something to do only for a
// recipe with "nonfinite": "keep", which must look at every value to know what
// stays as it is.
int32_t mq_settle(uint32_t plan);

// Begins to run a settled plan into sinks of the host: member k of the plan's
// "outputs" goes to sink number `first_sink` + k, which must have room for its
// "bytes". Input is read in pieces of chunk_bytes, 65536 to 1073741824, or 0
// for the default of 8 MiB.
uint32_t mq_start(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes);

// Does the next piece: 1 if there is more to do, 0 if the output is complete
// and all of its sinks are committed (or a part is complete, or a survey), -1
// on failure. To cancel, close the job instead.
int32_t mq_step(uint32_t job);

// Input bytes of tensors that a job or a survey has done and has to do. 0 for
// what is neither.
double mq_bytes_done(uint32_t job);
double mq_bytes_total(uint32_t job);

// The same work, divided among several instances of the module that know
// nothing of each other, with the same bytes as one of them alone. Each opens
// the same checkpoint and makes and settles the same plan. mq_start_part begins
// a job that does part `part` of `parts` (counted from 0), a stretch of the
// payload: it writes into the same files as all others, and commits nothing.
// After its last step mq_records leaves what it has done: bytes, no JSON. -1
// for what is no complete part.
//
// mq_join begins the job that completes the output: from the records of the
// parts, one behind the other in any order, it knows what need not be done
// again. It does what they lack, writes indexes and whatever else there is
// beside the payload, and commits all sinks. What a part wrote of an index it
// writes again, with the same bytes. `chunk_bytes` is the same for all.
uint32_t mq_start_part(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes,
                       uint32_t part, uint32_t parts);
int32_t mq_records(uint32_t part);
uint32_t mq_join(uint32_t plan, uint32_t first_sink, uint32_t chunk_bytes,
                 const char* records, uint32_t size);

// Begins to look at the values of a tensor of an open checkpoint, with mq_step,
// half a megabyte at a time. Of a quantized weight these are the floats that it
// stands for, unless the checkpoint was opened as it is stored. `request` is
// JSON:
//   {"tensor": "a.weight",
//    "bins": 64,                 of each histogram, 2 to 1024; may be absent
//    "against": {"checkpoint": 2, "tensor": "a.weight"}}
//                                a version of it, of the same shape, in a
//                                checkpoint that may be another; may be absent
// The checkpoints may be closed after it.
uint32_t mq_survey(uint32_t checkpoint, const char* request, uint32_t size);

// A new SHA-256; it takes bytes with mq_hash_add, until it is described. -1 for
// what is none, or has been described.
uint32_t mq_hash(void);
int32_t mq_hash_add(uint32_t hash, const uint8_t* bytes, uint32_t size);

// Leaves a text about a handle; -1 on failure, otherwise 0.
//   checkpoint  docs/schemas/inspect.json
//   plan        {"settled",
//                "output": {"format", "directory", "bytes", "python"},
//                "outputs": [{"name", "bytes", "copied"}, ...],
//                "peak_memory": N,   that running it takes beyond the module
//                                    and the index, by pieces of 8 MiB
//                "notes": ["...", ...],
//                "plan": {...}}      as docs/schemas/plan.json, with its "for"
//                                    if the request has one
//                "outputs" has a member for each file, also where there is only
//                one, and "output": {"bytes"} is their sum. Of a directory
//                ("directory" is true) "name" is the name that a file has to
//                have; of a single file it is only a suggestion. "copied" files
//                are those of the input with the same names, byte for byte: a
//                host that has them at hand may discard what it is given.
//                "notes" say what is not carried over.
//   job         when complete: {"complete": true, "tensors": [{"name",
//                "scheme", "sqnr_db", "mse", "cosine", "max_abs_error",
//                "nonfinite"}]}; sqnr_db is null where it is infinite. Before:
//                {"complete": false, "tensor", "signal", "noise"}: the name of
//                the last tensor that it was at, or null, and the sums over
//                what it has written so far of the squares of the weights and
//                of their errors
//   survey      when complete: {"tensor", "dtype", "shape", "count",
//                "nonfinite", "zeros", "min", "max", "mean", "std", "bins",
//                "against": {"count", "nonfinite", "zeros", "min", "max",
//                "mean", "std", "bins"}, "error": {"min", "max", "bins",
//                "sqnr_db", "mse", "cosine", "max_abs_error"}}, the last two
//                only if there was something to compare with. Bins are equal
//                parts of [min, max] of the tensor, for both of them: what is
//                beyond is in the one at that end; those of errors (the other
//                one minus the tensor) of [-max_abs_error, max_abs_error].
//                "count" and what follows it are of finite values
//   hash        {"sha256"}: of all bytes that it was given, in hexadecimal
int32_t mq_describe(uint32_t handle);

// Forgets a handle of any kind; 0 and forgotten handles are ignored. A job that
// is not complete is cancelled.
void mq_close(uint32_t handle);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // MONOQUANT_WASM_MONOQUANT_C_H_
