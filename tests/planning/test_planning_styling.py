import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from speedd.config import SpeechSettings
from speedd.planning.styling import PARAMETERS, Sentiment, style_for


def style(compound=0.0, **settings):
    one = style_for(compound, SpeechSettings(**settings))
    return (one.exaggeration, one.cfg_weight, one.temperature, one.min_p, one.top_p, one.repetition_penalty)


def test_the_default_preset_gives_the_older_tools_figures_to_the_last_digit(shared):
    """Raw and smoothed sentiment and every parameter of 1,567 chunks."""
    path = shared / "chunks" / "the-time-machine.chunks_info.json"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    chunks = json.loads(path.read_text(encoding="utf-8"))[1:]
    sentiment = Sentiment(SpeechSettings())
    for chunk in chunks:
        raw, compound = sentiment.next(chunk["text"])
        assert (raw, compound) == (chunk["sentiment_raw"], chunk["sentiment_compound"])
        made = style_for(compound, SpeechSettings())
        assert {name: getattr(made, name) for name in PARAMETERS} == chunk["tts_params"] | {"top_k": 0}
    assert len(chunks) == 1567


@pytest.mark.parametrize(
    ("preset", "neutral", "glad"),
    [
        ("default", (0.5, 0.5, 0.85, 0.05, 1.0, 1.2), (0.65, 0.82, 1.15, 0.06, 1.0, 1.2)),
        ("narration", (0.55, 0.5, 0.85, 0.05, 1.0, 1.2), (0.65, 0.82, 1.15, 0.06, 1.0, 1.2)),
        ("expressive-mod", (0.5, 0.4, 0.6, 0.05, 1.0, 1.2), (0.65, 0.72, 0.9, 0.06, 1.0, 1.2)),
        ("expressive", (0.65, 0.8, 0.95, 0.05, 1.0, 1.2), (0.65, 1.0, 1.25, 0.06, 1.0, 1.2)),
        ("exposition", (0.4, 0.3, 0.55, 0.05, 1.0, 1.2), (0.4, 0.3, 0.55, 0.05, 1.0, 1.2)),
    ],
)
def test_presets(preset, neutral, glad):
    assert style(0.0, preset=preset) == neutral
    # 1.2 + 0.05 is 1.25, which rounds to even
    assert style(1.0, preset=preset) == glad


def test_sentiment_can_be_turned_on_and_off_whatever_the_preset_says():
    assert style(1.0, preset="exposition", vader=True) == (0.65, 0.62, 0.85, 0.06, 1.0, 1.2)
    assert style(1.0, vader=False) == style(0.0)
    assert Sentiment(SpeechSettings(vader=False)).next("Wonderful!") == (0.0, 0.0)


_vader = SentimentIntensityAnalyzer()
_words = st.lists(st.sampled_from(
    ["good", "GREAT", "awful!", "not", "never", "no", "very", "kind", "of", "but", "But", "least", "at", "so", ":)",
     "😀", "war😀!", "the", "chair", "isn't", "doubt", "without", "bad", "ass", "shit", "?", "!!!", "“love”", "hardly"]
))  # fmt: skip


@given(_words.map(" ".join) | st.text())
def test_the_figures_are_vaders_own(text):
    sentiment = Sentiment(SpeechSettings(smoothing="none"))
    assert sentiment.next(text)[0] == _vader.polarity_scores(text)["compound"]


def test_style_is_clamped():
    assert style(-1.0, preset="exposition", vader=True) == (0.1, 0.15, 0.25, 0.04, 1.0, 1.1)


def test_bases_and_sensitivities_can_be_set_one_by_one():
    asked = {"style": {"temperature": 1.0, "top_p": 0.9}, "sensitivity": {"cfg_weight": -0.2, "top_p": -0.5}}
    assert style(0.0, preset="narration", **asked) == (0.55, 0.5, 1.0, 0.05, 0.9, 1.2)
    assert style(0.5, preset="narration", **asked) == (0.65, 0.4, 1.15, 0.055, 0.65, 1.2)


def test_of_how_many_tokens_one_is_drawn_is_a_whole_number_that_no_mood_moves():
    assert [style_for(mood, SpeechSettings(style={"top_k": 40})).top_k for mood in (-1.0, 0.0, 1.0)] == [40] * 3
    assert isinstance(style_for(0.5, SpeechSettings(style={"top_k": 40})).top_k, int)
    assert style_for(1.0, SpeechSettings()).top_k == 0  # as the model does


def test_speed_comes_from_the_settings():
    assert style_for(0.0, SpeechSettings(speed=1.25)).speed == 1.25


@pytest.mark.parametrize(
    ("smoothing", "weights"),
    [
        ("none", [(1,), (1,), (1,), (1,)]),
        ("rolling", [(1,), (1 / 2, 1 / 2), (1 / 3, 1 / 3, 1 / 3), (1 / 3, 1 / 3, 1 / 3)]),
        ("exp_decay", [(1,), (5 / 8, 3 / 8), (0.5, 0.3, 0.2), (0.5, 0.3, 0.2)]),
    ],
)
def test_smoothing_over_the_last_three(smoothing, weights):
    texts = ["I love it.", "It is awful.", "A chair.", "Great joy!"]
    sentiment = Sentiment(SpeechSettings(smoothing=smoothing))
    made = [sentiment.next(text) for text in texts]
    raw = [one for one, _ in made]
    assert raw[0] > 0 > raw[1]
    for at, (_, compound) in enumerate(made):
        newest_first = raw[: at + 1][::-1]
        assert compound == pytest.approx(sum(w * r for w, r in zip(weights[at], newest_first, strict=False)))
