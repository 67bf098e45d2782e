"""A whole book, dropped into a running daemon's inbox: what is published is listened to and measured."""

from itertools import pairwise

import av
import numpy as np
import pytest
from acceptance_daemon import NUMBERS, NUMERALS, Audiobook, Cue
from mutagen.mp4 import MP4, MP4Cover

ear_module = pytest.importorskip(
    "acceptance_ear", reason="listening needs faster-whisper and jiwer", exc_type=ImportError
)
FRAME_MS, Ear, Recording, Text = ear_module.FRAME_MS, ear_module.Ear, ear_module.Recording, ear_module.Text

pytestmark = [pytest.mark.asr, pytest.mark.timeout(1800)]

WINDOWS, WINDOW_S = 8, 60.0
SILENT_DBFS = -50.0
"""Between words; the voice's own breath and the coder's noise lie below, the weakest consonant above."""


# --- what is published ---------------------------------------------------------------------------------------------


def test_the_m4b_has_the_chapters_of_the_book(time_machine: Audiobook, recording: Recording):
    assert time_machine.titles == [*NUMERALS, "Epilogue"]
    assert time_machine.chapters[0][1] == 0.0
    assert time_machine.chapters[-1][2] == pytest.approx(recording.duration_s, abs=0.01)
    assert all(before[2] == pytest.approx(after[1], abs=0.01) for before, after in pairwise(time_machine.chapters))
    assert recording.duration_s == pytest.approx(time_machine.run["audio_s"], abs=0.01)


def test_what_is_not_read_out_is_listed(time_machine: Audiobook):
    skipped = [part["title"].lower() for part in time_machine.run["skipped"]]
    assert skipped == ["titlepage", "imprint", "endnotes", "colophon", "uncopyright"]
    assert time_machine.run["warnings"] == []


def test_the_m4b_has_cover_author_and_title(time_machine: Audiobook):
    assert time_machine.folder.parts[-2:] == ("H. G. Wells", "The Time Machine")
    tags = MP4(time_machine.m4b).tags
    assert (tags["©nam"], tags["©alb"], tags["©ART"]) == (["The Time Machine"], ["The Time Machine"], ["H. G. Wells"])
    (cover,) = tags["covr"]
    assert cover.imageformat == MP4Cover.FORMAT_JPEG
    assert bytes(cover) == (time_machine.folder / "cover.jpg").read_bytes()
    with av.open(str(time_machine.m4b)) as container:
        (picture,) = container.streams.video
        assert picture.disposition & av.stream.Disposition.attached_pic
        assert picture.codec_context.name == "mjpeg"
        assert min(picture.width, picture.height) >= 600


# --- what is heard -------------------------------------------------------------------------------------------------


def test_what_is_heard_is_the_book(ear: Ear, recording: Recording, reference: Text, record_testsuite_property):
    starts_s = [(window + 0.5) / WINDOWS * recording.duration_s for window in range(WINDOWS)]
    heard = [ear.hear(recording.between(start_s, start_s + WINDOW_S), recording.rate_hz) for start_s in starts_s]
    passages = [reference.passage(each) for each in heard]
    assert all(before.stop <= after.start for before, after in pairwise(passages)), "not in the book's order"
    assert min(passage.stop - passage.start for passage in passages) > 120, "too little is said in a minute"
    rate = ear_module.word_error_rate(passages)
    record_testsuite_property("word error rate", f"{rate:.4f}")
    assert rate <= 0.04, ear_module.differences(passages)


def test_the_book_opens_with_its_title_and_author(ear: Ear, recording: Recording):
    heard = ear.hear(recording.between(0.0, 12.0), recording.rate_hz)
    letters = "".join(ear_module.words(heard))  # "H. G." is heard as "HG"
    assert letters.startswith("thetimemachinebyhgwellsonethetimetraveler"), heard


def test_chapters_open_with_their_heading(ear: Ear, recording: Recording, time_machine: Audiobook):
    cues = {cue.start_s: cue for cue in time_machine.cues}
    headings = [cues[round(start_s, 3)] for _, start_s, _ in time_machine.chapters[1:]]
    assert [cue.text for cue in headings] == [*NUMERALS[1:], "Epilogue"]
    heard = [ear.hear(recording.between(cue.start_s - 0.5, cue.stop_s + 0.5), recording.rate_hz) for cue in headings]
    assert [" ".join(ear_module.words(each)) for each in heard] == [*NUMBERS[1:], "epilogue"]


