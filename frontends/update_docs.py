"""Writes the table of containers into the documents that show it.

Run with `bazel run //frontends:update_docs`.
"""

import os
import subprocess
import sys

BEGIN = "<!-- containers: bazel run //frontends:update_docs -->\n"
END = "<!-- end of containers -->\n"


def main():
    table = subprocess.run(
        [sys.argv[1]], check=True, capture_output=True, text=True
    ).stdout
    root = os.environ["BUILD_WORKSPACE_DIRECTORY"]
    for page in ("README.md", "docs/containers.md"):
        path = os.path.join(root, page)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        new = before + BEGIN + table + END + after
        if new != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
            print("updated", page)


if __name__ == "__main__":
    main()
