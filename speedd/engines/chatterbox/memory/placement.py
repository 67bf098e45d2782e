"""How the model stands in memory, and how it is set up anew with less: what the engine's fallbacks do.

Each fallback is told by the numerics that it changes, and those are all that is needed to take it: what a take says
of itself is what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from speedd.engines.base import Fallback
from speedd.engines.chatterbox.memory.budget import MARGIN_BYTES, Needs, Share, most_s3gen_rows, number_bytes, t3_size
from speedd.engines.chatterbox.memory.device import UnlessFull, card_memory, give_back, means_full
from speedd.engines.chatterbox.s3gen.model import S3Gen
from speedd.engines.chatterbox.s3gen.thread_pools import ThreadPools, pools_of
from speedd.engines.chatterbox.t3.decoder import Decoder
from speedd.engines.chatterbox.t3.model import T3
from speedd.engines.chatterbox.weights.files import Weights
from speedd.engines.chatterbox.weights.loading import load_s3gen, load_t3
from speedd.errors import DeviceFullError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placement:
    """What of the model stands where."""

    device: str
    precision: str
    """Of T3."""
    estimator: str
    """What S3Gen's estimator reckons in, ``bf16`` or ``fp32``."""
    rows: int
    """Utterances that T3 decodes side by side, at most: room for those that fit is taken at once."""
    reference_s: float
    threads: int
    """Of torch on a CPU; 0 leaves them as they are."""

    @property
    def s3gen_rows(self) -> int:
        """Utterances that S3Gen renders in one batch, at most."""
        return 1 if self.device == "cpu" else min(most_s3gen_rows(number_bytes(self.precision)), self.rows)

    @property
    def thread_pools(self) -> int:
        """Utterances that S3Gen renders side by side, each on cores of its own."""
        return pools_of(self.threads, rows=self.rows) if self.device == "cpu" else 1

    @property
    def estimator_dtype(self) -> torch.dtype:
        """In what S3Gen's estimator reckons."""
        return torch.bfloat16 if self.estimator == "bf16" else torch.float32


def placed(device: str, numerics: Mapping[str, str], fallbacks: Iterable[Fallback] = ()) -> Placement:
    """Say how a model with these numerics stands while some fallbacks hold.

    Args:
        device: where it runs without them.
        numerics: as `EngineInfo.numerics` has them.
        fallbacks: later ones win.
    """
    held = {**numerics, "device": device}
    for fallback in fallbacks:
        held |= fallback.numerics
    return Placement(
        device=held["device"],
        precision=held["precision"],
        estimator=held["estimator"],
        rows=int(held["rows"]),
        reference_s=float(held["reference_s"]),
        threads=int(held["threads"] or 0),
    )


class _Part(Generic[T]):
    """Something that is kept while it is what is wanted."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, T] | None = None

    @property
    def is_there(self) -> bool:
        """Whether it was made and not dropped."""
        return self._kept is not None

    def drop_unless(self, key: Hashable) -> None:
        """Let go of it if it is another one."""
        if self._kept is not None and self._kept[0] != key:
            self._kept = None

    def drop(self) -> None:
        """Let go of it."""
        self._kept = None

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return it; make it if it is not there."""
        self.drop_unless(key)
        if self._kept is None:
            self._kept = key, make()
        return self._kept[1]


