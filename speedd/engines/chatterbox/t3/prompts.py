"""Fill a row's cache with its prompt, computing as little as can be.

What T3 sees before it speaks is ``[speaker, prompt, emotion][text][start]``, and under guidance once more with an empty
text. The first part depends on voice and exaggeration alone, and so does the whole second prompt: the empty text is
nothing but its positions, so a longer one begins with the shorter one. Both are computed once and copied.

The last start token is left to the first step of decoding: stock puts two of them there, the models without guidance
one, and both times the step that draws the first token is then like any other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speedd.engines.chatterbox.families import START_SPEECH
from speedd.engines.chatterbox.t3.cache import KvCache, PositionRange
from speedd.engines.chatterbox.t3.model import T3
from speedd.engines.chatterbox.voices.conditioning import Conditioning

BLOCK = 64
"""Positions of the empty text that are computed at once: always so many, so that their bits depend on nothing."""
KEPT = 8
"""Prefixes kept; each costs about 20 MB at full size."""


@dataclass(slots=True)
class _Prefix:
    """What is kept for one voice with one exaggeration."""

    cached: PositionRange
    empty_text: list[PositionRange] = field(default_factory=list)


class Prompts:
    """Writes prompts into a cache whose last row is nobody's: prefixes are computed there."""

    def __init__(self, t3: T3, cache: KvCache) -> None:
        self._t3 = t3
        self._cache = cache
        self._spare = cache.rows - 1
        self._prefixes: OrderedDict[tuple[str, float], _Prefix] = OrderedDict()

    def write(self, row: int, voice: Conditioning, exaggeration: float, text: Tensor) -> int:
        """Fill a row, and under guidance the one after it.

        Args:
            row: the first row of the utterance.
            voice: who speaks.
            exaggeration: of this utterance.
            text: its tokens, int64 ``[tokens]``.
        Returns:
            How many positions are filled now.
        """
        t3 = self._t3
        prefix = self._prefix(voice, exaggeration)
        start = prefix.cached.positions
        # The blocks of the empty text are whole ones.
        self._cache.reach(start + -(-len(text) // BLOCK) * BLOCK + 1)
        self._cache.load(row, prefix.cached)
        embedded = t3.text_table[text]
        if t3.text_positions is None or t3.speech_positions is None:
            self._run(embedded, row, start)
            return start + len(text)
        embedded = embedded + t3.text_positions[: len(text)]
        begin = (t3.speech_table[START_SPEECH] + t3.speech_positions[0])[None]
        other = row + 1
        self._write_empty_text(other, prefix, len(text))
        self._run(torch.cat([embedded, begin, begin]), row, start, other=other)
        return start + len(text) + 1

    def _prefix(self, voice: Conditioning, exaggeration: float) -> _Prefix:
        key = voice.digest, exaggeration
        if key in self._prefixes:
            self._prefixes.move_to_end(key)
            return self._prefixes[key]
        embedded = self._t3.prefix(voice, exaggeration)
        self._cache.reach(len(embedded))
        self._run(embedded, self._spare, 0)
        self._prefixes[key] = found = _Prefix(self._cache.save(self._spare, 0, len(embedded)))
        while len(self._prefixes) > KEPT:
            self._prefixes.popitem(last=False)
        return found

    def _write_empty_text(self, row: int, prefix: _Prefix, count: int) -> None:
        positions = self._t3.text_positions
        assert positions is not None
        start = prefix.cached.positions
        while len(prefix.empty_text) * BLOCK < count:
            done = len(prefix.empty_text) * BLOCK
            self._load(self._spare, prefix, done)
            block = positions[done : done + BLOCK]
            self._run(block, self._spare, start + done)
            prefix.empty_text.append(self._cache.save(self._spare, start + done, start + done + len(block)))
        self._load(row, prefix, count)

    def _load(self, row: int, prefix: _Prefix, count: int) -> None:
        """Copy the prefix and the first positions of the empty text into a row."""
        self._cache.load(row, prefix.cached)
        for number, block in enumerate(prefix.empty_text):
            done = number * BLOCK
            if done < count:
                at = prefix.cached.positions + done
                self._cache.load(row, block, at=at, count=min(block.positions, count - done))

    def _run(self, embedded: Tensor, row: int, start: int, *, other: int | None = None) -> None:
        """Compute keys and values of ``[positions, channels]``, the last one for the other row."""
        positions = torch.arange(start, start + len(embedded), device=embedded.device)
        if other is not None:
            positions[-1:] -= 1
        attend = self._cache.prefill(row, start, len(embedded), other=other)
        self._t3.backbone.forward(embedded[None], positions[None], attend)
