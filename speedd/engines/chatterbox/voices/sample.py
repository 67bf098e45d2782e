"""Read a voice sample: any audio file in, float32 mono at 24 kHz out, or in plain words why it will not do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speedd.common.levels import amplitude
from speedd.errors import VoiceError

if TYPE_CHECKING:
    from speedd.model import Waveform

RATE_HZ = 24_000
LONGEST_S = 60.0
"""Nothing after that is listened to."""
SILENT_DBFS = -50.0
"""A sample that peaks below this holds no voice."""
EDGE_DBFS = -45.0
EDGE_KEPT_S = 0.1
CLIPPED_LEVEL = 0.999
CLIPPED_SHARE = 0.005
"""Share of samples at full scale from which a recording counts as clipped; music mastered loud stays below."""
QUIET_LUFS, LOUD_LUFS = -40.0, -12.0
"""Beyond these a sample is brought to `SET_LUFS`; between them it stays as it is, as stock leaves it."""
SET_LUFS = -27.0


def read_sample(path: Path, *, least_s: float, target_lufs: float | None = None) -> Waveform:
    """Read a voice sample.

    Args:
        path: WAV, FLAC, MP3, M4A or whatever PyAV decodes.
        least_s: how long the voice must be, silence at the edges not counted.
        target_lufs: the loudness to bring it to; None: only if it is far too quiet or too loud.
    Returns:
        float32 mono at 24 kHz in [-1, 1], shape [n_samples].
    Raises:
        VoiceError: if it cannot be read, is too short, silent or clipped; says which.
    """
    return _levelled(_resampled(*_voice_in(path, least_s)), target_lufs)


def check_sample(path: Path, *, least_s: float) -> None:
    """See whether a voice sample will do, without torch. Arguments and errors as of `read_sample`."""
    _voice_in(path, least_s)


def _voice_in(path: Path, least_s: float) -> tuple[Waveform, int]:
    """Decode a sample and cut the silence at its edges off; return it with its sample rate."""
    name = f"The voice sample {path.name}"
    wave, rate_hz = _decoded(path, name)
    if not np.isfinite(wave).all():
        raise VoiceError(f"{name} holds values that are no numbers.", hint="Export it again.")
    peak = float(np.abs(wave).max(initial=0.0))
    if peak < amplitude(SILENT_DBFS):
        raise VoiceError(f"{name} is silent.", hint="Record it again, nearer to the microphone.")
    if float(np.mean(np.abs(wave) >= CLIPPED_LEVEL)) > CLIPPED_SHARE:
        raise VoiceError(f"{name} is clipped: it was recorded too loud.", hint="Record it again at a lower level.")
    wave = _without_silent_edges(wave, rate_hz, floor=peak * amplitude(EDGE_DBFS))
    if len(wave) < least_s * rate_hz:
        seconds = len(wave) / rate_hz
        raise VoiceError(
            f"{name} is too short: it holds {seconds:.1f} s of voice, and at least {least_s:.0f} s are needed.",
            hint="10 to 30 s are best.",
        )
    return wave, rate_hz


def _decoded(path: Path, name: str) -> tuple[Waveform, int]:
    """Decode a file to mono: by libsndfile, and what that does not know by PyAV."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            channels = file.read(int(LONGEST_S * file.samplerate), dtype="float32", always_2d=True)
            return channels.mean(1, dtype=np.float32), int(file.samplerate)
    except soundfile.LibsndfileError:
        return _decoded_by_av(path, name)
    except OSError as error:
        raise VoiceError(f"{name} cannot be read: {error.strerror}.") from error


def _decoded_by_av(path: Path, name: str) -> tuple[Waveform, int]:
    import av
    from av.error import FFmpegError

    pieces: list[Waveform] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise VoiceError(f"{name} holds no sound.", hint="Give a WAV, FLAC, MP3 or M4A file.")
            rate_hz = int(container.streams.audio[0].rate)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            seconds = 0.0
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    pieces.append(part.to_ndarray()[0].astype(np.float32))
                    seconds += part.samples / rate_hz
                if seconds >= LONGEST_S:
                    break
    except (FileNotFoundError, PermissionError) as error:  # as PyAV's own, which are FFmpegErrors too
        raise VoiceError(f"{name} cannot be read: {error.strerror}.") from error
    except (FFmpegError, ValueError) as error:
        raise VoiceError(f"{name} is no audio file that can be read.", hint="Give a WAV, FLAC or MP3 file.") from error
    if not pieces:
        raise VoiceError(f"{name} holds no sound.", hint="Give a WAV, FLAC, MP3 or M4A file.")
    return np.concatenate(pieces), rate_hz


def _without_silent_edges(wave: Waveform, rate_hz: int, *, floor: float) -> Waveform:
    loud = np.flatnonzero(np.abs(wave) > floor)
    kept = int(EDGE_KEPT_S * rate_hz)
    return wave[max(0, loud[0] - kept) : loud[-1] + 1 + kept]


def _resampled(wave: Waveform, rate_hz: int) -> Waveform:
    if rate_hz == RATE_HZ:
        return wave
    import torch
    import torchaudio

    resampled: Waveform = torchaudio.functional.resample(torch.from_numpy(wave), rate_hz, RATE_HZ).numpy()
    return resampled


def _levelled(wave: Waveform, target_lufs: float | None) -> Waveform:
    """Bring a sample to a loudness (ITU-R BS.1770), as far as its peaks allow for one that was far off."""
    from pyloudnorm import Meter

    loudness = float(Meter(RATE_HZ).integrated_loudness(wave)) if len(wave) > 0.4 * RATE_HZ else -np.inf
    if target_lufs is None and QUIET_LUFS <= loudness <= LOUD_LUFS:
        return wave
    gain = amplitude((SET_LUFS if target_lufs is None else target_lufs) - loudness)
    return (wave * np.float32(gain)).astype(np.float32) if np.isfinite(gain) else wave
