"""What a person sees: lines where there is no terminal, a bar where there is one, nothing where nothing is wanted."""

import errno
import io
import os
import pty

import pytest

from speedd.commands.display import Display
from speedd.common.durations import duration
from speedd.pipeline.job_run import BookProgress, Estimate


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (3.4, "3 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3599.7, "1 h 0 min"), (11_520, "3 h 12 min")],
)
def test_lengths_are_said_as_people_do(seconds, said):
    assert duration(seconds) == said


def progress(**more):
    return BookProgress(**{"job": "a", "name": "book", "title": "The Book", **more})


def test_without_a_terminal_a_line_comes_with_each_stage_and_each_quarter():
    out = io.StringIO()
    with Display(out) as display:
        display.show(progress())
        for done in range(101):
            display.show(progress(stage="narrating", share=done / 100, done=done, total=100, eta_s=100 - done))
        display.show(progress(stage="mastering"))
        display.say("done")
    assert out.getvalue().splitlines() == [
        "The Book: reading",
        "The Book: narrating, 0 of 100, 1 min 40 s left",
        "The Book: narrating 25%, 25 of 100, 1 min 15 s left",
        "The Book: narrating 50%, 50 of 100, 50 s left",
        "The Book: narrating 75%, 75 of 100, 25 s left",
        "The Book: narrating 100%, 100 of 100",
        "The Book: mastering",
        "done",
    ]


def test_the_estimate_is_said_once_before_the_book_starts():
    out = io.StringIO()
    estimate = Estimate(audio_s=7200, work_s=90, disk_bytes=300 * 2**20)
    with Display(out) as display:
        display.show(progress(estimate=estimate))
        display.show(progress(estimate=estimate))
    said = "The Book: about 2 h 0 min of audio, about 1 min 30 s of work, 300 MB of disk while at work"
    assert out.getvalue().splitlines() == [said, "The Book: reading"]


def test_nothing_is_said_where_nothing_is_wanted():
    out = io.StringIO()
    with Display(out, enabled=False) as display:
        display.show(progress(stage="narrating"))
        display.say("done")
    assert out.getvalue() == ""


def test_on_a_terminal_there_is_a_bar_with_what_is_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as out:  # noqa: PTH123 - a descriptor
        with Display(out) as display:
            display.show(progress(stage="narrating", share=0.5, eta_s=65, realtime_factor=99.6))
            display.say("a [bold]line[/bold]")
        print("THE END", file=out, flush=True)
        said = ""
        while "THE END" not in said:
            said += os.read(ours, 65536).decode()
    os.close(ours)
    for words in ("The Book", "narrating", "50%", "1 min 5 s left", "100 × realtime", "a [bold]line[/bold]"):
        assert words in said


def test_a_terminal_that_goes_away_ends_the_display_and_nothing_else():
    class Gone(io.StringIO):
        tries = 0

        def write(self, text):
            Gone.tries += 1
            raise OSError(errno.EIO, "Input/output error")

    with Display(Gone()) as display:
        display.say("one")
        display.say("two")
        display.show(progress(stage="narrating"))
    assert Gone.tries == 1
