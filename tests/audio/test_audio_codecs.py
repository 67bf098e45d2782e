"""What mastering relies on, held against every codec; and that it relies on nothing else."""

from array import array
from typing import get_args

import av
import numpy as np
import pytest
from audio_measures import RATE, decoded

from speedd.audio import Piece, mastering
from speedd.audio.codecs import CODECS, ChapterMark, Codec, Labels
from speedd.config import OutputSettings
from speedd.model import Metadata

SHIFT = 100
"""Frames by which what a second encoder is given begins later."""
AROUND = 4
"""Frames after which an encoder has forgotten how it began."""


@pytest.fixture(params=CODECS)
def codec(request) -> Codec:
    return CODECS[request.param](RATE, OutputSettings(format=request.param, bitrate_kbps=128))


@pytest.fixture
def voice(codec) -> np.ndarray:
    """A gliding buzz of 240 frames."""
    times_s = np.arange(240 * codec.frame) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * n * (150 * times_s + 4 * times_s**2)) / n for n in range(1, 20))).astype("f4")


def test_every_format_has_a_codec():
    assert set(get_args(OutputSettings.model_fields["format"].annotation)) == set(CODECS)


def test_what_went_in_comes_out_at_its_place(codec, voice):
    frames = codec.encode(voice)
    assert len(frames) == voice.size // codec.frame + codec.lead_frames
    out = codec.decode(frames)
    assert out.size >= voice.size
    assert np.abs(out[: voice.size] - voice)[codec.frame : -codec.frame].max() < 0.1 * np.abs(voice).max()


def test_frames_of_two_encoders_join(codec, voice):
    one, two = codec.encode(voice), codec.encode(voice[SHIFT * codec.frame :])
    cut = SHIFT + AROUND + codec.lead_frames
    joined = codec.decode([*one[:cut], *two[cut - SHIFT :]])[: voice.size]
    whole = codec.decode(one)[: voice.size]
    error = np.abs(joined - voice)[codec.frame : -codec.frame].max()
    assert error <= 1.2 * np.abs(whole - voice)[codec.frame : -codec.frame].max()


def test_a_frame_sounds_the_same_whatever_came_before(codec, voice):
    rng = np.random.default_rng(4)
    other = (0.2 * rng.standard_normal(voice.size)).astype(np.float32)
    frames = codec.encode(voice)
    after_noise = codec.decode([*codec.encode(other), *frames])[-(voice.size // 2) :]
    assert np.array_equal(after_noise, codec.decode(frames)[-(voice.size // 2) :])


def test_the_file_plays_what_was_coded_with_chapters_and_tags(codec, voice, tmp_path, request):
    frames = codec.encode(voice)
    (tmp_path / "frames").write_bytes(b"".join(frames))
    book, half = Metadata(title="The Ferry", authors=("Ada",)), voice.size // 2
    chapters = [ChapterMark("One", 0, half), ChapterMark("None", half, half), ChapterMark("Two", half, voice.size)]
    outs = [tmp_path / f"{name}.{request.node.callspec.params['codec']}" for name in "ab"]
    sizes = array("H", map(len, frames))
    for out in outs:
        codec.write(out, tmp_path / "frames", sizes, Labels(chapters, book, None))
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert np.array_equal(decoded(outs[0]), codec.decode(frames)[: voice.size])
    with av.open(str(outs[0])) as container:
        assert (container.metadata["title"], container.metadata["artist"]) == ("The Ferry", "Ada")
        seen = [(one["metadata"]["title"], float(one["start"] * one["time_base"])) for one in container.chapters()]
    assert seen == [("One", 0.0), ("Two", pytest.approx(half / RATE, abs=0.001))]


class Raw(Codec):
    """Samples as they are, behind a priming that is no whole number of frames, in a file without a head."""

    frame = 576
    priming = 1105

    def encode(self, wave):
        padded = np.pad(wave, (self.priming, -self.priming % self.frame))
        return [block.tobytes() for block in padded.reshape(-1, self.frame)]

    def decode(self, frames):
        return np.frombuffer(b"".join(frames), dtype=np.float32)[self.priming :]

    def write(self, out, frames, frame_bytes, labels):
        assert frames.stat().st_size == sum(frame_bytes)
        out.write_bytes(frames.read_bytes())


def test_mastering_asks_no_more_of_a_codec(publish, takes, monkeypatch):
    """Many stretches give the same samples as one."""
    monkeypatch.setattr(mastering, "CODECS", {"m4b": lambda _rate, _settings: Raw()})
    tracks = [("One", [Piece(take, 300) for take in takes])]
    monkeypatch.setattr(mastering, "_find_gain", lambda *_: 6.0)
    monkeypatch.setattr(mastering, "MOST_PASSES", 1)
    made = []
    for longest_s in (5, 3600):
        monkeypatch.setattr(mastering, "SHORTEST_STRETCH_S", 2)
        monkeypatch.setattr(mastering, "LONGEST_STRETCH_S", longest_s)
        made.append(publish(tracks, name=f"{longest_s}"))
    many, one = (np.frombuffer(each.path.read_bytes(), dtype=np.float32)[Raw.priming :] for each in made)
    assert (made[0].stretches > 5, made[1].stretches) == (True, 1)
    assert many.size >= made[0].samples == made[1].samples
    assert np.array_equal(many, one)
