"""For tests whose oracle may be missing from a machine."""

import importlib
import sys


def _require(module):
    try:
        unavailable = importlib.import_module(module).UNAVAILABLE
    except ImportError:
        return  # Run by hand, outside Bazel: packages are there or are not.
    if unavailable:
        print("SKIPPED: %s" % unavailable)
        sys.exit(0)


def require_pypi():
    """Ends the test as passed, saying so, where @pypi_test has no packages."""
    _require("monoquant_pypi")


def require_engines():
    """The same for @pypi_test and @pypi_engines."""
    _require("monoquant_pypi")
    _require("monoquant_pypi_engines")
