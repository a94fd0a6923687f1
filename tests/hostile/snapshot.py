"""What is in a folder, to see whether something changed."""

import hashlib
import os


def snapshot(folder):
    """{relative path: what it is} of everything below `folder`."""
    found = {}
    for directory, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            # Reading is left to small files: size and time tell of the others.
            key = (status.st_mode, status.st_size, status.st_mtime_ns)
            if os.path.islink(path):
                key += os.readlink(path),
            elif os.path.isfile(path) and status.st_size < 2**16:
                with open(path, "rb") as file:
                    key += hashlib.sha256(file.read()).digest(),
            found[path] = key if name in files else "directory"
    return found