def test_captions_are_heard_at_their_time(ear: Ear, recording: Recording, time_machine: Audiobook):
    cues = time_machine.cues
    worded = [at for at, cue in enumerate(cues) if 1 <= at < len(cues) - 1 and len(ear_module.words(cue.text)) >= 12]
    for at in (worded[len(worded) * tenth // 10] for tenth in (1, 3, 5, 7, 9)):
        cue = cues[at]
        heard = ear.hear(recording.between(cue.start_s - 0.2, cue.stop_s + 0.2), recording.rate_hz)
        assert ear_module.likeness_error(cue.text, heard) <= 0.25, (cue, heard)
        # The measure tells a cue from its neighbours.
        assert ear_module.likeness_error(cues[at - 1].text, heard) > 0.6, (cues[at - 1], heard)
        assert ear_module.likeness_error(cues[at + 1].text, heard) > 0.6, (cues[at + 1], heard)


# --- what is measured ----------------------------------------------------------------------------------------------


def frames_of(cue: Cue) -> slice:
    return slice(round(cue.start_s * 1000 / FRAME_MS), round(cue.stop_s * 1000 / FRAME_MS))


def test_every_caption_begins_and_ends_with_its_sentence(time_machine: Audiobook, levels_dbfs):
    """No word is cut: each begins and ends in quiet; no caption is early or late: each begins with sound."""
    for cue in time_machine.cues:
        inside = levels_dbfs[frames_of(cue)]
        assert inside[: 10 // FRAME_MS].max() < -45, cue
        assert inside[-10 // FRAME_MS :].max() < -45, cue
        assert inside[: 150 // FRAME_MS].max() > -45, cue
        assert inside[-250 // FRAME_MS :].max() > -45, cue


def test_pauses_are_as_long_as_planned(time_machine: Audiobook, levels_dbfs):
    planned_ms = time_machine.run["settings"]["speech"]["pauses_ms"]
    silent = levels_dbfs < SILENT_DBFS
    sounding = np.flatnonzero(~silent)
    off_ms: dict[str, list[float]] = {}
    assert len(time_machine.cues) == len(time_machine.chunks)
    for chunk, (cue, following) in zip(time_machine.chunks, pairwise(time_machine.cues), strict=False):
        middle = round((cue.stop_s + following.start_s) / 2 * 1000 / FRAME_MS)
        assert silent[middle], cue
        after = np.searchsorted(sounding, middle)
        heard_ms = float(sounding[after] - sounding[after - 1] - 1) * FRAME_MS
        off_ms.setdefault(chunk["boundary_type"], []).append(heard_ms - planned_ms[chunk["boundary_type"]])
    for kind, off in off_ms.items():
        assert abs(np.median(off)) <= 30, (kind, off)
        assert min(off) >= -50, kind
        assert max(off) <= 150, kind  # a last consonant that dies away below the level of silence


def test_levels_are_those_of_a_published_audiobook(recording: Recording):
    """ACX: RMS -23 to -18 dBFS, peaks under -3 dB. Ours: -18 LUFS."""
    assert recording.loudness_lufs == pytest.approx(-18.0, abs=0.5)
    assert recording.true_peak_dbtp <= -3.0
    blocks = np.array_split(recording.samples, 100)
    power = sum(float(np.square(block / 32_768.0).sum()) for block in blocks) / len(recording.samples)
    assert -23.0 <= 10 * np.log10(power) <= -18.0


def test_pauses_inside_sentences_are_quiet(time_machine: Audiobook, levels_dbfs):
    """ACX: noise below -60 dBFS. Between sentences lies digital silence; at commas one hears the voice's own."""
    edge = 50 // FRAME_MS
    noises = []
    for cue in time_machine.cues:
        inside = levels_dbfs[frames_of(cue)][edge:-edge]
        turns = np.flatnonzero(np.diff(np.concatenate(([False], inside < -45, [False])).astype(int)))
        noises += [
            inside[start + edge : stop - edge] for start, stop in turns.reshape(-1, 2) if stop - start >= 3 * edge
        ]
    assert len(noises) > 1000
    assert 10 * np.log10(np.mean(10 ** (np.concatenate(noises) / 10))) < -60
    worst = max(10 * np.log10(np.mean(10 ** (noise / 10))) for noise in noises)
    assert worst < -58


def test_it_sounds_the_same_from_wherever_it_is_played(time_machine: Audiobook, recording: Recording):
    """A coder's tricks with noise (PNS) would sound, and peak, otherwise each time."""
    for twentieth in range(1, 20):
        start_s = twentieth / 20 * recording.duration_s
        with av.open(str(time_machine.m4b)) as container:
            stream = container.streams.audio[0]
            container.seek(round(start_s / stream.time_base), stream=stream)
            frames = [frame for frame, _ in zip(container.decode(stream), range(400), strict=False)]
        for frame in frames[2:]:  # the first two lack what came before them
            place = frame.pts * frame.time_base * recording.rate_hz
            wave = np.rint(frame.to_ndarray()[0] * 32_768)
            assert np.abs(wave - recording.samples[int(place) : int(place) + len(wave)]).max() <= 1, float(frame.time)
