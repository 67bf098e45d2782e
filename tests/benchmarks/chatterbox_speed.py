"""How fast is Chatterbox here, part by part, and against stock? ``python tests/benchmarks/chatterbox_speed.py``.

By default on weights of random numbers in full size; nothing is downloaded. ``--tiny`` takes minutes instead and says
nothing but that everything runs. ``--long`` lets tiny weights speak thousands of chunks: do pace and memory hold?
"""

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def told(what):
    sys.stderr.write(f"measuring: {what}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="where generated weights (5 GB) are kept")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tiny", action="store_true", help="tiny weights")
    parser.add_argument("--long", type=int, default=0, metavar="CHUNKS", help="instead: so many chunks on tiny weights")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    asked = parser.parse_args()
    # The measuring programs are found beside this one, in every process that is started.
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(Path(__file__).parent)))

    from chatterbox_bench.contest import Plan, run_chatterbox, run_long  # noqa: PLC0415 - after the path is set
    from chatterbox_bench.report import lines, long_lines  # noqa: PLC0415

    if asked.long:
        found = run_long(asked.long, device=asked.device, tell=told)
        said = long_lines(found)
    else:
        found = run_chatterbox(Plan.on(asked.device, asked.weights, tiny=asked.tiny), tell=told)
        said = lines(found)
    sys.stdout.write((json.dumps(found, indent=2) if asked.json else "\n".join(said)) + "\n")


if __name__ == "__main__":
    main()
