"""The walls of the house: which room may include which.

    ir <- {core, frontends} <- exporters <- verify <- {cli, wasm, python}

Bazel's visibility holds the same walls between targets. This reads the
#include lines, so it also sees a header that is included through a dependency
of a dependency, and the standard headers that a room must do without.
"""

import pathlib
import re

# What the files of a room may include, besides libraries. A wall is the
# absence of a name.
MAY_INCLUDE = {
    "ir": {"ir"},
    "core": {"ir", "core"},
    "frontends": {"ir", "frontends"},
    "exporters": {"ir", "core", "exporters"},
    "verify": {"ir", "core", "frontends", "exporters", "verify"},
    "cli": {"ir", "core", "frontends", "exporters", "verify", "cli"},
    "wasm": {"ir", "core", "frontends", "exporters", "verify", "wasm"},
    "python": {"ir", "core", "frontends", "exporters", "verify", "python"},
}

# All folders with C++: what a header's path must start with to be ours.
ROOMS = set(MAY_INCLUDE) | {"tests", "examples", "third_party", "toolchain"}

# Libraries that one place is to use: the pattern of the header, where it may
# be included, and why.
ONLY_IN = [
    (re.compile(r"CLI/"), re.compile(r"cli/"),
     "CLI11 throws and is for the command line"),
    (re.compile(r"nlohmann/"), re.compile(r"ir/json\.(cc|h)$"),
     "JSON is read and written by ir/json.cc, one dialect for all"),
]

# Headers that the core does without: it neither prints, nor waits, nor reads
# clock, files or environment, so that every caller can drive it. A mutex is no
# thread: it lets several threads of the caller drive one job.
FORBIDDEN_IN_CORE = {
    "chrono", "condition_variable", "ctime", "fstream", "future",
    "filesystem", "iostream", "random", "thread",
    "time.h", "unistd.h",
}

# Headers of libraries that lie in no folder.
LIBRARY_HEADERS = {"zlib.h"}

# <cstdlib> is fine but for these.
FORBIDDEN_CALLS_IN_CORE = re.compile(
    r"\b(getenv|setenv|std::abort|abort|exit|rand|time|printf)\s*\(")

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
_COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
_SUFFIXES = {".h", ".cc"}


def _is_test(path):
  """Whether a file is a test, which sits beside what it tests."""
  stem = path.stem
  return (stem.endswith("_test") or stem.startswith("test_")
          or "testing" in path.parts or stem.endswith("_testing"))


def check_file(path, text):
  """Returns the violations of one file.

  Args:
    path: a pathlib.PurePosixPath, from the root of the tree.
    text: what it holds.
  """
  room = path.parts[0]
  problems = []
  for number, line in enumerate(text.splitlines(), 1):
    match = _INCLUDE.match(line)
    if not match:
      continue
    quote, header = match.groups()

    def complain(why):
      problems.append(f"{path}:{number}: includes {header}: {why}")

    target = header.split("/")[0] if "/" in header else None
    if (quote == '"' and target is None and room in MAY_INCLUDE
        and header not in LIBRARY_HEADERS):
      complain("write the path from the root of the tree")
    if target in ROOMS:
      if room in MAY_INCLUDE:
        allowed = set(MAY_INCLUDE[room])
        if _is_test(path):
          # Unit tests may use the helpers of tests/.
          allowed.add("tests")
        if target not in allowed:
          complain(f"{room} may include only {', '.join(sorted(allowed))}")
      elif target == "cli":
        complain("nothing includes the command line")
    for pattern, place, why in ONLY_IN:
      if pattern.match(header) and not place.match(str(path)):
        if not _is_test(path) and room != "tests":
          complain(why)
    if room == "core" and not _is_test(path) and header in FORBIDDEN_IN_CORE:
      complain("the core neither prints, waits nor asks the machine")

  if room == "core" and not _is_test(path):
    code = _COMMENT_OR_STRING.sub(
        lambda match: "\n" * match.group().count("\n"), text)
    for match in FORBIDDEN_CALLS_IN_CORE.finditer(code):
      number = code.count("\n", 0, match.start()) + 1
      problems.append(
          f"{path}:{number}: calls {match.group(1)}: the core neither prints,"
          " aborts nor asks the machine")
  return problems


def source_files(root):
  """Yields every C++ file under root, without generated and hidden folders."""
  for path in sorted(root.iterdir()):
    if path.name.startswith((".", "bazel-")) or path.name == "node_modules":
      continue
    if path.is_symlink():
      continue
    if path.is_dir():
      yield from source_files(path)
    elif path.suffix in _SUFFIXES:
      yield path


def check_tree(root):
  """Returns (number of files read, violations) of the tree at root."""
  root = pathlib.Path(root)
  files = 0
  problems = []
  for path in source_files(root):
    relative = path.relative_to(root)
    if relative.parts[0] not in ROOMS:
      continue
    files += 1
    problems += check_file(
        pathlib.PurePosixPath(relative.as_posix()), path.read_text())
  return files, problems
