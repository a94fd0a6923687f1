"""Copies a WebAssembly module if it imports and exports what it should.

The linker lets undefined functions through as imports of the module, because
that is how the functions of our loader look. A misspelled or forgotten one
would be found by the first user; this finds it in the build.
"""

import argparse
import pathlib
import sys

_KINDS = ("function", "table", "memory", "global", "tag")


class _Reader:
  """Reads the numbers and names of a module's sections."""

  def __init__(self, data):
    self.data = data
    self.at = 0

  def number(self):
    """Reads an unsigned LEB128 number."""
    value = shift = 0
    while True:
      byte = self.data[self.at]
      self.at += 1
      value |= (byte & 127) << shift
      shift += 7
      if byte < 128:
        return value

  def take(self, size):
    self.at += size
    return self.data[self.at - size : self.at]

  def name(self):
    return self.take(self.number()).decode()


def _limits(reader):
  flags = reader.number()
  reader.number()
  if flags & 1:
    reader.number()


def interface(module):
  """Returns the imports and the exports of a module, as two lists of text."""
  if module[:8] != b"\0asm\1\0\0\0":
    raise ValueError("not a WebAssembly module of version 1")
  imports, exports = [], []
  reader = _Reader(module)
  reader.at = 8
  while reader.at < len(module):
    section = reader.number()
    body = _Reader(reader.take(reader.number()))
    if section == 2:
      for _ in range(body.number()):
        imports.append(f"{body.name()}.{body.name()}")
        kind = body.number()
        if _KINDS[kind] == "function":
          body.number()
        elif _KINDS[kind] == "table":
          body.take(1)
          _limits(body)
        elif _KINDS[kind] == "memory":
          _limits(body)
        else:
          body.take(2)
    elif section == 7:
      for _ in range(body.number()):
        exports.append(body.name())
        body.number()
        body.number()
  return imports, exports


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("module", type=pathlib.Path)
  parser.add_argument("copy", type=pathlib.Path)
  parser.add_argument("--import", dest="imports", action="append", default=[])
  parser.add_argument("--export", dest="exports", action="append", default=[])
  args = parser.parse_args()

  module = args.module.read_bytes()
  imports, exports = interface(module)
  unknown = sorted(set(imports) - set(args.imports))
  missing = sorted(set(args.exports) - set(exports))
  if unknown:
    print("The module imports what no loader is said to have: "
          + ", ".join(unknown)
          + "\nDefine it, or add it to `imports` of its wasm_binary.",
          file=sys.stderr)
  if missing:
    print("The module does not export: " + ", ".join(missing), file=sys.stderr)
  if unknown or missing:
    return 1
  args.copy.write_bytes(module)
  return 0


if __name__ == "__main__":
  sys.exit(main())
