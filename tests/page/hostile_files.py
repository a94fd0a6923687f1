"""usage: hostile_files FOLDER [SHARD SHARDS]

Makes the files of the hostile corpus, one case for each line on its stdin, and
prints what it is: {name, outcome, mentions, recipe, paths, directory}; null
where there is no other. The files of the case before are removed first.
"""

import json
import os
import shutil
import sys

from tests.hostile import corpus


def _describe(case, folder):
    """Makes the case."""
    path = case.make(folder)
    directory = os.path.isdir(path)
    # What is named in a directory is opened with all that lies there.
    inside = path if directory else os.path.dirname(path)
    paths = [path] if directory else [path] + sorted(
        other for other in (os.path.join(inside, name)
                            for name in os.listdir(inside))
        if other != path and os.path.isfile(other)
        and inside != folder)
    recipe = case.recipe and os.path.join(folder, case.recipe)
    return {"name": case.name, "outcome": case.outcome,
            "mentions": case.mentions, "recipe": recipe, "paths": paths,
            "directory": directory}


def main():
    folder = sys.argv[1]
    shard, shards = map(int, sys.argv[2:4] or (0, 1))
    cases = (case for number, case in enumerate(corpus.cases())
             if number % shards == shard)
    for _ in sys.stdin:
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        case = next(cases, None)
        print(json.dumps(case and _describe(case, folder)), flush=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
