"""Captions are WebVTT that a parser reads back as it was meant."""

import io
import re
from html import unescape
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from speedd.outbox.captions import Cue, write_vtt

TIMING = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})")


def parsed(text):
    """Read WebVTT as the specification says: blocks between blank lines, a line of times, then text."""
    header, *blocks = text.rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    cues = []
    for block in blocks:
        timing, line = block.split("\n")
        numbers = [int(group) for group in TIMING.fullmatch(timing).groups()]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        cues.append((start, end, unescape(line)))
    return cues


def written(*cues):
    out = io.StringIO()
    assert write_vtt(out, cues) == len(parsed(out.getvalue()))
    return out.getvalue()


def test_cues_as_they_come():
    text = written(Cue(0, 1.5, "Hello."), Cue(1.5, 3.0004, "Fish & chips --> <b>now</b>"))
    assert text == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello.\n\n"
        "00:00:01.500 --> 00:00:03.000\nFish &amp; chips --&gt; &lt;b&gt;now&lt;/b&gt;\n"
    )


def test_line_breaks_and_nul_cannot_end_a_cue():
    assert parsed(written(Cue(0, 1, "a\n\n00:00 --> 1\r\nb\0c\u2028d \ud800"))) == [(0, 1000, "a 00:00 --> 1 b c d ?")]


def test_more_than_a_hundred_hours():
    assert "123:00:00.000 --> 123:00:01.250" in written(Cue(442800, 442801.25, "late"))


def test_nothing_empty_nothing_overlapping():
    assert parsed(written(Cue(0, 2, "a"), Cue(1, 3, "b"), Cue(2.5, 2.9, "inside"), Cue(4, 4.0001, "no time"))) == [
        (0, 2000, "a"),
        (2000, 3000, "b"),
    ]
    assert parsed(written(Cue(0, 2, " \n "), Cue(1, 3, "b"))) == [(1000, 3000, "b")]
    assert written() == "WEBVTT\n"


@given(st.lists(st.tuples(st.floats(0, 4e5), st.floats(0, 60), st.text(max_size=30))))
def test_any_cues_stay_in_order(given_cues):
    cues = parsed(written(*(Cue(start, start + length, text) for start, length, text in sorted(given_cues))))
    for start, end, text in cues:
        assert start < end
        assert text.strip()
    for (_, end, _), (start, _, _) in pairwise(cues):
        assert end <= start
