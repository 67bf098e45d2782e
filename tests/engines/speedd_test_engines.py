"""One engine without a model: it speaks, and goes wrong, as a script says. Each of `SCRIPTS` is an engine of that name.

It speaks a sine whose length follows the text and whose pitch follows the seed. Workers find it through the dist-info
folder beside this file. These words in a text are faults, if the script has them:

- ``OOM``: the batch is given back for lack of memory; ``PART``: this text is, and what comes after it in the batch.
- ``FULL``: the device is said to be full. ``RAISE``: an error is raised that is none of ours.
- ``CRASH``: the process ends before any of the batch is spoken. ``KILL``: it is killed. ``HANG``: it never answers.
- ``SILENT``: a take of the right length with nothing in it. ``NAN``: a sample is not a number.
- ``GATE``: it waits while the gate is there.

What tests tell it comes through the environment:

- SPEEDD_TEST_TRACE, a folder: each utterance that it begins is noted there, a file per process, a key a line.
- SPEEDD_TEST_WARMTH, a file: each load is noted there, and each voice that it gets ready for.
- SPEEDD_TEST_SLOW_S: how long a slow one takes over a batch; 0.05 unless set.
- SPEEDD_TEST_GATE, a file: ``GATE`` waits while it is there; loading while it says ``load``; a voice while it names it.
- SPEEDD_TEST_FAULTS, a folder that remembers what went wrong once. Tests put files there: with ``load`` the next load
  dies; with ``full`` there is no room unless all fallbacks hold; with ``lacking`` the model is no good once there is
  room. The engine notes in ``released`` when it gave memory back and how many rows it had in hand.
- SPEEDD_TEST_CARD_FAULT: ``load 1`` dies while loading on card 1, ``refuse 1`` cannot be loaded there, ``work 1`` dies
  in each text.
"""

import atexit
import hashlib
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from speedd.engines.base import Budget, EngineInfo, Fallback, OutOfMemory
from speedd.errors import DeviceFullError, EngineError, VoiceError
from speedd.model import Failed, Take, TextLimits, Voice, Word

RATE_HZ = 24_000
S_PER_CHAR = 0.06
LEAD_S = 0.5


@dataclass(frozen=True)
class Script:
    """How an engine behaves. A text that holds ``FAIL`` fails in every one of them."""

    rows: int = 1
    """It takes so many at once,"""
    memory_rows: int = 99
    """and has memory for so many: a larger batch runs out of it."""
    always: str = ""
    """Words: a text that holds one goes wrong each time."""
    once: str = ""
    """Likewise, but the same text goes well afterwards, in whatever process."""
    every: str = ""
    """What befalls every text, whatever it holds."""
    fallbacks: tuple = ()
    """A text that holds a word of `NEEDS`, and the voice Cosine, need some of them. ``whisper`` halves the tone."""
    load: str = ""
    """``refuse``: it cannot be loaded, and says why; ``die``: its process ends."""
    clings: str = ""
    """It does not end, but stays in ``close``, or at the process's ``exit``; ``load``: there, without room to load."""
    device: str = "cpu"
    slow: bool = False
    row_gib: int = 0
    """What it says that a row uses on its device."""
    gives_back: bool = False
    """It gives memory back to others, and then takes half as many rows."""
    languages: tuple = ("en",)
    """With more than one, a text with ``Laterne`` must come to it as German, all others as English."""
    tells_words: bool = False
    """Speaks several sentences in one go after half a second of silence, and says when it speaks which word."""
    tells: str = ""
    """What its takes give as their stop reason: the ``card`` they were made on, how ``nice`` its thread was."""
    bulky: bool = False
    """A take is as long as it may be, nearly all of it silence; the disk is slow over each. It is made in no time."""


TWO_FALLBACKS = (Fallback("smaller"), Fallback("whisper", {"gain": "half"}))
SCRIPTS = {
    "tone": Script(),
    "slow": Script(slow=True),
    "gated": Script(always="GATE"),
    "polyglot": Script(languages=("de", "en")),
    "reader": Script(tells_words=True),
    "silent": Script(every="SILENT"),
    "flaky": Script(once="SILENT"),
    "no_numbers": Script(every="NAN"),
    "hang": Script(always="HANG"),
    "crash_on_chunk": Script(always="CRASH RAISE"),
    "crash_in_batch": Script(rows=8, device="test", always="CRASH"),
    "fault": Script(rows=8, device="test", once="OOM PART FULL NAN HANG KILL"),
    "batching": Script(rows=4, device="test", once="KILL", slow=True, row_gib=1),
    "oom_at_rows": Script(rows=8, device="test", memory_rows=3),
    "tight": Script(rows=8, device="test", memory_rows=3, fallbacks=TWO_FALLBACKS),
    "moving": Script(
        rows=8, device="test", memory_rows=3, fallbacks=(Fallback("cpu", {"device": "cpu"}),), tells="nice"
    ),
    "card": Script(device="cuda", slow=True, row_gib=1, tells="card"),
    "roomy": Script(rows=8, device="cuda", slow=True, row_gib=1, gives_back=True),
    "bulky": Script(rows=8, device="test", bulky=True),
    "clings_at_close": Script(slow=True, always="FULL", clings="close"),
    "clings_at_exit": Script(slow=True, always="FULL", clings="exit"),
    "clings_at_load": Script(slow=True, clings="load"),
    "broken_load": Script(load="refuse"),
    "crash_at_load": Script(load="die"),
}

