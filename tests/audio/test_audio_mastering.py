"""What a listener gets, measured on the decoded published file."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from audio_measures import RATE, decoded, heard, rms_dbfs, true_peak_dbtp

from speedd.audio import Piece, TakeError, mastering, stretch
from speedd.audio.codecs.aac_m4b import FRAME
from speedd.audio.timeline import read_take
from speedd.errors import InputError


def tone(seconds: float, level: float = 0.2, hertz: float = 220.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.fixture
def short_stretches(monkeypatch):
    """Cut even a minute into many stretches."""
    monkeypatch.setattr(mastering, "SHORTEST_STRETCH_S", 2)
    monkeypatch.setattr(mastering, "LONGEST_STRETCH_S", 5)


@pytest.fixture
def chapters(takes):
    pieces = [Piece(take, 1000 if number % 4 == 3 else 500) for number, take in enumerate(takes)]
    return [("One", pieces[:5]), ("Two", [*pieces[5:9], Piece(None, 700)]), ("Three", pieces[9:])]


def test_spoken_book_meets_its_figures(publish, chapters, short_stretches):
    made = publish(chapters)
    wave = decoded(made.path)
    lufs, _ = heard(wave)
    assert lufs == pytest.approx(-18.0, abs=0.5)
    assert made.loudness_lufs == pytest.approx(lufs, abs=0.1)
    assert true_peak_dbtp(wave) <= -3.0
    assert made.true_peak_dbtp == pytest.approx(true_peak_dbtp(wave), abs=0.3)
    assert -23 <= rms_dbfs(wave) <= -18
    assert made.rms_dbfs == pytest.approx(rms_dbfs(wave), abs=0.01)


def test_pauses_inside_sentences_are_quiet(publish, chapters):
    made = publish(chapters)
    wave = decoded(made.path)
    noise = []
    for start, stop in made.spans.tolist():
        frames = wave[start : start + (stop - start) // 240 * 240].reshape(-1, 240)  # 10 ms
        levels = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-12)
        quiet = levels < -42
        run = 0
        for at, is_quiet in enumerate([*quiet, False]):
            if is_quiet:
                run += 1
            else:
                if run >= 15 and at < quiet.size and at > run:  # 150 ms and more, with speech on both sides
                    noise += levels[at - run + 5 : at - 5].tolist()
                run = 0
    assert len(noise) > 40  # the sentences have commas
    assert np.percentile(noise, 95) < -60
    assert 10 * np.log10(np.mean(10 ** (np.asarray(noise) / 10))) < -60


def test_the_decoded_file_has_the_planned_samples_at_the_planned_places(publish, chapters, takes, short_stretches):
    made = publish(chapters)
    assert made.stretches >= 8
    wave = decoded(made.path)
    assert wave.size == made.samples
    assert made.samples % FRAME == 0
    spoken = [span for span in made.spans.tolist() if span[1] > span[0]]
    for take, (start, stop) in zip(takes, spoken, strict=True):
        original = read_take(take)[0]
        heard_there = wave[start:stop]
        # The best lag of the take against what is heard at its place is the start that trimming chose: find it by
        # correlation over the whole take, then ask that no neighbouring sample fits better.
        size = 1 << (original.size + heard_there.size).bit_length()
        match = np.fft.irfft(np.fft.rfft(original, size) * np.conj(np.fft.rfft(heard_there, size)), size)
        lag = int(np.argmax(match))
        best = original[lag : lag + heard_there.size]
        assert np.corrcoef(best, heard_there)[0, 1] > 0.97
        assert lag + heard_there.size <= original.size
    # Between takes there is silence to the sample: no click at a joint, which lie there.
    for (_, before), (after, _) in pairwise(spoken):
        assert np.abs(wave[before + 1100 : after - 1100]).max(initial=0.0) < 1e-4


def test_joints_in_the_middle_of_a_sound_are_not_heard(publish, store, short_stretches):
    # One take without a pause: the cuts have to lie in the sound.
    long_tone = tone(21.0, hertz=331.0)
    made = publish([("Tone", [Piece(store(long_tone), 0)])], loudness_lufs=-20.0, bitrate_kbps=96)
    assert made.stretches >= 4
    wave = decoded(made.path)[: long_tone.size]
    scale = float(wave @ long_tone / (long_tone @ long_tone))
    error = np.abs(wave - scale * long_tone)[RATE // 10 : -RATE // 10]
    assert error.max() < 0.02 * np.abs(wave).max()
    assert made.samples >= long_tone.size


def test_any_number_of_threads_gives_the_same_bits(publish, chapters, short_stretches):
    files = {publish(chapters, name=f"{n}.m4b", threads=n).path.read_bytes() for n in (1, 2, 5)}
    assert len(files) == 1


def test_the_pause_between_takes_is_what_was_asked_for(publish, takes):
    made = publish([("One", [Piece(takes[1], 500), Piece(takes[3], 2000), Piece(takes[5], 0)])])
    frames = decoded(made.path)
    frames = frames[: frames.size // 120 * 120].reshape(-1, 120)  # 5 ms
    loud = np.flatnonzero(10 * np.log10(np.mean(frames**2, axis=1) + 1e-12) > -50)
    gaps = np.diff(loud) * 5
    assert sorted(gaps[gaps > 420].tolist()) == [pytest.approx(500, abs=45), pytest.approx(2000, abs=45)]


@pytest.mark.parametrize("scale", [0.003, 0.05, 3.0])
def test_quiet_and_loud_takes_end_at_the_same_loudness(publish, store, takes, scale):
    pieces = [Piece(store(np.clip(read_take(take)[0] * scale, -1, 1)), 500) for take in takes[1:8]]
    made = publish([("One", pieces)])
    wave = decoded(made.path)
    if scale > 0.01:
        assert heard(wave)[0] == pytest.approx(-18.0, abs=0.5)
    else:
        assert made.gain_db == 40.0  # more would lift nothing but noise
        assert heard(wave)[0] > -40.0
    assert true_peak_dbtp(wave) <= -3.0


def test_a_peaky_book_keeps_its_peaks_down(publish, store):
    rng = np.random.default_rng(5)
    wave = 0.01 * rng.standard_normal(20 * RATE)
    wave[rng.integers(0, wave.size, 60)] = 0.99
    made = publish([("One", [Piece(store(wave.astype(np.float32)), 500)])])
    out = decoded(made.path)
    assert true_peak_dbtp(out) <= -3.0
    assert heard(out)[0] == pytest.approx(-18.0, abs=0.5)


def test_a_stretch_is_encoded_again_until_its_peaks_are_down(publish, store, monkeypatch):
    monkeypatch.setattr(stretch, "HEADROOM_DB", 0.0)  # the coder's noise goes over
    rng = np.random.default_rng(6)
    noise = np.clip(0.4 * rng.standard_normal(6 * RATE), -1, 1).astype(np.float32)
    made = publish([("One", [Piece(store(noise), 500)])], loudness_lufs=-12.0)
    assert made.encoded_again > 0
    assert made.true_peak_dbtp <= -3.0
    assert true_peak_dbtp(decoded(made.path)) <= -2.9


def test_unless_told_otherwise_the_fast_coder_is_used(publish, takes):
    default, fast, twoloop = (
        publish([("One", [Piece(takes[1], 0)])], name=name, **settings).path.read_bytes()
        for name, settings in (("a.m4b", {}), ("b.m4b", {"coder": "fast"}), ("c.m4b", {"coder": "twoloop"}))
    )
    assert default == fast != twoloop


def test_one_word_is_a_book(publish, takes):
    made = publish([("One", [Piece(takes[4], 0)])])
    wave = decoded(made.path)
    assert 0.2 < wave.size / RATE < 1.5
    assert made.loudness_lufs == pytest.approx(-18.0, abs=0.5)
    assert true_peak_dbtp(wave) <= -3.0


def test_a_mostly_silent_book_has_its_speech_at_the_right_loudness(publish, takes):
    made = publish([("One", [Piece(None, 60_000), Piece(takes[1], 60_000), Piece(None, 60_000)])])
    wave = decoded(made.path)
    assert wave.size / RATE > 180
    assert heard(wave)[0] == pytest.approx(-18.0, abs=0.5)


def test_a_book_without_sound_is_refused(publish, store):
    with pytest.raises(InputError, match="nothing"):
        publish([("One", [Piece(None, 500)]), ("Two", [])])
    with pytest.raises(InputError, match="nothing"):
        publish([("One", [Piece(store(np.zeros(RATE, dtype=np.float32)), 500)])])
    with pytest.raises(InputError, match="nothing"):
        publish([])


def test_a_damaged_take_ends_the_work_and_is_named(publish, takes, store, tmp_path):
    bad = store(tone(1.0))
    bad.write_bytes(bad.read_bytes()[:600])
    with pytest.raises(TakeError, match=bad.name):
        publish([("One", [*(Piece(take, 500) for take in takes), Piece(bad, 0)])])
    assert not list(tmp_path.glob("*.frames"))


def test_progress_rises_to_one_and_may_end_the_work(takes, tmp_path, publish, chapters, short_stretches, monkeypatch):
    seen: list[float] = []
    tracks = [mastering.Track("One", lambda: [Piece(take, 500) for take in takes])]
    arguments = {"settings": mastering.OutputSettings(), "metadata": mastering.Metadata(), "scratch": tmp_path}
    mastering.master(tracks, tmp_path / "a.m4b", progress=seen.append, threads=2, **arguments)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 5

    def stop(share: float) -> None:
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mastering.master(tracks, tmp_path / "b.m4b", progress=stop, threads=2, **arguments)
    assert not (tmp_path / "b.m4b").exists()
    assert not list(tmp_path.glob("*.frames"))


def test_chapters_meet_where_tracks_meet(publish, chapters):
    made = publish([chapters[0], ("Empty", []), *chapters[1:]])
    marks = made.chapters
    assert [mark.title for mark in marks] == ["One", "Empty", "Two", "Three"]
    assert marks[0].start == 0
    assert marks[-1].stop == made.samples
    assert all(one.stop == two.start for one, two in pairwise(marks))
    assert marks[1].start == marks[1].stop
    assert marks[2].start == made.spans[5, 0]


@pytest.mark.slow
def test_memory_is_flat_in_the_length_of_the_book(tmp_path):
    """Master 2 and 12 minutes of noise in a process of their own and compare their highest memory."""
    rng = np.random.default_rng(7)
    path = tmp_path / "take.flac"
    wave = 0.05 * np.repeat(rng.standard_normal(10 * 40), RATE // 40) * rng.standard_normal(10 * RATE)
    soundfile.write(path, wave.astype(np.float32), RATE, subtype="PCM_16")
    program = """
