"""How long an engine may take over a text before it counts as hung, by the length of the text and its own pace."""

from __future__ import annotations

from speedd.common.policies import DEADLINE_FACTOR

LEAST_CHARS = 40
"""Shorter texts count as this long. What they cost hardly depends on their length."""
_DECAY = 0.02
"""Share of a faster measurement in the pace. A slower one counts at once: when the machine gets busy, it stays so."""


class Pace:
    """Measures how fast an engine speaks, and derives deadlines from it.

    Args:
        least_s: what every text gets at least.
        s_per_char: the pace to expect before anything is measured.
    """

    def __init__(self, least_s: float, s_per_char: float) -> None:
        self._least_s = least_s
        self._s_per_char = s_per_char
        self._measured = False

    def note(self, chars: int, render_s: float) -> None:
        """Take note of what a text of so many characters took."""
        s_per_char = render_s / max(chars, LEAST_CHARS)
        if self._measured:
            s_per_char = max(s_per_char, self._s_per_char + _DECAY * (s_per_char - self._s_per_char))
        self._s_per_char = s_per_char
        self._measured = True

    def deadline_s(self, chars: int) -> float:
        """How long a text of so many characters may take."""
        return self._least_s + DEADLINE_FACTOR * self._s_per_char * max(chars, LEAST_CHARS)
