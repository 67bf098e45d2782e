"""Engines that need no model and go wrong on demand. Workers find them through the dist-info folder beside this file.

All speak like `tone`: a sine whose length follows the text and whose pitch follows the seed. A text that holds ``FAIL``
is answered with `Failed` by every one of them. What else they do:

- ``polyglot``: speaks German and English; a text with ``Laterne`` must come to it as German, all others as English.
- ``reader``: speaks several sentences in one go, each word as long as its letters, after half a second of silence; it
  says when it speaks which word, and writes none of the punctuation.
- ``silent``: takes of the right length with nothing in them.
- ``flaky``: a silent take the first time it speaks a text that holds ``FLAKY``, a good one from then on.
- ``gated``: waits in a text that holds ``GATE`` while the file that SPEEDD_TEST_GATE names is there; likewise while
  loading, if the file says ``load``, and while it gets ready for a voice that the file names.
- ``slow``: sleeps SPEEDD_TEST_SLOW_S seconds (0.05) over each utterance, in small naps.
- ``crash_on_chunk``: the process ends at once on a text that holds ``CRASH``; ``RAISE`` raises out of `synthesize`.
- ``hang``: never returns from a text that holds ``HANG``.
- ``oom_at_rows``: claims 8 rows, has memory for 3: a larger batch runs out of it.
- ``tight``: likewise; and a text that holds ``BIG``, ``LARGE`` or ``HUGE`` needs one, two or three fallbacks (it has
  two: ``smaller``, which keeps the bits, and ``whisper``, which does not), the voice ``Cosine`` one.
- ``cramped``: as ``tight``, and while SPEEDD_TEST_FAULTS holds ``full`` it cannot speak at all without both of them.
  If it holds ``lacking``, the model turns out to be no good as soon as there is room for it.
- ``fault``: takes 8 rows at once; on a text that holds one of these words it goes wrong once (a folder that
  SPEEDD_TEST_FAULTS names remembers that): ``OOM`` and ``PART`` (all of the batch, or its end, is given back for lack
  of memory), ``FULL`` (that is raised), ``NAN``, ``HANG``, ``KILL``. Its first load dies if the folder holds ``load``.
- ``moving``: as ``tight`` on a card, with one fallback: what holds ``BIG`` is spoken on the CPU. It says of
  each text how nice the thread was that spoke it.
- ``card``: says on which graphics card it was told to speak. SPEEDD_TEST_CARD_FAULT names what is wrong with one of
  them: ``load 1`` (it dies while loading on card 1), ``refuse 1`` (it says that it cannot be loaded), ``work 1``
  (it loads, and dies in each text).
- ``roomy``: on a card; speaks 8 at once in SPEEDD_TEST_SLOW_S seconds (0.05), and 4 after giving memory back because
  others need it. A file ``released`` in SPEEDD_TEST_FAULTS says when that was (``shrink``, or ``all`` when it may have
  all again) and how many it had in hand.
- ``no_numbers``: a sample of every take is not a number.
- ``clinging``: sleeps as ``slow`` does; ``FULL`` is raised each time. It does not end: SPEEDD_TEST_CLINGS says where it
  stays, in ``close``, or at the process's ``exit``; with ``load`` it has no room while loading, and stays at the exit.
- ``counting``: speaks 4 at once, a token for each character, in SPEEDD_TEST_SLOW_S seconds (0.05); dies once on a text
  that holds ``KILL`` as ``fault`` does.
- ``bulky``: 8 at once, a minute of samples each in no time, and a disk that takes SPEEDD_TEST_SLOW_S seconds (0.05)
  over each take.
- ``crash_in_batch``: takes 8 rows at once and dies if one of them holds ``CRASH``: which one, nobody can tell.
- ``broken_load``: cannot be loaded, and says why. ``crash_at_load``: dies while loading.

With SPEEDD_TEST_TRACE set to a folder, each utterance an engine takes is noted there: a file per process, a key a line.
With SPEEDD_TEST_WARMTH set to a file, each load and each voice that an engine gets ready for is.
"""

import atexit
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from speedd.engines.base import Budget, EngineInfo, Fallback, OutOfMemory
from speedd.errors import DeviceFullError, EngineError, VoiceError
from speedd.model import Failed, Take, TextLimits, Voice, Word

RATE_HZ = 24_000
S_PER_CHAR = 0.06


def note(utterance):
    if folder := os.environ.get("SPEEDD_TEST_TRACE"):
        with (Path(folder) / str(os.getpid())).open("a") as trace:
            trace.write(utterance.key + "\n")


def note_warmth(engine, what):
    if file := os.environ.get("SPEEDD_TEST_WARMTH"):
        with Path(file).open("a") as warmth:
            warmth.write(f"{engine} {what} {os.getpid()}\n")


