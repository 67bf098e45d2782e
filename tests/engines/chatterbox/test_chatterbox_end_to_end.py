"""Books through the program with Chatterbox on tiny weights: every stage real, the sound meaningless."""

import hashlib
import importlib.util
import os
import shutil
from itertools import pairwise

import av
import pytest
from chatterbox_bench.order import DECLARATION
from speedd_sandbox import Audiobook, Sandbox

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

TEXT = """The Sea

The harbour lay so still that evening that the lamps along the quay seemed to stand on their own reflections.

“Is that really all?” he asked her at last. It was all that anyone had ever written down.
"""
OTHER_CHAPTERS = [*["II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"], "Epilogue"]


def configure(sandbox: Sandbox, weights, **settings) -> None:
    given = {"weights": str(weights), "precision": "fp32", "device": "cpu", "rows": 4} | settings
    sandbox.configure(engine={"name": "tiny_chatterbox", "workers": 1}, **{"engines.tiny_chatterbox": given})


def chapters(book: Audiobook) -> list[tuple[str, float, float]]:
    """Title, start and end in seconds, from the M4B itself."""
    with av.open(str(book.m4b)) as container:
        marks = list(container.chapters())
    return [
        (mark["metadata"]["title"], *(float(mark[at] * mark["time_base"]) for at in ("start", "end"))) for mark in marks
    ]


def heard_s(book: Audiobook) -> float:
    """How long the decoded audio is."""
    with av.open(str(book.m4b)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def cues(book: Audiobook) -> list[tuple[float, float, str]]:
    """Start and end in seconds and text of each caption."""
    found = []
    for block in book.captions.strip().split("\n\n")[1:]:
        times, text = block.split("\n", 1)
        start, end = (
            sum(float(part) * 60**at for at, part in enumerate(reversed(time.split(":"))))
            for time in times.split(" --> ")
        )
        found.append((start, end, text))
    return found


def test_a_book_is_narrated(sandbox: Sandbox, checkpoint):
    weights = checkpoint("english", mean_tokens=90)
    configure(sandbox, weights)
    sandbox.drop("Sea.txt", TEXT)
    ran = sandbox.once()
    assert ran.code == 0, ran.err
    log, captions = sandbox.book.run, sandbox.book.captions
    assert log["engine"]["name"] == "chatterbox"
    assert log["engine"]["numerics"]["precision"] == "fp32"
    assert len(log["engine"]["model_digest"]) == 64
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in weights.iterdir()
        if path.name != DECLARATION
    }
    assert log["engine"]["files"] == found
    assert log["engine"]["revision"] == ""  # a folder of one's own
    assert len(log["chunks"]) >= 3
    assert "The harbour lay so still" in captions
    said = [take for chunk in log["chunks"] for take in chunk["takes"]]
    assert {take["stop_reason"] for take in said} <= {"end", "cap"}  # some of these weights babble on
    assert all(take["word_starts_s"] == sorted(take["word_starts_s"]) != [] for take in said)
    # Two sentences of one chunk, each with a caption of its own.
    assert len(log["chunks"]) < captions.count("-->")
    assert "\n“Is that really all?” he asked her at last.\n" in captions
    assert "\nIt was all that anyone had ever written down.\n" in captions


@pytest.mark.skipif("SPEEDD_LONG" not in os.environ, reason="a minute or two of work; set SPEEDD_LONG=1")
def test_the_first_chapter_of_a_real_book_is_narrated(sandbox: Sandbox, checkpoint, shared):
    configure(sandbox, checkpoint("english", mean_tokens=12), watermark=False, rows=16)
    sandbox.drop("Machine.toml", f"[speech]\nskip = {OTHER_CHAPTERS}")
    shutil.copyfile(shared / "books" / "the-time-machine.epub", sandbox.inbox / "Machine.epub")
    ran = sandbox.speedd("run", "--once", within_s=900)
    assert ran.code == 0, ran.err
    book = sandbox.book
    audio_s = heard_s(book)
    assert audio_s == pytest.approx(book.run["audio_s"], abs=0.1)
    *opening, (title, start_s, end_s) = chapters(book)
    assert title == "I"
    assert len(opening) <= 1
    assert end_s == pytest.approx(audio_s, abs=0.1)
    logged = book.run["chunks"]
    assert len(logged) == len(book.texts) > 50
    assert "expounding a recondite matter" in " ".join(book.texts)
    assert all(chunk["takes"] for chunk in logged if chunk["duration_s"])
    shown = cues(book)
    assert len(shown) > len(logged)  # a caption for each sentence
    assert all(begin < end <= audio_s + 0.01 for begin, end, _ in shown)
    assert all(end <= begin for (_, end, _), (begin, _, _) in pairwise(shown))
    assert sum(start_s <= begin for begin, _, _ in shown) > 50
    # What the captions say is what the book says, word for word.
    assert " ".join(" ".join(text for _, _, text in shown).split()) == " ".join(" ".join(book.texts).split())
