"""What a listener hears in an audiobook: its words, its silences, its levels. None of it uses speedd's own meters."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from faster_whisper import WhisperModel
from num2words import num2words

FRAME_MS = 5
_WHISPER_RATE_HZ = 16_000

# The listener writes American English, the books are British; what is heard is the same. Both texts go through these.
_SPELLINGS = (
    (re.compile(r"(?<=[a-z]{2})our(?=s$|ed$|ing$|ite$|less$|hood$|ers?$|$)"), "or"),  # colour; not hour, four
    (re.compile(r"(?<=[bct])re$"), "er"),  # centre, sombre
    (re.compile(r"(?<=[vn]el)l(?=ed$|ing$|ers?$)"), ""),  # travelled, tunnelled
    (re.compile(r"grey"), "gray"),
)


def words(text: str) -> list[str]:
    """Bring a text into the form in which what is written and what is heard are compared.

    Case, punctuation, apostrophes and hyphens go (a hyphen parts words: "after-dinner" is two); figures become words
    ("802,701", "3rd", "12:17"), and British spellings American ones. Nothing else is forgiven: a compound heard as two
    words, a name heard as another and a word left out all count.
    """
    text = re.sub(r"['’‘]", "", text.lower())
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"(\d+)(st|nd|rd|th)\b", lambda number: f" {num2words(int(number[1]), to='ordinal')} ", text)
    text = re.sub(r"\d+", lambda number: f" {num2words(int(number[0]))} ", text)
    return [_american(word) for word in re.findall(r"[^\W_]+", text)]


def _american(word: str) -> str:
    for spelling, american in _SPELLINGS:
        word = spelling.sub(american, word)
    return word


@dataclass(frozen=True)
class Passage:
    """Where in a text something was heard."""

    start: int
    """The first word."""
    stop: int
    """The word after the last."""
    text: str
    """What the text says there."""
    heard: str
    """What was heard. Both are `words` with blanks between."""


class Text:
    """A text in which heard words are looked up."""

    def __init__(self, text: str) -> None:
        self.words = words(text)
        self._numbers: dict[str, int] = {}
        self._text = np.array([self._numbers.setdefault(word, len(self._numbers)) for word in self.words])

    def passage(self, heard: str) -> Passage:
        """Find the passage of the text, of whatever length, that is fewest edits away from what was heard.

        A recording that begins and ends in mid-word adds a word or two that stand nowhere; they count as errors.
        """
        said = np.array([self._numbers.get(word, -1) for word in words(heard)])
        stop = int(np.argmin(_edits(said, self._text, anywhere=True)))
        start = stop - int(np.argmin(_edits(said[::-1], self._text[:stop][::-1], anywhere=False)))
        return Passage(start, stop, " ".join(self.words[start:stop]), " ".join(words(heard)))


def _edits(said: npt.NDArray[np.int64], text: npt.NDArray[np.int64], *, anywhere: bool) -> npt.NDArray[np.int64]:
    """How many edits part what was said from the passage that ends before each word of a text (P. Sellers, 1980).

    The passage begins with the text, or ``anywhere`` in it. Shape [n_words + 1].
    """
    places = np.arange(len(text) + 1)
    cost = np.zeros_like(places) if anywhere else places
    for word in said:
        heard_too = np.minimum(cost[1:] + 1, cost[:-1] + (text != word))
        not_heard = np.concatenate(([cost[0] + 1], heard_too)) - places  # each word of the text that is passed over: 1
        cost = np.minimum.accumulate(not_heard) + places
    return cost


def word_error_rate(passages: list[Passage]) -> float:
    """Substitutions, insertions and deletions over all passages, per word of the text."""
    return jiwer.wer([one.text for one in passages], [one.heard for one in passages])


def differences(passages: list[Passage]) -> str:
    """List what was heard otherwise than it is written, for the person who reads a failed test."""
    compared = jiwer.process_words([one.text for one in passages], [one.heard for one in passages])
    found = []
    for text, heard, steps in zip(compared.references, compared.hypotheses, compared.alignments, strict=True):
        for step in steps:
            if step.type != "equal":
                said = " ".join(text[step.ref_start_idx : step.ref_end_idx])
                got = " ".join(heard[step.hyp_start_idx : step.hyp_end_idx])
                found.append(f"“{said}” heard as “{got}”")
    return "; ".join(found)


def likeness_error(text: str, heard: str) -> float:
    """The word error rate of what was heard, taken as the whole of a text."""
    return jiwer.wer(" ".join(words(text)), " ".join(words(heard)))


class Ear:
    """faster-whisper with tiny.en."""

    def __init__(self, model: Path) -> None:
        self._model = WhisperModel(str(model), device="cpu", compute_type="int8", local_files_only=True, cpu_threads=2)

    def hear(self, wave: npt.NDArray[np.int16], rate_hz: int) -> str:
        """Write down what is said in a mono wave, shape [n_samples]."""
        segments, _ = self._model.transcribe(_resampled(wave, rate_hz), language="en")
        return " ".join(segment.text.strip() for segment in segments)


def _resampled(wave: npt.NDArray[np.int16], rate_hz: int) -> npt.NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_WHISPER_RATE_HZ)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave)[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([each.to_ndarray()[0] for each in frames])


@dataclass(frozen=True)
class Recording:
    """An audio file, decoded."""

    samples: npt.NDArray[np.int16]
    """Mono, memory-mapped, shape [n_samples]."""
    rate_hz: int
    loudness_lufs: float
    """Integrated, by ffmpeg's ebur128."""
    true_peak_dbtp: float

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz

    def between(self, start_s: float, stop_s: float) -> npt.NDArray[np.int16]:
        return self.samples[max(0, round(start_s * self.rate_hz)) : round(stop_s * self.rate_hz)]

    def levels_dbfs(self) -> npt.NDArray[np.float64]:
        """RMS of every `FRAME_MS`, shape [n_frames]; digital silence is -200."""
        size = self.rate_hz * FRAME_MS // 1000
        frames = self.samples[: len(self.samples) // size * size].reshape(-1, size)
        blocks = np.array_split(frames, max(1, len(frames) // 20_000))
        power = np.concatenate([np.square(block / 32_768.0).mean(axis=1) for block in blocks])
        return 10 * np.log10(power + 1e-20)


def decode(audio: Path, scratch: Path) -> Recording:
    """Decode a mono audio file through ffmpeg's loudness meter into a raw file ``scratch``."""
    with av.open(str(audio)) as container, scratch.open("wb") as raw:
        stream = container.streams.audio[0]
        meter = _loudness_meter(stream)
        last: dict[str, str] = {}
        for frame in container.decode(stream):
            wave = np.clip(frame.to_ndarray()[0], -1.0, 32_767 / 32_768)
            raw.write(np.rint(wave * 32_768).astype("<i2").tobytes())
            meter.push(frame)
            last = _drained(meter) or last
        meter.push(None)
        last = _drained(meter) or last
        rate_hz = stream.rate
    return Recording(
        samples=np.memmap(scratch, dtype="<i2", mode="r"),
        rate_hz=rate_hz,
        loudness_lufs=float(last["lavfi.r128.I"]),
        true_peak_dbtp=20 * float(np.log10(float(last["lavfi.r128.true_peak"]))),  # ffmpeg gives it linear
    )


def _loudness_meter(stream: Any) -> Graph:
    graph = Graph()
    steps = (graph.add_abuffer(template=stream), graph.add("ebur128", "peak=true:metadata=1"), graph.add("abuffersink"))
    graph.link_nodes(*steps).configure()
    return graph


def _drained(meter: Graph) -> dict[str, str]:
    """The metadata of the last frame that has come through, if any has."""
    last: dict[str, str] = {}
    while True:
        try:
            last = dict(meter.pull().metadata) or last
        except (av.BlockingIOError, av.EOFError):
            return last
