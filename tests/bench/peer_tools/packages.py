"""A folder with the packages of one tool and what they require, and no other:
some libraries import everything they find, which takes seconds."""

import importlib.metadata
import os

from packaging.requirements import Requirement


def _required(packages):
    """The names of `packages` and of all that they require."""
    found = {}
    waiting = [Requirement(package) for package in packages]
    while waiting:
        requirement = waiting.pop()
        extras = frozenset(requirement.extras)
        seen = found.setdefault(requirement.name.lower().replace("_", "-"),
                                set())
        if seen and extras <= seen:
            continue
        seen |= extras | {""}
        for line in importlib.metadata.requires(requirement.name) or ():
            needed = Requirement(line)
            if needed.marker is None or any(
                    needed.marker.evaluate({"extra": extra})
                    for extra in seen):
                waiting.append(needed)
    return found


def make(folder, packages):
    """Fills `folder` with links. Raises PackageNotFoundError."""
    required = _required(packages)
    os.makedirs(folder)
    for name in required:
        distribution = importlib.metadata.distribution(name)
        for part in {file.parts[0] for file in distribution.files}:
            target = distribution.locate_file(part)
            link = os.path.join(folder, part)
            if part not in ("..", "bin") and not os.path.exists(link):
                os.symlink(target, link)
