"""How long does planning a very long book take, and how much memory? ``python tests/benchmarks/million_words.py``.

A book of our own making, a million words with names, numbers, dialogue and verse, as plain text, as an EPUB and as the
chunk JSON that ``speedd plan`` made of it, is planned by ``speedd plan`` into a pipe. Printed are seconds, the peak of
resident memory, the seconds until the first chunk came out of the pipe, and how much had come by half of the time.
"""

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_NAMES = ["Ann Bee", "Mr. Dunmore", "the captain", "Mrs. O’Dowd", "Ines Varga", "old Tom", "the clerk", "Edith", "he"]
_THINGS = [
    "the harbour", "a lantern", "the ledger of 1884", "his coat", "the last boat", "the road to Baker St.", "the tide",
    "a letter from the north", "the whole of the affair", "her brother’s silence", "the key", "the sandbox on the hill",
]  # fmt: skip
_VERBS = ["watched", "had never wanted", "gladly carried", "lost", "paid for", "wrote of", "feared", "loved"]
_WHERE = [
    "at 9:30 in the evening", "early in May", "without a word", "beyond the pier", "in the rain", "as he always did",
    "for the sake of peace", "with both hands", "again and again", "under the lamp", "for £3.50", "until nightfall",
]  # fmt: skip
_LINKS = [", and", "; but", ", which", " — though", " because", ", for"]


def paragraph(dice):
    """Some sentences, some of them spoken."""

    def clause():
        return f"{dice.choice(_NAMES)} {dice.choice(_VERBS)} {dice.choice(_THINGS)} {dice.choice(_WHERE)}"

    def sentence():
        text = clause() + "".join(f"{dice.choice(_LINKS)} {clause()}" for _ in range(dice.choice([0, 0, 1, 1, 2])))
        return text[0].upper() + text[1:] + dice.choice([".", ".", ".", "!", "…"])

    if dice.random() < 0.4:
        return f"“{sentence()[:-1]}?” asked {dice.choice(_NAMES)}. “{sentence()}”"
    return " ".join(sentence() for _ in range(dice.randint(2, 6)))


def chapters(words, dice):
    """Lists of paragraphs, of about 4,000 words each, until there are enough words."""
    written = 0
    while written < words:
        made, own = [], 0
        while own < 4000:
            made.append(paragraph(dice))
            own += len(made[-1].split())
        written += own
        yield made


def as_text(book):
    return "\n\n\n".join(f"CHAPTER {n}\n\n" + "\n\n".join(one) for n, one in enumerate(book, 1)).encode()


def as_epub(book):
    out = io.BytesIO()
    names = [f"c{n}.xhtml" for n in range(1, len(book) + 1)]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="p.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in names)
        spine = "".join(f'<itemref idref="{n}"/>' for n in names)
        archive.writestr(
            "p.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i">'
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier>'
            "<dc:title>A Million Words</dc:title><dc:language>en</dc:language></metadata>"
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        )
        for number, (name, one) in enumerate(zip(names, book, strict=True), start=1):
            body = "".join(f"<p>{text}</p>" for text in one)
            archive.writestr(
                name,
                f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Chapter {number}</title></head>'
                f"<body><h1>Chapter {number}</h1>{body}</body></html>",
            )
    return out.getvalue()


def measure(book, environment, sink):
    """Plan a book into a pipe: seconds, of the processor, peak in bytes, first chunk after, share by half-time."""
    began = time.monotonic()
    arrivals = []
    child = subprocess.Popen(
        [sys.executable, "-m", "speedd", "plan", str(book)], stdout=subprocess.PIPE, env=environment
    )
    size = 0
    with sink.open("wb") as out:
        while block := child.stdout.read1(1 << 16):
            out.write(block)
            size += len(block)
            arrivals.append((time.monotonic() - began, size))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{book.name}: exit code {child.returncode}")
    seconds = time.monotonic() - began
    half = max((size for at, size in arrivals if at <= seconds / 2), default=0)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, arrivals[0][0], half / size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=1_000_000)
    asked = parser.parse_args()
    dice = random.Random(1)
    book = list(chapters(asked.words, dice))
    words = sum(len(text.split()) for one in book for text in one)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Nothing but the defaults, on one core.
        environment = {**os.environ, "HOME": scratch, "PYTHONPATH": str(ROOT), "SPEEDD_ENGINE__NAME": "hibari"}
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        (folder / "book.txt").write_bytes(as_text(book))
        (folder / "book.epub").write_bytes(as_epub(book))
        plan = folder / "plan.json"
        sys.stdout.write(f"{words} words in {len(book)} chapters, on one core\n")
        for name in ("book.txt", "book.epub", "chunks.json"):
            if name == "chunks.json":
                plan.rename(folder / name)
            seconds, cpu_s, peak_bytes, first_s, half = measure(folder / name, environment, plan)
            sys.stdout.write(
                f"{name:12} {seconds:5.1f} s ({cpu_s:4.1f} of a processor)   peak {peak_bytes / 1e6:4.0f} MB"
                f"   first chunk after {first_s:3.1f} s, {half:.0%} of the output by half-time\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
