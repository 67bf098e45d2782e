import dataclasses
import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speedd.common.levels import peak_dbfs, rms_dbfs
from speedd.engines.base import EngineInfo
from speedd.execution.takes import PARTIAL_FOLDER, chunk_seed, discard_partial_files, take_key, take_path
from speedd.execution.worker.take_writer import to_pcm16, write_take
from speedd.model import Style, TextLimits, Voice

INFO = EngineInfo(
    name="hibari",
    version="1",
    model_digest="m",
    sample_rate_hz=24_000,
    languages=("en",),
    style_fields=("speed",),
    clones_voices=False,
    voices=(),
    limits=TextLimits(200, 400),
    numerics={"threads": "1", "fft_backend": "numpy"},
)
FACTS = {"text": "Hello.", "voice": Voice("heart", "d"), "style": Style(), "seed": 7, "language": "en"}
RATE_HZ = 24_000


def key(info=INFO, **changes):
    return take_key(info, **{**FACTS, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Hello"},
        {"voice": Voice("heart", "e")},
        {"style": Style(speed=1.1)},
        {"seed": 8},
        {"language": "de"},
        {"info": dataclasses.replace(INFO, style_fields=("speed", "top_k"))},
        {"info": dataclasses.replace(INFO, name="other")},
        {"info": dataclasses.replace(INFO, version="2")},
        {"info": dataclasses.replace(INFO, model_digest="n")},
        {"info": dataclasses.replace(INFO, sample_rate_hz=22_050)},
        {"info": dataclasses.replace(INFO, device="cuda")},
        {"info": dataclasses.replace(INFO, numerics={"threads": "2", "fft_backend": "numpy"})},
    ],
    ids=",".join,
)
def test_all_that_shapes_the_audio_is_in_the_key(changes):
    assert key(**changes) != key()


def test_what_does_not_shape_the_audio_is_not_in_the_key():
    assert key(voice=Voice("a name given by the user", "d")) == key()
    assert key(style=Style(temperature=0.1, exaggeration=0.9)) == key()
    assert key(style=Style(top_k=7)) == key()
    assert key(style=Style(speed=1)) == key(style=Style(speed=1.0))
    assert key(info=dataclasses.replace(INFO, numerics={"fft_backend": "numpy", "threads": "1"})) == key()
    assert key(info=dataclasses.replace(INFO, limits=TextLimits(1, 2))) == key()


def test_the_key_is_the_same_next_year():
    # Changing this renders every book again: raise KEY_VERSION and mean it.
    assert key() == "727ba26a59ac84605ad1cb62268e8c18cb2bf5a4dda9a5cb9cc9a029c53aeff1"
    assert chunk_seed(0, "Hello.", 0, 0) == 2_173_930_212_745_235_246


@given(st.integers(0, 2**32 - 1), st.text(st.characters()), st.integers(0, 10**6), st.integers(0, 2))
def test_seeds_fit_and_change_with_each_part(configured, text, occurrence, attempt):
    seed = chunk_seed(configured, text, occurrence, attempt)
    assert 0 <= seed < 2**63
    assert seed == chunk_seed(configured, text, occurrence, attempt)
    others = {
        chunk_seed(configured + 1, text, occurrence, attempt),
        chunk_seed(configured, text + "x", occurrence, attempt),
        chunk_seed(configured, text, occurrence + 1, attempt),
        chunk_seed(configured, text, occurrence, attempt + 1),
    }
    assert seed not in others
    assert len(others) == 4


def test_a_text_with_a_lone_surrogate_has_a_key():
    assert key(text="\ud800") != key(text="?")


def test_a_take_comes_back_to_the_bit(tmp_path):
    wave = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 1 / 32768, 0.4 / 32768], np.float32)
    size_bytes = write_take(tmp_path, "abcd", to_pcm16(wave), RATE_HZ)
    path = take_path(tmp_path, "abcd")
    assert path == tmp_path / "ab" / "abcd.flac"
    assert path.stat().st_size == size_bytes
    pcm, rate_hz = soundfile.read(path, dtype="int16")
    assert rate_hz == RATE_HZ
    assert pcm.tolist() == [0, 16384, -16384, 32767, -32768, 32767, -32768, 1, 0]
    assert to_pcm16(pcm.astype(np.float32) / 32768).tolist() == pcm.tolist()
    assert not list((tmp_path / PARTIAL_FOLDER).iterdir())


def test_what_is_no_take_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="samples"):
        write_take(tmp_path, "abcd", np.zeros(0, np.int16), RATE_HZ)
    assert not list(tmp_path.iterdir())


def test_levels_are_those_of_the_samples():
    tone = np.rint(16384 * np.sin(np.arange(24_000) * 0.1)).astype(np.int16)
    assert peak_dbfs(tone) == pytest.approx(-6.02, abs=0.01)
    assert rms_dbfs(tone) == pytest.approx(-9.03, abs=0.01)
    lowest = np.full(200_000, -32768, np.int16)
    assert (peak_dbfs(lowest), rms_dbfs(lowest)) == (0.0, pytest.approx(0.0, abs=1e-4))
    for nothing in (np.zeros(100, np.int16), np.zeros(0, np.int16)):
        assert peak_dbfs(nothing) == rms_dbfs(nothing) == -math.inf


def test_a_take_written_twice_is_replaced_whole(tmp_path):
    write_take(tmp_path, "abcd", np.full(1000, 3000, np.int16), RATE_HZ)
    write_take(tmp_path, "abcd", np.full(10, 6000, np.int16), RATE_HZ)
    assert soundfile.info(take_path(tmp_path, "abcd")).frames == 10


def test_it_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        steps.append("fsync " + name.replace(str(tmp_path), "").split(".")[0])
        fsync(descriptor)

    def noted_rename(*arguments, **options):
        steps.append("rename")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    write_take(tmp_path, "abcd", np.ones(10, np.int16), RATE_HZ)
    # The folders are new, so their own names are made durable too.
    assert steps == ["fsync ", "fsync ", "fsync /", "rename", "fsync /ab"]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_take(tmp_path, "abcd", np.ones(10, np.int16), RATE_HZ)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_half_written_files_of_the_dead_go_and_those_of_the_living_stay(tmp_path):
    folder = tmp_path / PARTIAL_FOLDER
    folder.mkdir()
    ours, dead = folder / f"k.{os.getpid()}", folder / "k.99999999"
    ours.touch()
    dead.touch()
    discard_partial_files(tmp_path)
    assert list(folder.iterdir()) == [ours]
    discard_partial_files(tmp_path, pid=os.getpid())
    assert not list(folder.iterdir())