NEEDS = {"BIG": 1, "LARGE": 2, "HUGE": 3}
"""So many fallbacks an engine that has some must have taken for a text that holds the word."""


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


def due_once(word, utterance):
    """Whether this happens now: once for each text that holds the word, in whatever process."""
    if not holds(utterance, word):
        return False
    try:
        digest = hashlib.sha256(utterance.text.encode()).hexdigest()
        (Path(os.environ["SPEEDD_TEST_FAULTS"]) / f"{word} {digest}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def in_fault_folder(name):
    folder = os.environ.get("SPEEDD_TEST_FAULTS")
    return folder is not None and (Path(folder) / name).exists()


def card_fault():
    """What is wrong with the card of this process, if anything is."""
    fault, _, card = os.environ.get("SPEEDD_TEST_CARD_FAULT", "").partition(" ")
    return fault if card == os.environ.get("CUDA_VISIBLE_DEVICES") else ""


def slow_s():
    return float(os.environ.get("SPEEDD_TEST_SLOW_S", "0.05"))


def nap(duration_s):
    until_s = time.monotonic() + duration_s
    while time.monotonic() < until_s:
        time.sleep(0.005)


def sleep_for_ever():
    while True:
        time.sleep(3600)


def wait_while_gate_says(word):
    with suppress(FileNotFoundError):
        while word in Path(os.environ["SPEEDD_TEST_GATE"]).read_text():
            time.sleep(0.01)


def slow_down_disk():
    from speedd.execution.worker import take_writer  # noqa: PLC0415 - only a worker has one

    write_take = take_writer.write_take

    def slow_write_take(*take):
        time.sleep(slow_s())
        return write_take(*take)

    take_writer.write_take = slow_write_take


class ScriptedEngine:
    def __init__(self, info, script):
        self.info, self.script = info, script
        self.rows = script.rows
        self.holding = ()
        self.in_hand = self.tokens = 0

    def prewarm(self, voice):
        if self.script.fallbacks:
            if in_fault_folder("full") and len(self.holding) < len(self.script.fallbacks):
                raise DeviceFullError("There is no room for the model.")
            if in_fault_folder("lacking"):
                raise EngineError("The model holds no tensor speech_head.", hint="Get the file again.")
            if voice.name == "Cosine" and not self.holding:
                raise DeviceFullError("The voice takes too much memory.")
        note_warmth(self.info.name, voice.name)
        if voice.name == "unloadable":
            raise VoiceError("This voice cannot be loaded.")
        if "GATE" in self.script.always:
            wait_while_gate_says(voice.name)

    def budget(self):
        used_bytes = self.rows * self.script.row_gib << 30
        return Budget(self.rows, free_bytes=1 << 30, row_bytes=1 << 20, tokens=self.tokens, used_bytes=used_bytes)

    def synthesize(self, source):
        while rows := source.take(self.rows, block=True):
            yield from self.batch(rows[::-1])

    def batch(self, rows):
        if len(rows) > self.script.memory_rows or any(self.due("OOM", row) for row in rows):
            yield OutOfMemory(tuple(row.key for row in rows))
            return
        if any(self.due("CRASH", row) for row in rows):
            for row in rows:
                note(row)
            os._exit(3)
        for number, row in enumerate(rows):
            self.in_hand = len(rows) - number
            note(row)
            if self.script.slow:
                nap(slow_s() / len(rows))
            if self.due("PART", row):
                yield OutOfMemory(tuple(late.key for late in rows[number:]))
                return
            self.go_wrong(row)
            self.tokens += len(row.text)
            yield self.answer(row)
        self.in_hand = 0

    def due(self, word, utterance):
        if word in self.script.every.split():
            return True
        if word in self.script.once.split():
            return due_once(word, utterance)
        return word in self.script.always.split() and holds(utterance, word)

    def go_wrong(self, utterance):
        if card_fault() == "work":
            os._exit(3)
        if self.due("KILL", utterance):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.due("HANG", utterance):
            sleep_for_ever()
        if self.due("RAISE", utterance):
            raise MemoryError(utterance.text)
        needed = max((count for word, count in NEEDS.items() if holds(utterance, word)), default=0)
        if self.due("FULL", utterance) or (self.script.fallbacks and needed > len(self.holding)):
            raise DeviceFullError("There is not enough memory.")
        if self.due("GATE", utterance):
            wait_while_gate_says("")

    def answer(self, utterance):
        if holds(utterance, "FAIL"):
            return Failed(utterance.key, "it was asked to fail")
        if len(self.script.languages) > 1 and utterance.language != ("de" if "Laterne" in utterance.text else "en"):
            return Failed(utterance.key, f"this is not in the language {utterance.language}")
        if not any(map(str.isalnum, utterance.text)):
            return Take(utterance.key, np.zeros(0, np.float32), RATE_HZ, "nothing_to_speak")
        told = {
            "": "end",
            "card": f"on card {os.environ.get('CUDA_VISIBLE_DEVICES')}",
            "nice": f"nice {os.getpriority(os.PRIO_PROCESS, 0)}",
        }
        words = tuple(spoken_words(utterance.text)) if self.script.tells_words else ()
        return Take(utterance.key, self.wave(utterance), RATE_HZ, told[self.script.tells], words=words)

    def wave(self, utterance):
        letters = sum(map(str.isalnum, utterance.text))
        chars = letters if self.script.tells_words else len(utterance.text)
        wave = tone(chars / utterance.style.speed, utterance.seed)
        if self.script.tells_words:
            wave = np.concatenate([np.zeros(int(LEAD_S * RATE_HZ), np.float32), wave])
        if self.script.bulky:
            longest = np.zeros(int(0.18 * sum(map(str.islower, utterance.text)) * RATE_HZ), np.float32)
            spoken = wave[: min(RATE_HZ, len(longest))]
            longest[: len(spoken)] = spoken
            wave = longest
        if self.due("NAN", utterance):
            wave[len(wave) // 2] = np.nan
        if self.due("SILENT", utterance):
            wave *= 0
        return wave * np.float32(0.5 if "whisper" in self.holding else 1)

    def close(self):
        if self.script.clings == "close":
            sleep_for_ever()


class YieldingEngine(ScriptedEngine):
    """One that can give memory back, and take the fallbacks that its script has."""

    def fall_back(self, names):
        self.holding = names

    def release_memory(self, *, shrink=False):
        self.rows = self.script.rows // 2 if shrink else self.script.rows
        if folder := os.environ.get("SPEEDD_TEST_FAULTS"):
            with (Path(folder) / "released").open("a") as file:
                file.write(f"{'shrink' if shrink else 'all'} {self.in_hand}\n")


def tone(chars, seed):
    times_s = np.arange(int(S_PER_CHAR * chars * RATE_HZ)) / RATE_HZ
    edges = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.02)
    return (0.1 * edges * np.sin(2 * np.pi * (200 + seed % 400) * times_s)).astype(np.float32)


def spoken_words(text):
    """Each word as long as its letters; the punctuation is not written."""
    at_s = LEAD_S
    for word in re.findall(r"\w+", text):
        yield Word(word, at_s, at_s + S_PER_CHAR * len(word))
        at_s += S_PER_CHAR * len(word)


@dataclass(frozen=True)
class Factory:
    name: str
    script: Script
    settings = None
    rank = 0

    def describe(self, options):
        return EngineInfo(
            name=self.name,
            version="1.0",
            model_digest="0" * 64,
            sample_rate_hz=RATE_HZ,
            languages=self.script.languages,
            style_fields=("speed",),
            clones_voices=False,
            voices=(Voice("sine", "1" * 64), Voice("Cosine", "2" * 64)),
            limits=TextLimits(best_chars=200, max_chars=400, one_sentence=not self.script.tells_words),
            device=self.script.device,
            fallbacks=self.script.fallbacks,
        )

    def load(self, options):
        note_warmth(self.name, "load")
        fault = self.script.load or card_fault()
        if fault == "refuse":
            raise EngineError("The model is not there.", hint="Fetch it.")
        if fault in {"die", "load"} or in_fault_folder("load"):
            with suppress(KeyError, FileNotFoundError):
                (Path(os.environ["SPEEDD_TEST_FAULTS"]) / "load").unlink()
            sys.stdout.flush()
            os._exit(4)
        if self.script.clings in {"exit", "load"}:
            atexit.register(sleep_for_ever)
        if self.script.clings == "load":
            raise DeviceFullError("There is not enough memory.")
        if "GATE" in self.script.always:
            wait_while_gate_says("load")
        if self.script.bulky:
            slow_down_disk()
        engine = YieldingEngine if self.script.fallbacks or self.script.gives_back else ScriptedEngine
        return engine(self.describe(options), self.script)


ENGINES = SimpleNamespace(**{name: Factory(name, script) for name, script in SCRIPTS.items()})
