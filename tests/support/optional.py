"""For tests whose oracle may be missing from a machine."""

import sys


def require_pypi():
    """Ends the test as passed, saying so, where @pypi_test has no packages."""
    try:
        import monoquant_pypi
    except ImportError:
        return  # Run by hand, outside Bazel: torch is there or is not.
    if monoquant_pypi.UNAVAILABLE:
        print("SKIPPED: %s" % monoquant_pypi.UNAVAILABLE)
        sys.exit(0)
