"""Compiler options of monoquant's own C++."""

# Written into every target, because an embedder's workspace does not inherit
# our .bazelrc. There, external code is compiled with the embedder's options.
MQ_COPTS = [
    "-std=c++20",
    # The same bytes everywhere: g++ fuses a*b+c into one rounding by default
    # wherever the target has the instruction.
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wnon-virtual-dtor",
    "-Wold-style-cast",
    "-Woverloaded-virtual",
    "-Wshadow",
    "-Wvla",
    # g++ 12 reports these inside inlined library code, where the source at
    # hand cannot mend them.
    "-Wno-maybe-uninitialized",
    "-Wno-array-bounds",
    "-Wno-stringop-overflow",
    "-Wno-stringop-overread",
] + select({
    # g++ has warnings that clang does not know, and the other way round.
    "@rules_cc//cc/compiler:clang": ["-Wno-unknown-warning-option"],
    "@rules_cc//cc/compiler:emscripten": ["-Wno-unknown-warning-option"],
    "//conditions:default": ["-Wno-restrict"],
})

# Our libraries report errors as values; see docs/architecture.md.
MQ_NO_EXCEPTIONS = ["-fno-exceptions"]

# The code under test has its own options; tests themselves need not be fast, and
# take a third less to compile so.
MQ_TEST_COPTS = ["-Og"]
