// Writes pickles for tests, instruction by instruction.

#ifndef MONOQUANT_FRONTENDS_TESTING_PICKLE_BUILDER_H_
#define MONOQUANT_FRONTENDS_TESTING_PICKLE_BUILDER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "frontends/pickle/opcodes.h"

namespace monoquant::testing {

class PickleBuilder {
 public:
  // Begins as protocol 2, like torch's pickles.
  PickleBuilder() : bytes_("\x80\x02") {}

  // Instructions without an argument, and any bytes.
  PickleBuilder& Op(PickleOp op);
  PickleBuilder& Raw(absl::string_view bytes);

  PickleBuilder& Str(absl::string_view text);
  PickleBuilder& Int(int64_t value);
  PickleBuilder& Bool(bool value);
  PickleBuilder& Global(absl::string_view module, absl::string_view name);
  PickleBuilder& IntTuple(const std::vector<int64_t>& values);
  PickleBuilder& Put(uint8_t index);
  PickleBuilder& Get(uint8_t index);

  PickleBuilder& Mark() { return Op(PickleOp::kMark); }
  PickleBuilder& Tuple() { return Op(PickleOp::kTuple); }
  PickleBuilder& Reduce() { return Op(PickleOp::kReduce); }
  PickleBuilder& Dict() { return Op(PickleOp::kEmptyDict); }
  PickleBuilder& SetItems() { return Op(PickleOp::kSetItems); }
  PickleBuilder& None() { return Op(PickleOp::kNone); }

  // collections.OrderedDict().
  PickleBuilder& OrderedDict();
  // ('storage', torch.<storage_class>, key, 'cpu', numel), a persistent id.
  PickleBuilder& Storage(absl::string_view storage_class, absl::string_view key,
                         int64_t numel);
  // A call of torch._utils._rebuild_tensor_v2. With `metadata`, that is the
  // key of a last argument {metadata: True}.
  PickleBuilder& Tensor(absl::string_view storage_class, absl::string_view key,
                        int64_t numel, int64_t offset,
                        const std::vector<int64_t>& size,
                        const std::vector<int64_t>& stride,
                        absl::string_view metadata = {});

  // The pickle with its STOP.
  std::string Build() const;

 private:
  std::string bytes_;
};

}  // namespace monoquant::testing

#endif  // MONOQUANT_FRONTENDS_TESTING_PICKLE_BUILDER_H_
