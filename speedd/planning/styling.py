"""From sentiment to style: VADER, smoothed over neighbouring chunks, moves the engine's parameters.

``parameter = base + compound × sensitivity``, clamped and rounded. With the preset ``default`` and ``rolling``
smoothing the figures are those of chatterbox-DNXS-Spokenword's ``generate_enriched_chunks``, to the last digit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText

from speedd.config import SpeechSettings
from speedd.model import Style

_SMOOTHED_CHUNKS = 3
_DECAY_WEIGHTS = (0.5, 0.3, 0.2)  # newest first


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one parameter of a style is bounded and written."""

    base: float
    least: float
    most: float
    digits: int | None
    """None for whole numbers."""

    def clamped(self, value: float) -> float:
        """The nearest value that is in range."""
        return max(self.least, min(self.most, value if self.digits is not None else round(value)))

    @property
    def span(self) -> str:
        """Its range, in words."""
        return ("" if self.digits is not None else "the whole numbers ") + f"{self.least:g} to {self.most:g}"


PARAMETERS: Mapping[str, Parameter] = {
    "exaggeration": Parameter(0.5, 0.1, 0.65, 2),
    "cfg_weight": Parameter(0.5, 0.15, 1.0, 2),
    "temperature": Parameter(0.85, 0.1, 2.35, 2),
    "min_p": Parameter(0.05, 0.02, 0.3, 3),
    "top_p": Parameter(1.0, 0.01, 1.0, 2),
    "repetition_penalty": Parameter(1.2, 1.0, 2.0, 1),
    "top_k": Parameter(0, 0, 10_000, None),
}
"""By the names that `Style` and ``tts_params`` share."""


class Preset(NamedTuple):
    """What a preset puts in the place of the first three bases, and whether it lets sentiment move them."""

    exaggeration: float
    cfg_weight: float
    temperature: float
    vader: bool


PRESETS: Mapping[str, Preset] = {
    "default": Preset(0.5, 0.5, 0.85, vader=True),
    "narration": Preset(0.55, 0.5, 0.85, vader=True),
    "expressive-mod": Preset(0.50, 0.4, 0.60, vader=True),
    "expressive": Preset(0.65, 0.8, 0.95, vader=True),
    "exposition": Preset(0.4, 0.3, 0.55, vader=False),
}


def follows_sentiment(speech: SpeechSettings) -> bool:
    """Whether sentiment moves the style: as the settings say, else as the preset does."""
    return PRESETS[speech.preset].vader if speech.vader is None else speech.vader


def style_for(compound: float, speech: SpeechSettings) -> Style:
    """The style of a chunk with this smoothed sentiment, in [-1, 1]."""
    at = compound if follows_sentiment(speech) else 0.0
    preset = PRESETS[speech.preset]
    values: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        asked = getattr(speech.style, name)
        base = getattr(preset, name, parameter.base) if asked is None else asked
        # A whole number, which sentiment does not move.
        value = base if name == "top_k" else base + at * getattr(speech.sensitivity, name)
        values[name] = round(parameter.clamped(value), parameter.digits)
    return Style(**values, speed=speech.speed)


class Sentiment:
    """The sentiment of chunks, one after the other in the order of the book."""

    def __init__(self, speech: SpeechSettings) -> None:
        self._smoothing = speech.smoothing
        self._analyzer = SentimentIntensityAnalyzer() if follows_sentiment(speech) else None
        self._latest: deque[float] = deque(maxlen=_SMOOTHED_CHUNKS)

    def next(self, text: str) -> tuple[float, float]:
        """Return the raw and the smoothed compound of the next chunk, both in [-1, 1]; zeros with VADER off."""
        if self._analyzer is None:
            return 0.0, 0.0
        raw = _compound(self._analyzer, text)
        self._latest.append(raw)
        return raw, self._smoothed(raw)

    def _smoothed(self, raw: float) -> float:
        if self._smoothing == "none":
            return raw
        if self._smoothing == "rolling":
            return sum(self._latest) / len(self._latest)
        weighted = list(zip(_DECAY_WEIGHTS, reversed(self._latest), strict=False))
        return sum(weight * value for weight, value in weighted) / sum(weight for weight, _ in weighted)


def _compound(vader: Any, text: str) -> float:
    """VADER's compound of a text, as its ``polarity_scores`` gives it, in half the time.

    Most words are in no lexicon, and emojis, which it looks for character by character, are hardly in any book.
    """
    if not text.isascii() and not vader.emojis.keys().isdisjoint(text):
        return float(vader.polarity_scores(text)["compound"])
    text = text.strip()
    read = SentiText(text)
    words = read.words_and_emoticons
    lowered = [word.lower() for word in words]
    sentiments: list[float] = []
    for at, word in enumerate(lowered):
        is_modifier = word in BOOSTER_DICT or (word == "kind" and lowered[at + 1 : at + 2] == ["of"])
        if word in vader.lexicon and not is_modifier:
            vader.sentiment_valence(0, read, words[at], at, sentiments)
        else:
            sentiments.append(0)
    if not any(sentiments):
        return 0.0
    sentiments = vader._but_check(words, sentiments)  # noqa: SLF001 - a step of polarity_scores
    return float(vader.score_valence(sentiments, text)["compound"])