import sys
from pathlib import Path
from speedd.audio import Piece, Track, master
from speedd.config import OutputSettings
from speedd.model import Metadata
folder, count = Path(sys.argv[1]), int(sys.argv[2])
pieces = [Piece(folder / "take.flac", 500)] * count
master([Track("One", lambda: pieces)], folder / "out.m4b", settings=OutputSettings(), metadata=Metadata(),
       threads=2, scratch=folder)
status = Path("/proc/self/status").read_text()  # not getrusage: a child inherits its parent's highest
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""

    def highest_mb(count: int) -> int:
        arguments = [sys.executable, "-c", program, str(tmp_path), str(count)]
        return int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)

    short_mb, long_mb = highest_mb(12), highest_mb(72)
    assert long_mb < 150
    assert long_mb - short_mb < 25


@pytest.mark.parametrize(("threads", "most"), [(1, 2), (2, 4), (3, 3)])
def test_a_slow_writer_holds_the_encoders_back(threads, most):
    drawn = []

    def jobs():
        for number in range(40):
            drawn.append(number)
            yield partial(int, number)

    with ThreadPoolExecutor(threads) as pool:
        for given, result in enumerate(mastering._in_order(pool, jobs(), most)):
            assert result == given
            time.sleep(0.002)  # all of them could have been made meanwhile
            assert len(drawn) <= given + 1 + most
    assert len(drawn) == 40
