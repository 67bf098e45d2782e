"""How much of the sound does an AAC coder keep? ``python tests/benchmarks/aac_coders.py``.

The configured engine speaks a minute; that is levelled as mastering does, encoded and decoded with each coder, and held
against what it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speedd.audio import levels
from speedd.audio.codecs.aac_m4b import AacM4b
from speedd.audio.loudness import cell_energies, integrated_lufs
from speedd.commands.bench.contest import CODERS, gathered
from speedd.commands.bench.naive import load, spoken
from speedd.common.levels import amplitude
from speedd.config import OutputSettings, engine_options

if TYPE_CHECKING:
    from speedd.model import Waveform

SAMPLE_S = 60.0
WINDOW = 1024
HOP = 256
BANDS = 64
LOWEST_HZ = 60.0
AUDIBLE_DB = -75.0
"""Bands quieter than this in the original do not count: nobody hears them at -18 LUFS."""


@dataclass(frozen=True, slots=True)
class CoderQuality:
    """What a coder makes of a stretch of mastered speech."""

    coder: str
    snr_db: float
    """Energy of the original over the energy of the difference. Higher is better."""
    mel_distance_db: float
    """Mean absolute difference of the levels in 64 mel bands, where the original can be heard. Lower is better."""
    kbps: float
    """The rate that it came to."""
    realtime_factor: float
    """Seconds of audio encoded per second of one core."""


def compare(wave: Waveform, sample_rate_hz: int, *, output: OutputSettings) -> list[CoderQuality]:
    """Bring speech to its level as mastering does, encode it with each coder, and measure what comes out.

    Args:
        wave: speech as the engine gives it, float32 mono, shape [n_samples].
        sample_rate_hz: its rate.
        output: bit rate, loudness and true peak.
    """
    frame = levels.frame_length(sample_rate_hz)
    ceiling = np.float32(amplitude(output.true_peak_dbtp))
    mastered = levels.level(
        wave[: wave.size // frame * frame],
        sample_rate_hz,
        gain_db=output.loudness_lufs - integrated_lufs(cell_energies(wave, sample_rate_hz)),
        loudness_lufs=output.loudness_lufs,
        ceilings=ceiling,
    )
    mastered = mastered[: mastered.size // AacM4b.frame * AacM4b.frame]
    return [_measure(mastered, sample_rate_hz, output.model_copy(update={"coder": coder})) for coder in CODERS]


def _measure(wave: Waveform, rate: int, output: OutputSettings) -> CoderQuality:
    codec = AacM4b(rate, output)
    began = time.thread_time()
    frames = codec.encode(wave)
    took_s = time.thread_time() - began
    heard = codec.decode(frames)[: wave.size]
    seconds = wave.size / rate
    return CoderQuality(
        output.coder,
        snr_db=round(snr_db(wave, heard), 2),
        mel_distance_db=round(mel_distance_db(wave, heard, rate), 3),
        kbps=round(sum(map(len, frames)) * 8 / 1000 / seconds, 1),
        realtime_factor=round(seconds / max(took_s, 1e-9), 1),
    )


def snr_db(original: Waveform, heard: Waveform) -> float:
    """Return the energy of the original over that of the difference, in dB."""
    noise = original.astype(np.float64) - heard
    return float(10 * np.log10(np.sum(original.astype(np.float64) ** 2) / max(float(np.sum(noise**2)), 1e-20)))


def mel_distance_db(original: Waveform, heard: Waveform, sample_rate_hz: int) -> float:
    """Return how far the levels in mel bands lie apart on average, in dB, where the original is audible."""
    bands = _mel_bands(sample_rate_hz)
    ours, theirs = (_band_levels_db(wave, bands) for wave in (original, heard))
    audible = ours > AUDIBLE_DB
    floor = np.float64(AUDIBLE_DB)
    return float(np.abs(np.maximum(ours, floor) - np.maximum(theirs, floor))[audible].mean()) if audible.any() else 0.0


def _band_levels_db(wave: Waveform, bands: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the level of every band in every window in dB of full scale, shape [n_windows, BANDS]."""
    taper = np.hanning(WINDOW)
    rows = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(rows * taper)) ** 2 / (taper.sum() / 2) ** 2
    return np.asarray(10 * np.log10(power @ bands.T + 1e-12))


def _mel_bands(sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Return triangular weights, shape [BANDS, WINDOW // 2 + 1], each summing to at most what its bins hold."""

    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    edges = 700 * (10 ** (np.linspace(mel(LOWEST_HZ), mel(sample_rate_hz / 2), BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / sample_rate_hz)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.clip(np.minimum(rising, falling), 0, None)
    # The lowest bands are narrower than a bin: such a band is the bin next to its middle.
    empty = np.flatnonzero(weights.sum(axis=1) == 0)
    weights[empty, np.abs(bins - edges[1:-1][empty, None]).argmin(axis=1)] = 1.0
    return np.asarray(weights)


def spoken_minute(book: Path | None, file: Path | None, engine: str | None) -> tuple[Waveform, int, OutputSettings]:
    """Let the engine speak the first minute of a book; return it with its rate and the settings of the output."""
    with gathered(book, SAMPLE_S / 60, file=file, engine=engine) as (_, material):
        name = material.config.engine.name
        speaker = load(name, engine_options(material.config)(name), material.utterances[0].voice)
        rate_hz = speaker.info.sample_rate_hz
        waves, samples = [], 0
        for utterance in material.utterances:
            if samples >= SAMPLE_S * rate_hz:
                break
            waves.append(spoken(speaker, utterance))
            samples += len(waves[-1])
        speaker.close()
        return np.concatenate(waves), rate_hz, material.config.output


def main() -> None:
    """Say what each coder makes of a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("book", nargs="?", type=Path, help="by default a text of our own")
    parser.add_argument("--config", type=Path, help="the configuration")
    parser.add_argument("--engine", help="by default the configured one")
    asked = parser.parse_args()
    wave, rate_hz, output = spoken_minute(asked.book, asked.config, asked.engine)
    for one in compare(wave, rate_hz, output=output):
        sys.stdout.write(
            f"{one.coder:8} SNR {one.snr_db:.1f} dB, mel distance {one.mel_distance_db:.2f} dB, {one.kbps:.0f} kbit/s,"
            f" {one.realtime_factor:.0f} × realtime on one core\n"
        )


if __name__ == "__main__":
    main()