def holds(utterance, word):
    """Whether a text holds a word; planning may have calmed its capitals."""
    return re.search(rf"\b{word}\b", utterance.text, re.IGNORECASE) is not None


class Tone:
    """A sine: deterministic, fast, audible."""

    def __init__(self, info):
        self.info = info

    def prewarm(self, voice):
        note_warmth(self.info.name, voice.name)
        if voice.name == "unloadable":
            raise VoiceError("This voice cannot be loaded.")

    def budget(self):
        return Budget(rows=1, free_bytes=1 << 30, row_bytes=1 << 20)

    def synthesize(self, source):
        while utterances := source.take(1, block=True):
            for utterance in utterances:
                note(utterance)
                yield self.speak(utterance)

    def speak(self, utterance):
        if holds(utterance, "FAIL"):
            return Failed(utterance.key, "it was asked to fail")
        if not any(char.isalnum() for char in utterance.text):
            return Take(utterance.key, np.zeros(0, np.float32), RATE_HZ, "nothing_to_speak")
        return Take(utterance.key, self.wave(utterance), RATE_HZ)

    def wave(self, utterance):
        duration_s = S_PER_CHAR * len(utterance.text) / utterance.style.speed
        times_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
        pitch_hz = 200 + utterance.seed % 400
        edges = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.02)
        return (0.1 * edges * np.sin(2 * np.pi * pitch_hz * times_s)).astype(np.float32)

    def close(self):
        pass


class Polyglot(Tone):
    def speak(self, utterance):
        if utterance.language != ("de" if "Laterne" in utterance.text else "en"):
            return Failed(utterance.key, f"this is not in the language {utterance.language}")
        return super().speak(utterance)


class Reader(Tone):
    lead_s = 0.5

    def speak(self, utterance):
        take = super().speak(utterance)
        if isinstance(take, Failed) or not len(take.wave):
            return take
        words, at_s = [], self.lead_s
        for text in re.findall(r"\w+", utterance.text):
            words.append(Word(text, at_s, at_s + S_PER_CHAR * len(text)))
            at_s = words[-1].end_s
        return replace(take, words=tuple(words))

    def wave(self, utterance):
        letters = sum(char.isalnum() for char in utterance.text)
        sound = super().wave(replace(utterance, text="a" * letters))
        return np.concatenate([np.zeros(int(self.lead_s * RATE_HZ), np.float32), sound])


class Silent(Tone):
    def wave(self, utterance):
        return np.zeros_like(super().wave(utterance))


class Flaky(Tone):
    def __init__(self, info):
        super().__init__(info)
        self.spoken = set()

    def wave(self, utterance):
        first = utterance.text not in self.spoken
        self.spoken.add(utterance.text)
        return super().wave(utterance) * (0 if first and holds(utterance, "FLAKY") else 1)


class Gated(Tone):
    def __init__(self, info):
        super().__init__(info)
        self.wait_while("load")

    def prewarm(self, voice):
        super().prewarm(voice)
        self.wait_while(voice.name)

    def wave(self, utterance):
        if holds(utterance, "GATE"):
            self.wait_while("")
        return super().wave(utterance)

    def wait_while(self, word):
        gate = Path(os.environ["SPEEDD_TEST_GATE"])
        with suppress(FileNotFoundError):
            while word in gate.read_text():
                time.sleep(0.01)


class Slow(Tone):
    def speak(self, utterance):
        until_s = time.monotonic() + float(os.environ.get("SPEEDD_TEST_SLOW_S", "0.05"))
        while time.monotonic() < until_s:
            time.sleep(0.005)
        return super().speak(utterance)


class CrashOnChunk(Tone):
    def speak(self, utterance):
        if holds(utterance, "CRASH"):
            os._exit(3)
        if holds(utterance, "RAISE"):
            raise MemoryError(utterance.text)
        return super().speak(utterance)


class Hang(Tone):
    def speak(self, utterance):
        while holds(utterance, "HANG"):
            time.sleep(3600)
        return super().speak(utterance)


class OomAtRows(Tone):
    claimed_rows, has_rows = 8, 3

    def budget(self):
        return Budget(rows=self.claimed_rows, free_bytes=1 << 30, row_bytes=1 << 20)

    def synthesize(self, source):
        while rows := source.take(self.claimed_rows, block=True):
            yield from self.batch(rows)

    def batch(self, rows):
        if len(rows) > self.has_rows:
            yield OutOfMemory(tuple(utterance.key for utterance in rows))
            return
        for utterance in reversed(rows):
            note(utterance)
            yield self.speak(utterance)


