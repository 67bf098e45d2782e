"""What stops an utterance that went wrong, judged from its trace: one entry for each token, in order.

Pure: a verdict depends on the trace alone, not on when somebody asks, so it is the same whatever is rendered beside it.
All thresholds belong to the model's entry (`families.Guards`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from speedd.engines.chatterbox.families import Guards

END = "end"
CAP = "cap"
LONG_TAIL = "long_tail"
REPETITION = "repetition"
LOOP = "loop"
STALL = "stalled"
NOT_FINITE = "not_finite"
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        CAP: "the engine was stopped: it did not come to an end",
        STALL: "the engine was stopped: it did not get on in the text",
        REPETITION: "the engine was stopped: it said the text again",
        LOOP: "the engine was stopped: it repeated itself",
    }
)
"""What is wrong with a take that ended so; with any other end it is good."""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """What is known of one token when it was drawn."""

    token: int
    position: int = -1
    """In the text; -1 for a model without alignment heads."""
    tail: tuple[float, ...] = ()
    """Attention on the last tokens of the text, one number each."""
    back: float = 0.0
    """Highest attention on the text but its last five tokens."""


class Guard:
    """Watches one utterance.

    Args:
        guards: the model's thresholds.
        text_tokens: how many tokens its text has.
    """

    def __init__(self, guards: Guards, text_tokens: int) -> None:
        self._guards = guards
        self._end = text_tokens - guards.end_reach
        self._tokens: list[int] = []
        self._repeated = [0] * (guards.loop_tokens + 1)
        """By distance: how many of the last tokens are the same as those so far before them."""
        self._complete = False
        self._tail: tuple[float, ...] = ()
        self._back = 0.0
        self._position = -1
        self._still = 0

    def judge(self, entry: TraceEntry) -> str:
        """Take in the next token; return why to stop, or nothing."""
        self._tokens.append(entry.token)
        if self._loops():
            return LOOP
        return self._judge_position(entry) if entry.position >= 0 else ""

    def _judge_position(self, entry: TraceEntry) -> str:
        self._still = self._still + 1 if entry.position == self._position else 0
        self._position = entry.position
        if not self._complete:
            if entry.position < self._end:
                return STALL if self._still >= self._guards.stall_steps else ""
            self._complete = True
        self._tail = tuple(a + b for a, b in zip(self._tail or (0.0,) * len(entry.tail), entry.tail, strict=True))
        self._back += entry.back
        if max(self._tail, default=0.0) >= self._guards.tail_mass:
            return LONG_TAIL
        return REPETITION if self._back > self._guards.back_mass else ""

    def _loops(self) -> bool:
        guards, tokens, repeated = self._guards, self._tokens, self._repeated
        last = tokens[-1]
        for period in range(1, min(len(tokens), len(repeated))):
            repeated[period] = repeated[period] + 1 if tokens[-1 - period] == last else 0
        if repeated[1] >= guards.same_token_run - 1:
            return True
        return any(
            repeated[period] >= period * (guards.loop_times - 1) and repeated[1] < period * guards.loop_times - 1
            for period in range(2, len(repeated))
        )


def token_cap(guards: Guards, chars: int, most: int) -> int:
    """How many speech tokens a text of so many characters may take, at most ``most``."""
    return min(most, guards.tokens_least + round(guards.tokens_per_char * chars))


def word_starts(positions: Sequence[int], word_of: Sequence[int], words: Sequence[str], steps: int) -> list[float]:
    """Say at which step each word begins.

    Args:
        positions: in the text at each step; empty where no head tells them: then words share the time by their length.
        word_of: for each position the index of its word.
        words: the words.
        steps: how many steps there are.
    Returns:
        For each word a number of steps; they never go down.
    """
    if not positions:
        total = sum(map(len, words)) or 1
        starts, before = [], 0
        for word in words:
            starts.append(steps * before / total)
            before += len(word)
        return starts
    reached: list[float | None] = [None] * len(words)
    furthest = -1
    for step, position in enumerate(positions):
        index = word_of[position]
        if index > furthest:
            furthest = index
            reached[index] = float(step)
    # A word that no step looked at begins where the next one does.
    starts, after = [], float(steps)
    for start in reversed(reached):
        after = after if start is None else start
        starts.append(after)
    return starts[::-1]
