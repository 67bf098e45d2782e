"""How long do plans take from process to process? ``python tests/benchmarks/codecs.py``.

Dump and load 10,000 chunks of our own making as the reader's child leaves them and the daemon takes them up. Printed is
the better of five, in seconds of the processor.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from speedd.common.state_directory import JobFolder
from speedd.model import Boundary, Chunk, Segment, Style
from speedd.pipeline.preparation import dump_chunk, load_chunks

_SENTENCES = ("It was late, and nobody in the house had said a word.", "“Who winds it?” she asked, for the third time.")


def chunk(index):
    """A chunk of two sentences, as Chatterbox and hibari get them."""
    segments = tuple(Segment(f"{sentence} {index}", 120) for sentence in _SENTENCES)
    style = Style(exaggeration=0.5 + index % 7 / 100, temperature=0.8 + index % 11 / 100)
    return Chunk(index, index // 500, " ".join(_SENTENCES), segments, Boundary.PERIOD, 350, index % 9 / 9, 0.1, style)


def seconds_of(do):
    """The least processor time that something takes, and what it returns."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        result = do()
        best = min(best, time.process_time() - began)
    return best, result


def main():
    """Print a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=10_000)
    chunks = [chunk(index) for index in range(parser.parse_args().chunks)]
    with tempfile.TemporaryDirectory() as root:
        folder = JobFolder(Path(root))
        folder.prepared.mkdir()
        dump_s, lines = seconds_of(lambda: [dump_chunk(one) for one in chunks])
        folder.chunks.write_bytes(b"".join(lines))
        load_s, back = seconds_of(lambda: list(load_chunks(folder)))
        assert back == chunks
        size_mb = folder.chunks.stat().st_size / 1e6
    sys.stdout.write(f"{len(chunks)} chunks, {size_mb:.1f} MB: dump {dump_s:.3f} s, load {load_s:.3f} s\n")


if __name__ == "__main__":
    main()
