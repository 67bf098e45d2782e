"""The sentences that are mastered, and a second opinion on loudness."""

from pathlib import Path

import av
import numpy as np

RATE = 24_000
SENTENCES = (
    "Chapter one.",
    "The lighthouse keeper counted the ships, one by one, until the fog took them.",
    "“No,” she said.",
    "He had waited, as his father had, for a letter that would never come; still, he waited.",
    "Yes.",
    "Thirty-six steps led down to the water, and every one of them was slippery with weed.",
    "What is that noise?",
    "Far off, a bell rang, twice, then a third time, and the fishermen hurried to their boats.",
    "She sells sea shells, six silver chests, and a sack of coarse salt.",
    "It was, in short, the first warm evening of the year, and nobody wished to go indoors.",
    "I.",
    "The captain laughed, shook his head, and, without another word, tore the map in half.",
)


def decoded(path: Path) -> np.ndarray:
    """What a player hears: float32 mono, shape [n_samples]."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def heard(wave: np.ndarray, rate: int = RATE) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBTP) by FFmpeg's ebur128 filter, which shares no code with ours."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono")
    meter = graph.add("ebur128", "peak=true:metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    seen: dict[str, str] = {}
    for start in range(0, wave.size, rate):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None, start : start + rate]), "flt", "mono")
        frame.sample_rate, frame.pts = rate, start
        graph.push(frame)
        try:
            while True:
                seen = dict(graph.pull().metadata) or seen
        except (av.BlockingIOError, av.EOFError):
            pass
    return float(seen["lavfi.r128.I"]), 20 * np.log10(max(1e-9, float(seen["lavfi.r128.true_peak"])))


def true_peak_dbtp(wave: np.ndarray) -> float:
    """True peak by zero-padding one spectrum of the whole signal: an endless interpolator, eight times oversampled."""
    spectrum = np.fft.rfft(wave.astype(np.float64))
    wide = np.zeros(4 * wave.size + 1, dtype=complex)
    wide[: spectrum.size] = spectrum
    return 20 * np.log10(8 * np.abs(np.fft.irfft(wide, 8 * wave.size)).max())


def rms_dbfs(wave: np.ndarray) -> float:
    return 10 * np.log10(max(1e-20, float(np.mean(wave.astype(np.float64) ** 2))))