class Tight(OomAtRows):
    """With the fallback ``whisper`` the tone is lower, as other numerics would make it."""

    def __init__(self, info):
        super().__init__(info)
        self.holding = ()

    def release_memory(self, *, shrink=False):
        pass

    def fall_back(self, names):
        self.holding = names

    def prewarm(self, voice):
        super().prewarm(voice)
        if voice.name == "Cosine" and not self.holding:
            raise DeviceFullError("The voice takes too much memory.")

    def batch(self, rows):
        need = max(
            3 if holds(utterance, "HUGE") else 2 if holds(utterance, "LARGE") else holds(utterance, "BIG")
            for utterance in rows
        )
        if need > len(self.holding):
            raise DeviceFullError("There is not enough memory.")
        yield from super().batch(rows)

    def wave(self, utterance):
        return super().wave(utterance) * (0.5 if "whisper" in self.holding else 1)


class Cramped(Tight):
    def prewarm(self, voice):
        if len(self.holding) < len(self.info.fallbacks) and (Path(os.environ["SPEEDD_TEST_FAULTS"]) / "full").exists():
            raise DeviceFullError("There is no room for the model.")
        if (Path(os.environ["SPEEDD_TEST_FAULTS"]) / "lacking").exists():
            raise EngineError("The model holds no tensor speech_head.", hint="Get the file again.")
        super().prewarm(voice)


class Moving(Tight):
    def speak(self, utterance):
        return replace(super().speak(utterance), stop_reason=f"nice {os.getpriority(os.PRIO_PROCESS, 0)}")


class OnCard(Slow):
    def budget(self):
        return replace(super().budget(), used_bytes=1 << 30)

    def speak(self, utterance):
        if card_fault() == "work":
            os._exit(3)
        return replace(super().speak(utterance), stop_reason=f"on card {os.environ['CUDA_VISIBLE_DEVICES']}")


class Roomy(OomAtRows):
    claimed_rows = has_rows = 8

    def __init__(self, info):
        super().__init__(info)
        self.in_hand = 0

    def budget(self):
        return replace(super().budget(), used_bytes=self.claimed_rows << 30)

    def batch(self, rows):
        self.in_hand = len(rows)
        time.sleep(float(os.environ.get("SPEEDD_TEST_SLOW_S", "0.05")))
        for answer in super().batch(rows):
            yield answer
            self.in_hand -= 1

    def release_memory(self, *, shrink=False):
        self.claimed_rows = 4 if shrink else 8
        with (Path(os.environ["SPEEDD_TEST_FAULTS"]) / "released").open("a") as file:
            file.write(f"{'shrink' if shrink else 'all'} {self.in_hand}\n")


def card_fault():
    """What is wrong with the card of this process, if anything is."""
    fault, _, card = os.environ.get("SPEEDD_TEST_CARD_FAULT", "").partition(" ")
    return fault if card == os.environ["CUDA_VISIBLE_DEVICES"] else ""