class Models:
    """T3 with its decoder, and S3Gen, set up as a placement says.

    Args:
        weights: their files.
        placement: how they are to stand at first.
        reserve_bytes: memory of a GPU that stays free for others.
        finished_rows: as `Share` has it.
    """

    def __init__(self, weights: Weights, placement: Placement, *, reserve_bytes: int, finished_rows: int) -> None:
        self._weights = weights
        self._reserve_bytes = reserve_bytes
        self._finished_rows = finished_rows
        self._t3: _Part[T3] = _Part()
        self._decoder: _Part[Decoder] = _Part()
        self._s3gen: _Part[S3Gen] = _Part()
        self.placement = placement
        """What is wanted. A device that is too full even for that gets it when something of it is asked for."""
        self.share = Share(placement.rows, placement.s3gen_rows, finished_rows)
        """What of that there was room for."""
        self._half = False
        _use_threads(placement.threads)

    @property
    def needs(self) -> Needs:
        """What it needs of a GPU as it is placed."""
        return self._needs(self.placement)

    def _needs(self, want: Placement) -> Needs:
        return Needs(t3_size(self._weights.family), want.reference_s, number_bytes(want.precision), self._finished_rows)

    @property
    def decoder(self) -> Decoder:
        """T3's decoder.

        Raises:
            DeviceFullError: if there is no room for it now.
        """
        return self.set_up()[0]

    @property
    def s3gen(self) -> S3Gen:
        """S3Gen.

        Raises:
            DeviceFullError: if there is no room for it now.
        """
        return self.set_up()[1]

    def place(self, wanted: Placement) -> None:
        """Set the models up in another way. What had been admitted to the decoder is lost.

        Raises:
            DeviceFullError: if there is no room for that: then they stand as before, if they did.
        """
        before, stood = self.placement, self._stand
        if wanted.device == "cuda" != before.device and card_memory().free_bytes < self._needs(wanted).least_bytes:
            raise _no_room(wanted, self._weights)  # and what stands elsewhere need not be read from disk again
        try:
            self._change_to(wanted)
        except DeviceFullError as error:
            failure = DeviceFullError(error.message, hint=error.hint)
        else:
            return
        # What was half set up hangs on the first exception until that is gone.
        self._want(before)
        if stood:
            with suppress(DeviceFullError):
                self.set_up()
        raise failure

    def _change_to(self, wanted: Placement) -> None:
        self._want(wanted)
        self.set_up()

    def _want(self, wanted: Placement) -> None:
        if wanted.threads != self.placement.threads:
            _use_threads(wanted.threads)
        self.placement = wanted

    @property
    def _stand(self) -> bool:
        return self._decoder.is_there and self._s3gen.is_there

    def release_slots(self, *, half: bool) -> None:
        """Let go of the room for T3's rows; it is taken anew when the decoder is asked for.

        Args:
            half: from then on no more than half as many as fit.
        """
        self._half = half
        self._decoder.drop()

    def set_up(self) -> tuple[Decoder, S3Gen]:
        """Load what is wanted and is not there.

        Raises:
            EngineError: if the weights cannot be loaded.
            DeviceFullError: if there is no room for it.
        """
        want = self.placement
        place = want.device, want.precision
        decoder, s3gen = (
            (place, want.rows),
            (
                want.device,
                want.estimator,
                want.reference_s,
                want.thread_pools,
                want.threads,
            ),
        )
        # What goes makes room for what comes.
        self._t3.drop_unless(place)
        self._decoder.drop_unless(decoder)
        try:
            ready = self._s3gen.get(s3gen, self._make_s3gen)  # first: while it is read there is twice as much of it
            made = self._decoder.get(decoder, self._make_decoder)
        except RuntimeError as error:
            if not means_full(error):
                raise
            raise _no_room(want, self._weights) from error
        ready.rows = self.share.s3gen_rows
        return made, ready

    def _make_decoder(self) -> Decoder:
        want = self.placement
        give_back()
        t3 = self._t3.get(
            (want.device, want.precision),
            lambda: load_t3(self._weights, precision=want.precision, device=want.device),
        )
        share = self._fitting(want).half if self._half else self._fitting(want)
        decoder = None
        while decoder is None and share.slots > 1:
            # What did not fit hangs on the exception until that is gone: only then is there room to try with less.
            with UnlessFull():
                decoder = Decoder(t3, share.slots, width=want.rows)
            if decoder is None:
                share = share.half
                give_back()
        decoder = decoder or Decoder(t3, 1, width=want.rows)
        self.share = share
        return decoder

    def _fitting(self, want: Placement) -> Share:
        """Say what there is room for beside the weights, by what is free now."""
        if want.device != "cuda":
            return Share(want.rows, want.s3gen_rows, self._finished_rows)
        give_back()
        free_bytes = card_memory().free_bytes - self._reserve_bytes - MARGIN_BYTES
        return self.needs.share_out(free_bytes, most=want.rows)

    def _make_s3gen(self) -> S3Gen:
        want = self.placement
        give_back()
        return S3Gen.from_model(
            load_s3gen(self._weights, listens=False),
            device=want.device,
            estimator_dtype=want.estimator_dtype,
            reference_s=want.reference_s,
            steps=self._weights.family.flow_steps,
            thread_pools=ThreadPools(want.thread_pools, threads=want.threads) if want.thread_pools > 1 else None,
        )


def _no_room(want: Placement, weights: Weights) -> DeviceFullError:
    return DeviceFullError(
        f"The {want.device} device has no room for Chatterbox {weights.family.name}.",
        hint="Free some of its memory.",
    )


def _use_threads(threads: int) -> None:
    if threads:
        torch.set_num_threads(threads)
