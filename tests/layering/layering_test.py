"""Reads the #include lines of every room; and checks that it would notice."""

import pathlib
import tempfile
import unittest

from tests.layering import layering


class ThisTree(unittest.TestCase):

  def test_walls_hold(self):
    # The link that Bazel makes for WORKSPACE leads back to the real tree, so
    # that no file can be left out of a list. The rule is tagged accordingly.
    root = pathlib.Path("WORKSPACE").resolve().parent
    files, problems = layering.check_tree(root)
    self.assertGreater(files, 20, f"too few C++ files under {root}")
    self.assertEqual(problems, [], "\n" + "\n".join(problems))


class BadTrees(unittest.TestCase):
  """Each of these must be seen, or the test above says nothing."""

  def problems(self, path, line):
    with tempfile.TemporaryDirectory() as folder:
      file = pathlib.Path(folder, path)
      file.parent.mkdir(parents=True)
      file.write_text(f"// A file.\n{line}\n")
      files, problems = layering.check_tree(folder)
    self.assertEqual(files, 1)
    return problems

  def assert_bad(self, path, line):
    found = self.problems(path, line)
    self.assertEqual(len(found), 1, found)
    self.assertTrue(found[0].startswith(f"{path}:2: "), found)

  def assert_good(self, path, line):
    self.assertEqual(self.problems(path, line), [])

  def test_rooms(self):
    for room, target in [
        ("ir", "core"), ("ir", "frontends"), ("ir", "cli"), ("ir", "tests"),
        ("core", "frontends"), ("core", "exporters"), ("core", "wasm"),
        ("frontends", "core"), ("frontends", "exporters"),
        ("exporters", "frontends"), ("exporters", "cli"),
        ("cli", "wasm"), ("cli", "tests"), ("wasm", "cli"), ("wasm", "python"),
        ("tests", "cli"), ("examples", "cli"),
    ]:
      with self.subTest(room=room, target=target):
        self.assert_bad(f"{room}/x.cc", f'#include "{target}/y.h"')
        self.assert_bad(f"{room}/deep/x.h", f'  #  include <{target}/z/y.h>')

  def test_rooms_that_may(self):
    for room, targets in layering.MAY_INCLUDE.items():
      for target in targets:
        with self.subTest(room=room, target=target):
          self.assert_good(f"{room}/x.cc", f'#include "{target}/y.h"')
    self.assert_good("tests/x.cc", '#include "exporters/y.h"')
    self.assert_good("core/x_test.cc", '#include "tests/y.h"')

  def test_unit_tests_are_not_exempt(self):
    self.assert_bad("core/x_test.cc", '#include "frontends/y.h"')

  def test_libraries(self):
    self.assert_good("cli/main.cc", "#include <CLI/CLI.hpp>")
    self.assert_bad("core/x.cc", '#include "CLI/App.hpp"')
    self.assert_good("ir/json.cc", "#include <nlohmann/json.hpp>")
    self.assert_bad("ir/mqir.cc", "#include <nlohmann/json.hpp>")
    self.assert_bad("cli/x.cc", "#include <nlohmann/json.hpp>")

  def test_core_asks_nothing_of_the_machine(self):
    self.assert_bad("core/x.cc", "#include <iostream>")
    self.assert_bad("core/x.h", "#include <thread>")
    self.assert_bad("core/x.cc", "const char* v = std::getenv(name);")
    self.assert_bad("core/x.cc", "  abort();")
    self.assert_good("core/x.cc", "// getenv(name) is not called here.")
    self.assert_good("core/x.cc", 'const char* k = "exit(1)";')
    self.assert_good("core/x.cc", "#include <cstdlib>")
    self.assert_good("cli/x.cc", "#include <iostream>")
    self.assert_good("core/x_test.cc", "#include <iostream>")

  def test_paths_from_the_root(self):
    self.assert_bad("ir/x.cc", '#include "dtype.h"')
    self.assert_good("ir/x.cc", '#include "zlib.h"')

  def test_generated_and_hidden_folders_are_not_read(self):
    with tempfile.TemporaryDirectory() as folder:
      for name in [".hidden", "bazel-out", "node_modules"]:
        file = pathlib.Path(folder, "core", name, "x.cc")
        file.parent.mkdir(parents=True)
        file.write_text('#include "cli/y.h"\n')
      self.assertEqual(layering.check_tree(folder), (0, []))


if __name__ == "__main__":
  unittest.main()
