"""Writes a table that a program prints into the documents that show it.

    update_table.py PROGRAM NAME LABEL PAGE...

The table lies between the lines `<!-- NAME: bazel run LABEL -->` and
`<!-- end of NAME -->` of each page.
"""

import os
import subprocess
import sys


def main():
    program, name, label, *pages = sys.argv[1:]
    begin = "<!-- %s: bazel run %s -->\n" % (name, label)
    end = "<!-- end of %s -->\n" % name
    table = subprocess.run(
        [program], check=True, capture_output=True, text=True
    ).stdout
    root = os.environ["BUILD_WORKSPACE_DIRECTORY"]
    for page in pages:
        path = os.path.join(root, page)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        new = before + begin + table + end + after
        if new != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(new)
            print("updated", page)


if __name__ == "__main__":
    main()
