#include "ir/dtype.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

// Guards the table: one row for each enumerator, at its place, with names that
// are unique and lead back to it.
TEST(DTypeTest, EveryRowIsFoundByItsNames) {
  ASSERT_EQ(AllDTypes().size(), static_cast<size_t>(kNumDTypes));
  std::set<std::string> names;
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const DTypeInfo& info = GetDTypeInfo(dtype);
    SCOPED_TRACE(std::string(info.name));
    EXPECT_EQ(info.dtype, dtype);
    EXPECT_EQ(DTypeFromName(info.name), dtype);
    EXPECT_TRUE(names.insert(std::string(info.name)).second);
    EXPECT_EQ(info.name, absl::AsciiStrToUpper(info.name));
    if (!info.torch_name.empty()) {
      EXPECT_EQ(DTypeFromTorchName(info.torch_name), dtype);
    }
  }
}

TEST(DTypeTest, UnknownNamesAreUnknown) {
  for (const char* name : {"", "f32", "F32 ", "float32", "F128"}) {
    EXPECT_FALSE(DTypeFromName(name).has_value()) << name;
  }
  for (const char* name : {"", "F32", "torch.float32", "float128"}) {
    EXPECT_FALSE(DTypeFromTorchName(name).has_value()) << name;
  }
}

TEST(DTypeTest, TorchAliases) {
  const std::pair<const char*, DType> aliases[] = {
      {"float", DType::kF32},  {"double", DType::kF64},
      {"half", DType::kF16},   {"int", DType::kI32},
      {"long", DType::kI64},   {"short", DType::kI16},
      {"cfloat", DType::kC64}, {"cdouble", DType::kC128},
      {"chalf", DType::kC32},
  };
  for (const auto& [name, dtype] : aliases) {
    EXPECT_EQ(DTypeFromTorchName(name), dtype) << name;
  }
}

// Guards against a type being forgotten: the 22 of safetensors 0.8, and 46 of
// torch 2.13, which has all but the two 6-bit floats.
TEST(DTypeTest, CountsOfBothWorlds) {
  int in_safetensors = 0;
  int in_torch = 0;
  for (const DTypeInfo& info : AllDTypes()) {
    in_safetensors += info.in_safetensors;
    in_torch += !info.torch_name.empty();
  }
  EXPECT_EQ(in_safetensors, 22);
  EXPECT_EQ(in_torch, 46);
}

// The width is in the name of every number type.
TEST(DTypeTest, BitsAgreeWithTheName) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (info.kind == DTypeKind::kOpaque || info.kind == DTypeKind::kBool) {
      continue;
    }
    const absl::string_view digits =
        info.name.substr(info.name.find_first_of("0123456789"));
    EXPECT_TRUE(absl::StartsWith(digits, std::to_string(info.bits)))
        << info.name;
  }
}

TEST(DTypeTest, OnlyFourFloatsAreQuantizable) {
  std::set<std::string> names;
  for (const DTypeInfo& info : AllDTypes()) {
    if (IsQuantizable(info.dtype)) names.insert(std::string(info.name));
  }
  EXPECT_EQ(names, (std::set<std::string>{"BF16", "F16", "F32", "F64"}));
}

}  // namespace
}  // namespace monoquant
