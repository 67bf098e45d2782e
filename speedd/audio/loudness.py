"""Loudness and true peak as ITU-R BS.1770-5 defines them, without a filter that runs sample by sample.

Loudness needs only the energy of the K-weighted signal in stretches of 100 ms, and by Parseval's theorem that is the
K-weighted energy of its spectrum: one short FFT per stretch, no recursion. What is lost is the filter's memory across
the edge of a stretch, 0.01 LU on speech (``tests/audio`` holds it against FFmpeg's ``ebur128``).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from speedd.model import Waveform

CELLS_PER_S = 10
"""Energies are kept per 100 ms, the step at which BS.1770's blocks of 400 ms follow each other."""
CELLS_PER_BLOCK = 4
CELLS_AT_ONCE = 32
"""Cells per FFT call: what they need stays in the cache, and little of it is needed."""
GATED_AT_ONCE = 1 << 15
"""Blocks that are gated at a time: nearly an hour."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
OFFSET_LU = -0.691
OVERSAMPLING = 8
"""At 24 kHz this is the 192 kHz that BS.1770 asks for."""
PHASE_TAPS = 48
"""hibari's sibilants reach up to half the sampling rate, where a short interpolator reads up to 2 dB too little (12
taps per phase); 48 stay within 0.35 dB of an endless one, 0.2 dB in all but one of a thousand peaks."""
BLOCKS_AT_ONCE = 256
"""Blocks that are looked over at a time: what they need stays in the cache."""
NEARLY = 0.9999
"""How much of a peak the quick look may miss: its sums of 48 float32 products are right to a few millionths."""
BLOCK_RISE = 0.6
"""Between samples the wave may rise to 1 / 0.6 of the highest sample of its block (measured: 1 / 0.64)."""


def _biquad_power(b: tuple[float, ...], a: tuple[float, ...], z: npt.NDArray[np.complex128]) -> npt.NDArray[np.float64]:
    return np.asarray(np.abs(np.polyval(b[::-1], z) / np.polyval(a[::-1], z)) ** 2)


@lru_cache(maxsize=8)
def k_weights(sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Return |H|² of the K-weighting at the bins of a 100 ms real FFT, scaled so that the sum is a mean square.

    The analogue prototypes behind BS.1770's 48 kHz coefficients (a shelf of +4 dB at 1682 Hz and a high-pass at 38 Hz)
    are put through the bilinear transform at this rate.

    Returns:
        float32, shape [samples per cell // 2 + 1].
    """
    size = sample_rate_hz // CELLS_PER_S
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # z^-1 on the unit circle
    k = math.tan(math.pi * 1681.974450955533 / sample_rate_hz)
    q = 0.7071752369554196
    high = 10.0 ** (3.999843853973347 / 20.0)
    band = high**0.4996667741545416
    norm = 1.0 + k / q + k * k
    shelf_b = ((high + band * k / q + k * k) / norm, 2.0 * (k * k - high) / norm, (high - band * k / q + k * k) / norm)
    shelf_a = (1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm)
    k = math.tan(math.pi * 38.13547087602444 / sample_rate_hz)
    q = 0.5003270373238773
    norm = 1.0 + k / q + k * k
    pass_a = (1.0, 2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm)
    power = _biquad_power(shelf_b, shelf_a, z) * _biquad_power((1.0, -2.0, 1.0), pass_a, z)
    power[1 : (size + 1) // 2] *= 2.0  # the bins that a real FFT leaves out
    return np.asarray(power / size**2, dtype=np.float32)


def cell_energies(wave: Waveform, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Return the K-weighted mean square of every whole 100 ms of a signal.

    Args:
        wave: float32 mono, shape [n_samples].
        sample_rate_hz: its rate.

    Returns:
        float32, shape [n_samples // (rate / 10)].
    """
    size = sample_rate_hz // CELLS_PER_S
    cells = wave[: wave.size // size * size].reshape(-1, size)
    energies = np.empty(len(cells), dtype=np.float32)
    for at in range(0, len(cells), CELLS_AT_ONCE):
        spectrum = np.fft.rfft(cells[at : at + CELLS_AT_ONCE], axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        # einsum and not a matrix product: BLAS may split the work by the number of threads, and bits with it.
        energies[at : at + CELLS_AT_ONCE] = np.einsum("ij,j->i", power, k_weights(sample_rate_hz))
    return energies


def integrated_lufs(cells: npt.NDArray[np.float32]) -> float:
    """Return the gated loudness of a programme from its 100 ms energies, in order.

    Fewer than four cells (less than BS.1770's shortest block) count as one block. -inf if nothing passes the gate.
    """
    gate = _energy(ABSOLUTE_GATE_LUFS)
    total, count = _gated(cells, gate)
    if count == 0:
        return -math.inf
    total, count = _gated(cells, max(gate, total / count * 10.0 ** (RELATIVE_GATE_LU / 10.0)))
    return OFFSET_LU + 10.0 * math.log10(total / count)


def _gated(cells: npt.NDArray[np.float32], above: float) -> tuple[float, int]:
    """Add up the energies of the blocks that lie above a gate; return the sum and how many they are.

    A page at a time: thirty hours have a million blocks, and arrays of them in float64 would be most of our memory.
    """
    span = min(CELLS_PER_BLOCK, cells.size)
    total, count = 0.0, 0
    for at in range(0, cells.size - span + 1 if span else 0, GATED_AT_ONCE):
        page = cells[at : at + GATED_AT_ONCE + span - 1].astype(np.float64)
        blocks = np.lib.stride_tricks.sliding_window_view(page, span).mean(axis=1)
        blocks = blocks[blocks > above]
        total += float(blocks.sum())
        count += blocks.size
    return total, count


def _energy(lufs: float) -> float:
    return float(10.0 ** ((lufs - OFFSET_LU) / 10.0))


@lru_cache(maxsize=1)
def _phases() -> npt.NDArray[np.float32]:
    """Return the interpolating filters for the points between a sample and the next, [OVERSAMPLING - 1, taps]."""
    places = np.arange(PHASE_TAPS) - (PHASE_TAPS // 2 - 1)
    rows = []
    for phase in range(1, OVERSAMPLING):
        distance = places - phase / OVERSAMPLING
        taps = np.sinc(distance) * np.i0(3.0 * np.sqrt(np.maximum(0.0, 1.0 - (distance / (PHASE_TAPS / 2)) ** 2)))
        rows.append(taps / taps.sum())
    return np.asarray(rows, dtype=np.float32)


@lru_cache(maxsize=8)
def _block_filters(block: int) -> npt.NDArray[np.float32]:
    """Return the matrix that takes a block and its neighbourhood to all the points between its samples.

    Returns:
        float32, shape [block + PHASE_TAPS - 1, (OVERSAMPLING - 1) * block].
    """
    phases = _phases()
    filters = np.zeros((block + PHASE_TAPS - 1, len(phases), block), dtype=np.float32)
    for place in range(block):
        filters[place : place + PHASE_TAPS, :, place] = phases.T
    return filters.reshape(len(filters), -1)


def block_true_peaks(wave: Waveform, block: int, *, of_interest: float) -> npt.NDArray[np.float32]:
    """Return the highest point of the oversampled signal in every block that matters.

    Args:
        wave: float32 mono, shape [n_blocks * block].
        block: samples per block.
        of_interest: exact are the blocks that reach this, and the highest; of others the sample peak is returned.

    Returns:
        float32, shape [n_blocks].
    """
    peaks = np.abs(wave.reshape(-1, block)).max(axis=1)
    loud = np.flatnonzero(peaks > of_interest * BLOCK_RISE)
    if loud.size == 0:
        return np.asarray(peaks)
    before, after = PHASE_TAPS // 2 - 1, PHASE_TAPS // 2
    padded = np.pad(wave, (before, after))
    around = np.lib.stride_tricks.sliding_window_view(padded, block + PHASE_TAPS - 1)  # [n, block + PHASE_TAPS - 1]
    # A matrix product is ten times as fast as sums in a fixed order, but its last bits hang on shapes and on how many
    # threads BLAS takes. So it only tells which blocks matter: one in a hundred.
    nearly = np.empty(loud.size, dtype=np.float32)
    for at in range(0, loud.size, BLOCKS_AT_ONCE):
        between = around[loud[at : at + BLOCKS_AT_ONCE] * block] @ _block_filters(block)
        nearly[at : at + BLOCKS_AT_ONCE] = np.abs(between, out=between).max(axis=1)
    nearly = np.maximum(nearly, peaks[loud])
    loud = loud[nearly >= NEARLY * min(of_interest, float(nearly.max()))]
    rows = around[loud * block]
    for taps in _phases():
        between = rows[:, :block] * taps[0]
        for place in range(1, PHASE_TAPS):
            between += rows[:, place : place + block] * taps[place]
        peaks[loud] = np.maximum(peaks[loud], np.abs(between).max(axis=1))
    return np.asarray(peaks)