class NoNumbers(Tone):
    def wave(self, utterance):
        wave = super().wave(utterance)
        wave[len(wave) // 2] = np.nan
        return wave


class Mishap(OomAtRows):
    has_rows = 8

    def batch(self, rows):
        for utterance in rows:
            note(utterance)
        if due("OOM", rows):
            yield OutOfMemory(tuple(utterance.key for utterance in rows))
            return
        for done, utterance in enumerate(rows):
            if due("FULL", [utterance]):
                raise DeviceFullError("There is not enough memory.")
            if due("PART", [utterance]):
                yield OutOfMemory(tuple(late.key for late in rows[done:]))
                return
            if due("KILL", [utterance]):
                os.kill(os.getpid(), signal.SIGKILL)
            while due("HANG", [utterance]):
                time.sleep(3600)
            take = self.speak(utterance)
            if due("NAN", [utterance]):
                take.wave[len(take.wave) // 2] = np.nan
            yield take


def due(fault, rows):
    """Whether this happens now: once for each text that holds its word, in whatever process."""
    for utterance in rows:
        if holds(utterance, fault):
            try:
                (Path(os.environ["SPEEDD_TEST_FAULTS"]) / f"{fault} {utterance.key}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
    return False


class Clinging(Slow):
    def speak(self, utterance):
        if holds(utterance, "FULL"):
            raise DeviceFullError("There is not enough memory.")
        return super().speak(utterance)

    def close(self):
        if os.environ["SPEEDD_TEST_CLINGS"] == "close":
            sleep_for_ever()


def sleep_for_ever():
    while True:
        time.sleep(3600)


class Counting(OomAtRows):
    claimed_rows = has_rows = 4

    def __init__(self, info):
        super().__init__(info)
        self.tokens = 0

    def budget(self):
        return replace(super().budget(), tokens=self.tokens, used_bytes=3 << 30, held_bytes=0)

    def batch(self, rows):
        time.sleep(float(os.environ.get("SPEEDD_TEST_SLOW_S", "0.05")))
        for utterance in rows:
            if due("KILL", [utterance]):
                os.kill(os.getpid(), signal.SIGKILL)
            self.tokens += len(utterance.text)
        yield from super().batch(rows)


class Bulky(OomAtRows):
    """A take is as long as it may be for its text, nearly all of it silence: trimmed, it is quickly mastered."""

    has_rows = OomAtRows.claimed_rows

    def __init__(self, info):
        super().__init__(info)
        from speedd.execution.worker import take_writer as store  # noqa: PLC0415 - only a worker has one

        write_take, slow_s = store.write_take, float(os.environ.get("SPEEDD_TEST_SLOW_S", "0.05"))

        def slow_disk(*take):
            time.sleep(slow_s)
            return write_take(*take)

        store.write_take = slow_disk

    def wave(self, utterance):
        spoken = super().wave(utterance)[:RATE_HZ]
        longest = np.zeros(int(0.18 * sum(map(str.islower, utterance.text)) * RATE_HZ), np.float32)
        longest[: len(spoken)] = spoken[: len(longest)]
        return longest


class CrashInBatch(OomAtRows):
    def batch(self, rows):
        for utterance in rows:
            note(utterance)
        if any(holds(utterance, "CRASH") for utterance in rows):
            os._exit(3)
        for utterance in rows:
            yield self.speak(utterance)


class Factory:
    def __init__(self, name, engine, device="cpu", languages=("en",), fallbacks=(), one_sentence=True):
        self.name, self.engine, self.device, self.one_sentence = name, engine, device, one_sentence
        self.languages, self.fallbacks = languages, fallbacks

    def describe(self, options):
        return EngineInfo(
            name=self.name,
            version="1.0",
            model_digest="0" * 64,
            sample_rate_hz=RATE_HZ,
            languages=self.languages,
            style_fields=("speed",),
            clones_voices=False,
            voices=(Voice("sine", "1" * 64), Voice("Cosine", "2" * 64)),
            limits=TextLimits(best_chars=200, max_chars=400, one_sentence=self.one_sentence),
            device=self.device,
            fallbacks=self.fallbacks,
        )

    def load(self, options):
        note_warmth(self.name, "load")
        fault = card_fault() if self.engine is OnCard else ""
        if self.engine is None or fault == "refuse":
            raise EngineError("The model is not there.", hint="Fetch it.")
        if self.engine is os._exit or fault == "load":
            sys.stdout.flush()
            os._exit(4)
        if self.engine is Mishap:
            with suppress(FileNotFoundError):
                (Path(os.environ["SPEEDD_TEST_FAULTS"]) / "load").unlink()
                os._exit(4)
        if self.engine is Clinging and (where := os.environ["SPEEDD_TEST_CLINGS"]) != "close":
            atexit.register(sleep_for_ever)
            if where == "load":
                raise DeviceFullError("There is not enough memory.")
        return self.engine(self.describe(options))


TONE = Factory("tone", Tone)
POLYGLOT = Factory("polyglot", Polyglot, languages=("de", "en"))
READER = Factory("reader", Reader, one_sentence=False)
SILENT = Factory("silent", Silent)
FLAKY = Factory("flaky", Flaky)
GATED = Factory("gated", Gated)
SLOW = Factory("slow", Slow)
CRASH_ON_CHUNK = Factory("crash_on_chunk", CrashOnChunk)
HANG = Factory("hang", Hang)
OOM_AT_ROWS = Factory("oom_at_rows", OomAtRows, device="test")
TIGHT = Factory("tight", Tight, device="test", fallbacks=(Fallback("smaller"), Fallback("whisper", {"gain": "half"})))
CRAMPED = Factory("cramped", Cramped, device="test", fallbacks=TIGHT.fallbacks)
MOVING = Factory("moving", Moving, device="test", fallbacks=(Fallback("cpu", {"device": "cpu"}),))
CARD = Factory("card", OnCard, device="cuda")
ROOMY = Factory("roomy", Roomy, device="cuda")
NO_NUMBERS = Factory("no_numbers", NoNumbers)
FAULT = Factory("fault", Mishap, device="test")
CLINGING = Factory("clinging", Clinging)
COUNTING = Factory("counting", Counting, device="test")
BULKY = Factory("bulky", Bulky, device="test")
CRASH_IN_BATCH = Factory("crash_in_batch", CrashInBatch, device="test")
BROKEN_LOAD = Factory("broken_load", None)
CRASH_AT_LOAD = Factory("crash_at_load", os._exit)
