#include "frontends/pickle/opcode_names.h"

namespace monoquant {

absl::string_view PickleOpName(PickleOp op) {
  switch (op) {
    case PickleOp::kAddItems:
      return "ADDITEMS";
    case PickleOp::kAppend:
      return "APPEND";
    case PickleOp::kAppends:
      return "APPENDS";
    case PickleOp::kBuild:
      return "BUILD";
    case PickleOp::kExt1:
      return "EXT1";
    case PickleOp::kExt2:
      return "EXT2";
    case PickleOp::kExt4:
      return "EXT4";
    case PickleOp::kGlobal:
      return "GLOBAL";
    case PickleOp::kInst:
      return "INST";
    case PickleOp::kNewObj:
      return "NEWOBJ";
    case PickleOp::kNewObjEx:
      return "NEWOBJ_EX";
    case PickleOp::kObj:
      return "OBJ";
    case PickleOp::kReduce:
      return "REDUCE";
    case PickleOp::kSetItem:
      return "SETITEM";
    case PickleOp::kSetItems:
      return "SETITEMS";
    case PickleOp::kStackGlobal:
      return "STACK_GLOBAL";
    default:
      return "";
  }
}

}  // namespace monoquant
