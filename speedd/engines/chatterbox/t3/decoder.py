"""Continuous batching for T3: rows are admitted, decoded side by side and freed, each at its own pace.

A step is one function over static tensors, whatever the rows do: it embeds each row's last token, runs the transformer,
samples, and notes what it did. The host looks at the notes every few steps, frees what has ended and admits what comes.
On a GPU a step is recorded once for each span of the cache as a CUDA graph and then replayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from speedd.engines.chatterbox.families import START_SPEECH, STOP_SPEECH, Family
from speedd.engines.chatterbox.memory.device import repeatable
from speedd.engines.chatterbox.t3 import guards, sampling
from speedd.engines.chatterbox.t3.backbone import cache_dtype, cache_shape
from speedd.engines.chatterbox.t3.cache import HeadWatch, KvCache
from speedd.engines.chatterbox.t3.guards import Guard, TraceEntry
from speedd.engines.chatterbox.t3.model import T3
from speedd.engines.chatterbox.t3.prompts import Prompts
from speedd.engines.chatterbox.t3.request import Request, Spoken
from speedd.engines.chatterbox.t3.row_state import BACK, MAX_SPEECH_TOKENS, PLACE, TAIL, RowState
from speedd.model import Style

MAX_TEXT_TOKENS = 400
GUIDED_PREFIX = 1 + 32 + 1
"""Speaker, perceiver and emotion."""
SPAN = 64
"""The cache is read in multiples of so many columns: a span is one CUDA graph."""
GPU_STEPS = 8
"""Steps between two looks of the host on a GPU; each look waits for the device."""
_JUMP_BACK, _JUMP_AHEAD = -4, 7
"""A position that leaves this reach of the one before is no step of reading (stock's bounds)."""
_BACK_MARGIN = 5
"""The last tokens of a text, which may be looked at again after it is finished."""


@dataclass(slots=True)
class _Row:
    """What the host knows of a row."""

    request: Request
    guard: Guard
    start: int
    """Positions that were filled when it began."""
    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


class Decoder:
    """Decodes up to ``slots`` utterances side by side.

    Args:
        t3: the model.
        slots: utterances; every step computes all of them, so that tokens do not depend on how many there are.
        width: utterances that a step's products are computed for, at least the slots (None: as many). The bits of a
            product depend on how many rows it has: tokens of decoders of one width do not depend on their slots.
        draw: how a token is drawn.
        guarded: whether the model's guards watch. Without them it does what stock does.
        graphs: whether steps are recorded as CUDA graphs.
    """

    def __init__(
        self,
        t3: T3,
        slots: int,
        *,
        width: int | None = None,
        draw: sampling.Draw = sampling.draw_by_counter,
        guarded: bool = True,
        graphs: bool | None = None,
    ) -> None:
        self._t3 = t3
        self.slots = slots
        self._draw = draw
        self._guarded = guarded
        self._guards = t3.family.guards
        self._rows_each = 2 if t3.family.guidance else 1
        self._idle_rows = ((width or slots) - slots) * self._rows_each
        length = row_length(t3.family)
        shape = cache_shape(t3.backbone, length)
        # One row more than the utterances need: the place where prefixes are computed.
        rows = slots * self._rows_each + 1
        self._cache = KvCache(shape, rows, dtype=cache_dtype(t3.precision), device=t3.device)
        self._prompts = Prompts(t3, self._cache)
        heads = [head for head in self._guards.heads if head[0] < t3.backbone.layers] if guarded else []
        self._watch = HeadWatch(heads, self._rows_each) if heads else None
        self._rows: list[_Row | None] = [None] * slots
        self.decoded = 0
        """Speech tokens of all rows so far."""
        self._state = RowState(
            slots,
            t3.vocabulary,
            t3.device,
            allowed=_allowed(t3.vocabulary, t3.device, guarded),
            reach=self._guards.end_reach,
        )
        on_gpu = t3.device == "cuda"
        self._steps = GPU_STEPS if on_gpu else 1
        recorded = on_gpu if graphs is None else graphs
        self._graphs: dict[tuple[int, bool, int], torch.cuda.CUDAGraph] | None = {} if recorded else None
        # Nothing that a graph computes is needed once it has been replayed, so all of them work in the same memory.
        self._graph_pool = torch.cuda.graph_pool_handle() if recorded else None

    @property
    def free(self) -> int:
        """How many utterances can be admitted."""
        return self._rows.count(None)

    def admit(self, request: Request) -> None:
        """Begin with an utterance.

        Raises:
            ValueError: if there is no free row, or its text is too long.
        """
        if len(request.text) > MAX_TEXT_TOKENS:
            raise ValueError(f"{len(request.text)} text tokens are more than {MAX_TEXT_TOKENS}")
        slot = self._rows.index(None)
        with torch.inference_mode(), repeatable(self._t3.device):
            text = torch.tensor(request.text).to(self._t3.device, non_blocking=True)
            exaggeration = request.style.exaggeration if self._t3.family.guidance else 0.0
            start = self._prompts.write(slot * self._rows_each, request.voice, exaggeration, text)
            text_at = self._text_at(start, len(request.text))
            self._state.begin(slot, request, start, text_at, self._top_k(request.style))
        self._rows[slot] = _Row(request, Guard(self._guards, len(request.text)), start)
        styles = [row.request.style for row in self._rows if row]
        self._state.any_top_p = any(style.top_p < 1 for style in styles)
        self._state.top_k_reach = sampling.reach_of_top_k(map(self._top_k, styles), self._t3.vocabulary)

    def advance(self) -> list[Spoken]:
        """Take a few steps and return what ended."""
        if self.free == self.slots:
            return []
        with torch.inference_mode(), repeatable(self._t3.device):
            before = self._state.taken.clone()
            furthest = max(row.start + len(row.tokens) for row in self._rows if row)
            for step in range(self._steps):
                needed = furthest + step + 1
                self._take_step(min(-(-needed // SPAN) * SPAN, self._cache.shape.length))
            return self._look(before)

    def drop(self) -> list[Request]:
        """Forget what is being spoken, and return it."""
        dropped = [row.request for row in self._rows if row]
        for slot in range(self.slots):
            self._free(slot)
        return dropped

    # --- a step ------------------------------------------------------------------------------------------------------

    def _take_step(self, span: int) -> None:
        self._cache.fit(span)
        if self._graphs is None:
            self._step(span)
            return
        key = span, self._state.any_top_p, self._state.top_k_reach
        if key in self._graphs:
            self._graphs[key].replay()
        else:
            self._graphs[key] = self._record(span)

    def _record(self, span: int) -> torch.cuda.CUDAGraph:
        """Take a step and record it. Its buffers are static, so that replaying it is taking the next one.

        Not tried on a GPU yet: none was at hand when this was written.
        """
        kept = self._state.copy()
        # Libraries set themselves up, which must not be recorded. On the stream that is used anyway: cuBLAS keeps 32 MB
        # on an H100 for each that it was ever used on.
        self._step(span)
        self._state.restore(kept)
        graph = torch.cuda.CUDAGraph()
        # Other threads may ask the card for its free memory meanwhile: that must not end the recording.
        with torch.cuda.graph(graph, pool=self._graph_pool, capture_error_mode="thread_local"):
            self._step(span)
        graph.replay()  # recording computes nothing
        return graph

    def _step(self, span: int) -> None:
        state, t3 = self._state, self._t3
        x = t3.speech_table[state.token]
        if t3.speech_positions is not None:
            x = x + t3.speech_positions[state.taken]
        positions = state.filled.repeat_interleave(self._rows_each)
        x = x.repeat_interleave(self._rows_each, 0)
        attend = self._cache.decode(positions, span, self._watch)
        if self._idle_rows:
            x, positions = (
                functional.pad(x, (0, 0, 0, self._idle_rows)),
                functional.pad(positions, (0, self._idle_rows)),
            )
        hidden = t3.backbone.forward(x[:, None], positions[:, None], attend)
        logits = t3.head(hidden[:, 0])[: self.slots * self._rows_each].float()
        finite = torch.isfinite(logits).view(self.slots, -1).all(1)
        logits = logits.nan_to_num(0.0, 0.0, 0.0).view(self.slots, self._rows_each, -1)
        if self._watch is not None:
            self._align(self._watch.attention(), span)
        state.note(self._sampled(logits), finite, forget_start=not t3.family.guidance)

    def _sampled(self, logits: Tensor) -> Tensor:
        """Draw a token for each row."""
        state, family = self._state, self._t3.family
        p = state.parameters
        x = sampling.guided(logits, p.cfg_weight) if family.guidance else logits[:, 0]
        x = x.masked_fill(~state.allowed, -torch.inf)
        if self._watch is not None:
            too_early = ~state.complete & (state.text_tokens > self._guards.end_reach + 2)
            x[:, STOP_SPEECH] = torch.where(too_early, -torch.inf, x[:, STOP_SPEECH])
        if family.guidance:
            x = sampling.penalised(x, state.seen, p.repetition_penalty) / p.temperature
            x = sampling.kept_by_min_p(x, p.min_p)
        else:
            x = x / p.temperature
        if state.top_k_reach:
            x = sampling.kept_by_top_k(x, p.top_k, state.top_k_reach)
        if state.any_top_p:
            x = sampling.kept_by_top_p(x, p.top_p)
        if not family.guidance:
            x = sampling.penalised(x, state.seen, p.repetition_penalty)
        return self._draw(x.softmax(-1), state.seed, state.taken)

    def _align(self, attention: Tensor, span: int) -> None:
        """Note where in its text each row looks: attention ``[slots, span]``."""
        state = self._state
        columns = torch.arange(span, device=attention.device)
        at = columns - state.text_at[:, None]
        inside = (at >= 0) & (at < state.text_tokens[:, None])
        # Nobody reads faster than a token of text per token of speech (stock masks the same way).
        reachable = attention.masked_fill(~inside | (at > state.taken[:, None]), 0.0)
        place = reachable.argmax(1) - state.text_at
        jump = place - state.place
        state.place.copy_(torch.where((jump > _JUMP_BACK) & (jump < _JUMP_AHEAD), place, state.place))
        end = state.text_tokens - self._guards.end_reach
        state.complete |= state.place >= end
        reach = torch.arange(self._guards.end_reach, device=attention.device)
        last = (state.text_at + end)[:, None] + reach
        state.look[:, PLACE] = state.place.float()
        state.look[:, BACK] = reachable.masked_fill(at >= state.text_tokens[:, None] - _BACK_MARGIN, 0.0).amax(1)
        state.look[:, TAIL:] = reachable.gather(1, last.clamp(0, span - 1))

    def _top_k(self, style: Style) -> int:
        return style.top_k or self._t3.family.top_k or sampling.ALL_TOKENS

    def _text_at(self, start: int, text_tokens: int) -> int:
        """Where the text begins in a row of which ``start`` positions are filled."""
        return start - text_tokens - (self._t3.text_positions is not None)

    # --- between steps -----------------------------------------------------------------------------------------------

    def _look(self, before: Tensor) -> list[Spoken]:
        """Read what the steps noted and free the rows that ended."""
        state = self._state
        # All rows at once: every read waits for the device, on a GPU some 10 µs.
        new = state.since(before, self._steps)
        tokens, counts = state.tokens.gather(1, new).tolist(), (state.taken - before).tolist()
        done = state.done.tolist()
        looks = None if self._watch is None else state.looks[state.slots[:, None], new].tolist()
        ended = []
        for slot, row in enumerate(self._rows):
            if row is None:
                continue
            self.decoded += counts[slot]
            reason = ""
            for step in range(counts[slot]):
                reason = self._judge(row, tokens[slot][step], looks[slot][step] if looks is not None else None)
                if reason:
                    break
            if not reason and done[slot]:
                reason = guards.NOT_FINITE
            if reason:
                ended.append(Spoken(row.request, tuple(row.tokens), reason, tuple(row.positions)))
                if reason == guards.NOT_FINITE:
                    self._cache.clear(slice(slot * self._rows_each, (slot + 1) * self._rows_each))
                self._free(slot)
        return ended

    def _judge(self, row: _Row, token: int, look: list[float] | None) -> str:
        if token == STOP_SPEECH:
            return guards.END
        row.tokens.append(token)
        entry = TraceEntry(token)
        if look is not None:
            row.positions.append(int(look[PLACE]))
            entry = TraceEntry(token, int(look[PLACE]), tuple(look[TAIL:]), look[BACK])
        reason = row.guard.judge(entry) if self._guarded else ""
        return reason or (guards.CAP if len(row.tokens) >= row.request.cap else "")

    def _free(self, slot: int) -> None:
        self._rows[slot] = None
        self._state.end(slot)


def row_length(family: Family) -> int:
    """How many positions a row of the cache has: what the longest utterance needs, in whole spans."""
    prefix = GUIDED_PREFIX if family.guidance else 1 + family.speaker_prompt_tokens
    return -(-(prefix + MAX_TEXT_TOKENS + 2 + MAX_SPEECH_TOKENS) // SPAN) * SPAN


def _allowed(vocabulary: int, device: str, guarded: bool) -> Tensor:
    """Which tokens may be drawn: sounds and the end. Stock allows all, and drops what is no sound afterwards."""
    tokens = torch.arange(vocabulary, device=device)
    return (tokens < START_SPEECH) | (tokens == STOP_SPEECH) if guarded else tokens >= 0
