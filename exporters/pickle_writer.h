// Writes pickle protocol 2: the few opcodes that a state dict needs, all of
// which torch's restricted unpickler (weights_only=True) implements.

#ifndef MONOQUANT_EXPORTERS_PICKLE_WRITER_H_
#define MONOQUANT_EXPORTERS_PICKLE_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace monoquant {

// Appends opcodes for a stack machine. Each function says what it leaves on
// the stack; that the sequence makes sense is the caller's task.
class PickleWriter {
 public:
  PickleWriter();

  // Pushes the object `module`.`name`; the second time from the memo.
  void Global(absl::string_view module, absl::string_view name);

  // Pushes UTF-8 text of less than 4 GiB. Shared: a word without line breaks,
  // the second time from the memo.
  void String(absl::string_view text);
  void SharedString(absl::string_view text);

  // Pushes a number of at most 2^63 - 1.
  void Int(uint64_t value);
  void False();
  void None();
  void EmptyTuple();
  void EmptyList();
  void EmptyDict();

  // Begins a tuple or items.
  void Mark();
  // Replaces all since the last mark by a tuple of it.
  void Tuple();
  // Takes pairs of key and value since the last mark; stores them in the dict
  // below the mark, which stays.
  void SetItems();

  // Takes all since the last mark; appends it to the list below the mark, which
  // stays.
  void Appends();

  // Replaces a callable and its tuple of arguments by the result.
  void Reduce();
  // The same for a class and the arguments of its __new__.
  void NewObject();
  // Takes a state, and gives it to the object below, which stays.
  void Build();
  // Replaces a tuple by what it identifies outside the pickle: a storage.
  void PersistentId();

  // Ends the pickle, whose value is the top of the stack. To be called once.
  std::string Finish() &&;

 private:
  // True if `key` was seen before: pushes it. Otherwise the caller pushes it
  // and calls Remember.
  bool Recall(absl::string_view key);
  void Remember(absl::string_view key);
  void Op(char opcode) { out_.push_back(opcode); }
  void Little(uint64_t value, int bytes);

  std::string out_;
  absl::flat_hash_map<std::string, uint32_t> memo_;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PICKLE_WRITER_H_
