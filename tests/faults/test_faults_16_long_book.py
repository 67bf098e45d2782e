"""Fault 16: a very long book and an engine that takes 50 ms a chunk: the main process stays as small as it was."""

import json
import random
import re
from pathlib import Path

import pytest
from fault_bench import LONG, NO_PAUSES, Bench, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(7200 if LONG else 900)]

WORDS = 1_000_000 if LONG else 200_000
WORDS_PER_SENTENCE = 20
SHORT = "he we go up to do it in on at by my no so as is if or an be".split()  # noqa: SIM905 - read as words
"""Words of two letters: the length in chunks is what counts, and audio costs time to master."""
WORKERS = 16
"""They sleep: more than the cores, so that 50 ms a chunk do not take hours."""
GROWTH_MB = 10.0
MASTERING_MB = 100.0
"""What an encoder at work may take on top, however long the book. It comes and goes in bursts of 30 to 50 MB."""
MASTERED_SHARE = 2.0 if LONG else 0.2
"""CI has seen enough when so much is mastered: what is left is the encoder's time. The long run waits for the end."""


def sentences(count):
    chance = random.Random(16)
    for _ in range(count):
        words = chance.choices(SHORT, k=WORDS_PER_SENTENCE)
        yield " ".join([words[0].title(), *words[1:]]) + "."


def book():
    spoken = list(sentences(WORDS // WORDS_PER_SENTENCE))
    paragraphs = [" ".join(spoken[at : at + 10]) for at in range(0, len(spoken), 10)]
    for number, at in enumerate(range(0, len(paragraphs), 100), 1):
        paragraphs[at] = f"Chapter {number}\n\n{paragraphs[at]}"
    return "\n\n".join(paragraphs)


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def test_the_main_process_does_not_grow_with_the_book(tmp_path, record_property):
    sandbox = Bench(tmp_path / "sandbox", engine="slow")
    sandbox.configure(engine={"workers": WORKERS}, speech={"speed": 2.0})
    sandbox.drop("Long.toml", NO_PAUSES)
    sandbox.drop("Long.txt", book())
    seen = []
    read = (-1, "", 0.0, 0.0)

    def look():
        """Note stage, share and memory; say whether enough was seen."""
        nonlocal read
        status = sandbox.state / "status.json"
        books = json.loads(status.read_text())["books"] if status.exists() else []
        if books and status.stat().st_mtime_ns > read[0]:
            written_ns, stage, share = status.stat().st_mtime_ns, books[0]["stage"], books[0]["share"]
            if stage == read[1] and share < 1:  # so it was in this stage when its memory was looked at
                seen.append(read[1:])
            read = (written_ns, stage, share, rss_mb(daemon.process.pid))
        _, share, _ = next((one for one in reversed(seen) if one[0] == "mastering"), ("", 0.0, 0.0))
        return "published" in sandbox.states or share >= MASTERED_SHARE

    with sandbox.running(env={"SPEEDD_TEST_SLOW_S": "0.05"}) as daemon:
        wait_for(look, daemon, within_s=3600 if LONG else 600)
    chunks = len(sandbox.acknowledged)
    narrating = [mb for stage, share, mb in seen if stage == "narrating" and share >= 0.1]
    mastering = [mb for stage, _, mb in seen if stage == "mastering"]
    record_property(
        "figure",
        f"{WORDS} words, {chunks} chunks: {narrating[0]:.0f} MB at a tenth, {narrating[-1]:.0f} MB when all was spoken;"
        f" {max(mastering):.0f} MB at most while it was mastered",
    )
    assert max(narrating) - narrating[0] < GROWTH_MB
    assert max(mastering) - narrating[0] < MASTERING_MB
    assert chunks >= 0.8 * WORDS / WORDS_PER_SENTENCE  # a sentence that ends in "no." runs on
