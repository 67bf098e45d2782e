"""Look at the facts of a take before it is kept.

The bounds are generous: they catch an engine that lost its voice, stopped in mid-sentence or babbles on, and never a
take that merely sounds odd. Measured on 400 sentences of hibari and on single words, numbers and initials: at its own
pace a take lasts 0.6 s for "I", 0.05 to 0.08 s per letter in sentences (edges included, 0.1 s in very short ones),
0.17 s per capital in initials, 0.6 s per digit where a number is read out in full; all of it scales with the pace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedd.model import Rendered

SILENT_PEAK_DBFS = -45.0
SILENT_RMS_DBFS = -60.0
"""hibari's faintest take, "I" at twice its pace, peaks at -23 dBFS with -37 dBFS RMS."""
SHORTEST_S = 0.1
SHORTEST_S_PER_LETTER = 0.03
LONGEST_S = 3.0
LONGEST_S_PER_LOWER = 0.2
LONGEST_S_PER_OTHER = 0.5
"""Capitals may be initials, a character of another script a syllable."""
LONGEST_S_PER_DIGIT = 1.4
LONGEST_S_PER_SIGN = 0.4
"""Signs may be read out ("percent") or become a pause."""
NOTHING_TO_SPEAK = "nothing_to_speak"


def fault_of(rendered: Rendered, text: str, *, speed: float = 1.0) -> str | None:
    """Return what is wrong with a take, in plain words, or None if nothing is.

    Args:
        rendered: the facts of the take.
        text: the spoken text it was made from.
        speed: the pace that was asked for, 1.0 is the voice's own.
    """
    letters = sum(character.isalnum() for character in text)
    if not rendered.finite:
        return "the audio holds values that are no numbers"
    if rendered.fault:
        return rendered.fault
    if rendered.samples == 0:
        return "there is no audio" if letters and rendered.stop_reason != NOTHING_TO_SPEAK else None
    if letters and (rendered.peak_dbfs < SILENT_PEAK_DBFS or rendered.rms_dbfs < SILENT_RMS_DBFS):
        return f"the audio is silent (its peak is {rendered.peak_dbfs:.0f} dBFS)"
    longest_s = _longest_s(text) / speed
    shortest_s = max(SHORTEST_S, letters * SHORTEST_S_PER_LETTER) / speed if letters else 0.0
    if shortest_s <= rendered.duration_s <= longest_s:
        return None
    bound = f"less than {shortest_s:.1f}" if rendered.duration_s < shortest_s else f"more than {longest_s:.1f}"
    return f"the audio is {rendered.duration_s:.1f} s long, {bound} s for {len(text)} characters"


def _longest_s(text: str) -> float:
    total = LONGEST_S
    for character in text:
        if character.isdigit():
            total += LONGEST_S_PER_DIGIT
        elif character.islower():
            total += LONGEST_S_PER_LOWER
        elif character.isalpha():
            total += LONGEST_S_PER_OTHER
        elif not character.isspace():
            total += LONGEST_S_PER_SIGN
    return total
