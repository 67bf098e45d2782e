"""How much memory does a very long book take? ``python tests/benchmarks/long_book.py``, with a fast test engine.

The engine `tone` speaks at once, so that reading, planning, narrating, mastering and publishing of thirty hours of
audio take minutes. Printed is the memory of the main process and of the workers, once and ten times over.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINES = str(ROOT / "tests" / "engines")


def tell(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("book", nargs="?", type=Path, help="by default a text of our own")
    parser.add_argument(
        "--minutes", type=float, default=180.0, help="length of the text that is read once, then ten times"
    )
    asked = parser.parse_args()
    # The engine is found by its entry point: here, and in every process that is started.
    sys.path[:0] = [str(ROOT), ENGINES]
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), ENGINES))

    from speedd.commands.bench.contest import gathered, measure_memory  # noqa: PLC0415 - after the path is set
    from speedd.commands.bench.report import memory_lines  # noqa: PLC0415

    with gathered(asked.book, asked.minutes, engine="tone") as (folder, material):
        found = measure_memory(material, folder, tell)
    for line in memory_lines(found):
        tell(line)


if __name__ == "__main__":
    main()
