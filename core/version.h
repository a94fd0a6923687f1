// The version of monoquant, as every record and report states it.

#ifndef MONOQUANT_CORE_VERSION_H_
#define MONOQUANT_CORE_VERSION_H_

namespace monoquant {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace monoquant

#endif  // MONOQUANT_CORE_VERSION_H_
