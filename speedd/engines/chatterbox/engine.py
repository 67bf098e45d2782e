"""The engine: utterances in, takes out, T3 and S3Gen working side by side.

T3 decodes a batch whose free rows are filled from the source while the others go on; what it has finished waits a
moment for company and is then rendered. What T3 says does not depend on who is beside it. Neither does the audio on a
CPU, and in fp32 on any device: there S3Gen renders each row by itself (on a CPU several at once, in `thread_pools`).
Where it renders batches (bf16 on a GPU), how many rows they have, to the next power of two, and in which place one
stands may change how the last bits are rounded, and nothing else.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from speedd.engines.base import Budget, EngineInfo, EngineOptions, OutOfMemory, UtteranceSource
from speedd.engines.chatterbox.families import SILENCE, SPEECH_TOKENS_PER_SECOND, START_SPEECH
from speedd.engines.chatterbox.memory.budget import BEST_SPEECH_S
from speedd.engines.chatterbox.memory.device import UnlessFull, card_memory, give_back, means_full
from speedd.engines.chatterbox.memory.placement import Models, placed
from speedd.engines.chatterbox.s3gen.buckets import FinishedRows
from speedd.engines.chatterbox.s3gen.model import SpeechRow
from speedd.engines.chatterbox.s3gen.watermark import Watermark
from speedd.engines.chatterbox.t3 import guards
from speedd.engines.chatterbox.t3.decoder import MAX_TEXT_TOKENS, Decoder
from speedd.engines.chatterbox.t3.request import Request, Spoken
from speedd.engines.chatterbox.t3.row_state import MAX_SPEECH_TOKENS
from speedd.engines.chatterbox.t3.text import TextTokenizer, TextTokens
from speedd.engines.chatterbox.voices.conditioning import Listener, Voices
from speedd.engines.chatterbox.weights.loading import load_s3gen, load_t3, load_voice_encoder
from speedd.errors import DeviceFullError, EngineError, VoiceError
from speedd.model import Failed, Take, Utterance, Voice, Word

if TYPE_CHECKING:
    from speedd.engines.chatterbox.settings import ChatterboxSettings
    from speedd.engines.chatterbox.weights.files import Weights
    from speedd.model import Waveform


@dataclass(slots=True)
class _InHand:
    """An utterance that T3 or S3Gen has."""

    utterance: Utterance
    text: TextTokens
    again: bool = False
    """Whether T3 speaks it a second time because its numbers ran out of range."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """What T3 has said, ready to be rendered."""

    spoken: Spoken
    row: SpeechRow


class ChatterboxEngine:
    """A loaded Chatterbox; on a device without room for it, one that is loaded as soon as there is some.

    Args:
        info: what it is, as the factory described it.
        weights: its files.
        options: its settings, and where it may keep prepared voices.
    Raises:
        EngineError: if the weights cannot be loaded.
    """

    def __init__(self, info: EngineInfo, weights: Weights, options: EngineOptions[ChatterboxSettings]) -> None:
        self.info = info
        self._weights = weights
        self._family = weights.family
        self._tokenizer = TextTokenizer(weights)
        self._reserve_bytes = options.reserve_bytes
        self._models = Models(
            weights,
            placed(info.device, info.numerics),
            reserve_bytes=self._reserve_bytes,
            finished_rows=options.settings.finished_rows,
        )
        self._watermark = Watermark(enabled=options.settings.watermark, sample_rate_hz=info.sample_rate_hz)
        self._marking: deque[tuple[Spoken, Future[Waveform]]] = deque()
        state = options.folder
        self._voices = Voices(
            self._family,
            info.model_digest,
            weights.path(self._family.files.conditionals),
            state / "voices" if state else None,
            self._listener,
        )
        self._in_hand: dict[str, _InHand] = {}
        self._speaking = False
        self._tokens = 0
        with suppress(DeviceFullError):  # `prewarm` says it again, and then a fallback can be taken
            self._models.set_up()
        self._voices.get(info.voices[0])

    def prewarm(self, voice: Voice) -> None:
        """Listen to a voice, unless that was done before, with the model loaded.

        Raises:
            VoiceError: if its sample cannot be used; says why.
            DeviceFullError: if the device has no room for the model.
            EngineError: if the weights cannot be loaded.
        """
        self._models.set_up()
        self._voices.get(voice)

    def budget(self) -> Budget:
        """Say what can be taken on."""
        models = self._models
        share, needs = models.share, models.needs
        if models.placement.device == "cuda":
            return needs.budget(share, card_memory(), reserve_bytes=self._reserve_bytes, tokens=self._tokens)
        thread_pools = models.placement.thread_pools
        return Budget(
            rows=share.rows + thread_pools - 1,  # what waits for company in S3Gen keeps no slot of T3 from the next
            free_bytes=_free_bytes(),
            # The pages of a slot become real as it is spoken.
            row_bytes=needs.t3.slot_bytes(round(BEST_SPEECH_S * SPEECH_TOKENS_PER_SECOND) + 300),
            workspace_bytes=needs.workspace_bytes(thread_pools * share.s3gen_rows),
            tokens=self._tokens,
        )

    def release_memory(self, *, shrink: bool = False) -> None:
        """Give memory that is not in use back to the device; see `ReleasesMemory`."""
        if not self._speaking:
            self._models.release_slots(half=shrink)
        give_back()

    def fall_back(self, names: tuple[str, ...]) -> None:
        """Let exactly these of its fallbacks hold from now on; see `HasFallbacks.fall_back`."""
        held = [fallback for fallback in self.info.fallbacks if fallback.name in names]
        self._models.place(placed(self.info.device, self.info.numerics, held))

    def synthesize(self, source: UtteranceSource) -> Iterator[Take | Failed | OutOfMemory]:
        """Speak what the source gives until it is closed; see `Engine.synthesize`."""
        decoder = self._models.decoder
        self._speaking = True
        try:
            yield from self._speak(source, decoder)
        except RuntimeError as error:
            if not means_full(error):
                raise
            raise DeviceFullError("The device ran out of memory in the middle of a step.") from error
        finally:
            self._speaking = False
            decoder.drop()
            self._in_hand.clear()
            self._marking.clear()

    def close(self) -> None:
        """Let go of the model. Its memory comes back when the process ends."""
        self._watermark.close()
        del self._models

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _speak(self, source: UtteranceSource, decoder: Decoder) -> Iterator[Take | Failed | OutOfMemory]:
        s3gen = self._models.s3gen
        finished: FinishedRows[_Finished] = FinishedRows(rows=s3gen.at_once, patience=self._models.share.finished_rows)
        while True:
            if decoder.free:
                idle = not self._in_hand
                utterances = source.take(decoder.free, block=idle)
                if idle and not utterances:
                    return
                for utterance in utterances:
                    if (answer := self._admit(utterance, decoder)) is not None:
                        yield answer
            before = decoder.decoded
            ended = decoder.advance()
            self._tokens += decoder.decoded - before
            for spoken in ended:
                one = self._finished(spoken, decoder)
                if isinstance(one, _Finished):
                    finished.add(one, s3gen.bucket(one.row))
                elif one is not None:
                    yield one
            decoding = decoder.free < decoder.slots
            while batch := finished.take(flush=not decoding):
                yield from self._rendered(batch)
                yield from self._marked(wait=False)
            yield from self._marked(wait=not decoding)

    def _admit(self, utterance: Utterance, decoder: Decoder) -> Take | Failed | OutOfMemory | None:
        """Let T3 begin with an utterance; an answer if it does not."""
        if not any(char.isalnum() for char in utterance.text):
            return Take(utterance.key, _silence(), self.info.sample_rate_hz, "nothing_to_speak")
        try:
            text = self._tokenizer.tokens(utterance.text, utterance.language, MAX_TEXT_TOKENS)
        except EngineError as error:
            return Failed(utterance.key, str(error), final=True)
        try:
            voice = self._voices.get(utterance.voice)
        except VoiceError as error:
            return Failed(utterance.key, str(error), final=True)
        cap = guards.token_cap(self._family.guards, len(utterance.text), MAX_SPEECH_TOKENS)
        with UnlessFull() as admission:
            decoder.admit(Request(utterance.key, text.ids, voice, utterance.style, utterance.seed, cap))
        if admission.full:
            return OutOfMemory((utterance.key,))
        self._in_hand[utterance.key] = _InHand(utterance, text)
        return None

    def _finished(self, spoken: Spoken, decoder: Decoder) -> _Finished | Failed | OutOfMemory | None:
        """Make ready for S3Gen what T3 has said; None if T3 says it again."""
        key = spoken.request.key
        if spoken.reason == guards.NOT_FINITE:
            in_hand = self._in_hand[key]
            with UnlessFull() as once_more:
                if not in_hand.again:  # a glitch of the device passes, and then the bits are as they always are
                    in_hand.again = True
                    decoder.admit(spoken.request)
                    return None
                spoken = self._said_in_full(spoken.request)
            if once_more.full:
                del self._in_hand[key]
                return OutOfMemory((key,))
        tokens = [token for token in spoken.tokens if token < START_SPEECH]
        if spoken.reason == guards.NOT_FINITE or not tokens:
            del self._in_hand[key]
            what = "its numbers ran out of range" if tokens or spoken.reason == guards.NOT_FINITE else "it said nothing"
            return Failed(key, f"Chatterbox cannot speak this text: {what}.")
        closing = [SILENCE] * self._family.closing_silence
        row = SpeechRow(torch.tensor(tokens + closing), spoken.request.voice.reference, spoken.request.seed)
        return _Finished(spoken, row)

    def _rendered(self, batch: list[_Finished]) -> Iterator[OutOfMemory]:
        """Render what T3 has said, fewer at once where the memory does not suffice."""
        waves, s3gen = None, self._models.s3gen
        if self._models.placement.device == "cuda":
            share = self._models.share
            s3gen.rows = self._models.needs.s3gen_rows_now(share, card_memory(), self._reserve_bytes)
        # What did not fit hangs on the exception until that is gone: only then is there room to try with less.
        with UnlessFull():
            waves = s3gen.render([one.row for one in batch])
        if waves is not None:
            aside = self._models.placement.device != "cpu"
            for one, wave in zip(batch, waves, strict=True):
                self._marking.append((one.spoken, self._watermark.submit(wave, aside=aside)))
            return
        give_back()
        if len(batch) == 1:
            key = batch[0].spoken.request.key
            del self._in_hand[key]
            yield OutOfMemory((key,))
            return
        half = len(batch) // 2
        yield from self._rendered(batch[:half])
        yield from self._rendered(batch[half:])

    def _marked(self, *, wait: bool) -> Iterator[Take]:
        """Make takes of what carries its mark."""
        while self._marking and (wait or self._marking[0][1].done()):
            spoken, marking = self._marking.popleft()
            wave = marking.result()
            in_hand = self._in_hand.pop(spoken.request.key)
            words = _words(spoken, in_hand.text, len(wave) / self.info.sample_rate_hz)
            fault = guards.FAULTS.get(spoken.reason, "")
            yield Take(spoken.request.key, wave, self.info.sample_rate_hz, spoken.reason, words, fault)

    def _said_in_full(self, request: Request) -> Spoken:
        """Let T3 speak an utterance in fp32, alone: its numbers ran over twice."""
        now = self._models.placement
        if now.precision == "fp32":
            return Spoken(request, (), guards.NOT_FINITE)
        t3 = load_t3(self._weights, precision="fp32", device=now.device)
        decoder = Decoder(t3, 1, graphs=False)
        decoder.admit(request)
        while not (spoken := decoder.advance()):
            pass
        return spoken[0]

    def _listener(self) -> Listener:
        """Load what listens to a sample: seldom needed, and half a gigabyte."""
        return Listener(load_voice_encoder(self._weights), load_s3gen(self._weights, listens=True))


def _free_bytes() -> int:
    """Free memory of the machine."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _silence() -> Waveform:
    import numpy as np

    return np.zeros(0, np.float32)


def _words(spoken: Spoken, text: TextTokens, duration_s: float) -> tuple[Word, ...]:
    """Say when each word is spoken."""
    starts = guards.word_starts(spoken.positions, text.word_of, text.words, len(spoken.tokens))
    times = [min(duration_s, start / SPEECH_TOKENS_PER_SECOND) for start in starts]
    ends = [*times[1:], duration_s]
    return tuple(Word(word, start, end) for word, start, end in zip(text.words, times, ends, strict=True))
