"""What the device knows of T3's rows while they are decoded. Its tensors never move, so that a step can be replayed."""

from __future__ import annotations

import torch
from torch import Tensor

from speedd.engines.chatterbox.families import START_SPEECH, STOP_SPEECH
from speedd.engines.chatterbox.t3 import sampling
from speedd.engines.chatterbox.t3.request import Request

MAX_SPEECH_TOKENS = 1000
"""As stock has it: 40 s."""
PLACE, BACK, TAIL = 0, 1, 2
"""Columns of what is noted of the alignment; the tail has one for each of the last tokens."""


class RowState:
    """Static tensors, one entry per slot.

    Args:
        slots: how many.
        vocabulary: tokens that T3 knows.
        device: where they lie.
        allowed: which tokens may be drawn, bool ``[vocabulary]``.
        reach: how many of a text's last tokens are looked at for its end.
    """

    def __init__(self, slots: int, vocabulary: int, device: str, *, allowed: Tensor, reach: int) -> None:
        def whole(*size: int, value: int = 0) -> Tensor:
            return torch.full(size or (slots,), value, dtype=torch.int64, device=device)

        self.allowed = allowed
        self.parameters = sampling.RowParameters.neutral(slots, device)
        self.any_top_p = False
        self.top_k_reach = 0
        """As `sampling.reach_of_top_k` has it."""
        self.token = whole(value=START_SPEECH)
        self.taken = whole()
        self.filled = whole()
        self.cap = whole()
        self.seed = whole(value=-1)
        self.text_at = whole()
        self.text_tokens = whole()
        self.place = whole()
        self.done = torch.ones(slots, dtype=torch.bool, device=device)
        self.complete = torch.zeros(slots, dtype=torch.bool, device=device)
        self.seen = torch.zeros(slots, vocabulary, dtype=torch.bool, device=device)
        self.tokens = whole(slots, MAX_SPEECH_TOKENS + 1)
        self.look = torch.zeros(slots, TAIL + reach, device=device)
        self.looks = torch.zeros(slots, MAX_SPEECH_TOKENS + 1, TAIL + reach, device=device)
        self.slots = torch.arange(slots, device=device)

    def begin(self, slot: int, request: Request, filled: int, text_at: int, top_k: int) -> None:
        """Set a row up for an utterance of which so much is filled; its text begins at ``text_at``."""
        style = request.style
        one = _only(slot)
        self.parameters.set(
            slot,
            cfg_weight=style.cfg_weight,
            temperature=style.temperature,
            min_p=style.min_p,
            top_p=style.top_p,
            repetition_penalty=style.repetition_penalty,
            top_k=top_k,
        )
        for values, value in (
            (self.token, START_SPEECH),
            (self.taken, 0),
            (self.filled, filled),
            (self.cap, min(request.cap, MAX_SPEECH_TOKENS)),
            (self.seed, request.seed),
            (self.text_at, text_at),
            (self.text_tokens, len(request.text)),
            (self.place, 0),
        ):
            values[one] = value
        self.complete[one] = False
        self.seen[one] = False
        self.seen[one, START_SPEECH] = True
        self.done[one] = False

    def end(self, slot: int) -> None:
        """Let a row idle at the beginning of its slot."""
        one = _only(slot)
        self.done[one] = True
        self.filled[one] = self.taken[one] = 0
        self.seed[one] = -1

    def note(self, token: Tensor, finite: Tensor, *, forget_start: bool) -> None:
        """Write down what a step drew; rows that are done stay as they are."""
        live = ~self.done & finite
        at = self.slots, self.taken
        self.tokens[at] = torch.where(live, token, self.tokens[at])
        self.looks[at] = torch.where(live[:, None], self.look, self.looks[at])
        if forget_start:  # stock counts the start token for the first token alone
            self.seen[:, START_SPEECH] = False
        seen = self.slots, token
        self.seen[seen] = self.seen[seen] | live
        self.token.copy_(torch.where(live, token, self.token))
        self.taken += live
        self.filled += live
        self.done |= ~finite | (token == STOP_SPEECH) | (self.taken >= self.cap)

    def since(self, before: Tensor, steps: int) -> Tensor:
        """Say where in `tokens` stands what was drawn after ``before`` tokens, ``[slots, steps]``: at most so many."""
        return (before[:, None] + torch.arange(steps, device=before.device)).clamp_max(MAX_SPEECH_TOKENS)

    def copy(self) -> list[Tensor]:
        """Copy all that a step changes."""
        return [values.clone() for values in self._changing()]

    def restore(self, kept: list[Tensor]) -> None:
        """Put back what `copy` gave."""
        for values, value in zip(self._changing(), kept, strict=True):
            values.copy_(value)

    def _changing(self) -> list[Tensor]:
        return [
            *(self.token, self.taken, self.filled, self.place, self.done, self.complete),
            *(self.seen, self.tokens, self.look, self.looks),
        ]


def _only(slot: int) -> slice:
    """Select a slot so that a number written there is filled in on the device.

    At an index a number is copied there from the host on a GPU, and the host then waits for all that is under way.
    """
    return slice(slot, slot + 1)
