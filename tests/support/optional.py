"""For tests whose oracle may be missing from a machine."""

import importlib.util
import sys


def _skip_without(repository):
    if repository.UNAVAILABLE:
        print("SKIPPED: %s" % repository.UNAVAILABLE)
        sys.exit(0)


def require_pypi():
    """Ends the test as passed, saying so, where @pypi_test has no packages."""
    try:
        import monoquant_pypi
    except ImportError:
        return  # Run by hand, outside Bazel: torch is there or is not.
    _skip_without(monoquant_pypi)


def require_engines():
    """The same for @pypi_engines."""
    try:
        import monoquant_pypi_engines
    except ImportError:
        if importlib.util.find_spec("bitsandbytes") is None:
            print("SKIPPED: bitsandbytes is not installed")
            sys.exit(0)
        return
    _skip_without(monoquant_pypi_engines)
