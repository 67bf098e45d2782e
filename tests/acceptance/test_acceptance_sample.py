"""The sample story in the inbox is the first that a newcomer hears."""

from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance_daemon import Audiobook

SAMPLE = Path(__file__).parents[2] / "inbox" / "The Tide Clerk.md"


@pytest.mark.asr
@pytest.mark.timeout(600)
def test_the_sample_is_heard_as_it_is_written(ear, narrate: Callable[..., Audiobook], tmp_path: Path):
    from acceptance_ear import Text, decode, differences, word_error_rate, words  # noqa: PLC0415  may be missing

    published = narrate(SAMPLE)
    assert published.titles == ["Chapter One: Four Feet", "Chapter Two: The Account"]
    recording = decode(published.m4b, tmp_path / "samples.s16")
    assert recording.loudness_lufs == pytest.approx(-18.0, abs=0.5)
    assert recording.true_peak_dbtp <= -3.0

    heard = ear.hear(recording.samples, recording.rate_hz)
    text = Text(" ".join(chunk["text"] for chunk in published.chunks))
    passage = text.passage(heard)
    assert (passage.start, passage.stop) == (0, len(text.words))  # from "The Tide Clerk, by" to "some mackerel"
    assert word_error_rate([passage]) <= 0.06, differences([passage])
    for figure in ("1924", "third of May", "forty-one steps", "nine thirty", "three hundred and fifty pounds"):
        assert " ".join(words(figure)) in " ".join(words(heard)), figure
    assert "chapter one four feet in the spring" in passage.heard
    assert "chapter two the account they rang" in passage.heard
