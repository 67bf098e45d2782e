"""What the multilingual model's tokenizer may ask, and that it fetches nothing in a job."""

import sys

import pytest

from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.t3.text import SEGMENTER_MODEL, TextTokenizer, text_tools
from speedd.engines.chatterbox.weights.download import _fetch_segmenter
from speedd.engines.chatterbox.weights.files import find_weights

pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_engine import options

FAKE = """
import os
from pathlib import Path


class pkuseg:
    def __init__(self):
        home = Path(os.environ["PKUSEG_HOME"])
        if os.environ.get("OFFLINE"):
            raise OSError("the network is down")
        (home / "fetched").touch()
        (home / "spacy_ontonotes.zip").touch()

    def cut(self, text):
        return [text[at : at + 2] for at in range(0, len(text), 2)]
"""


@pytest.fixture
def segmenter(tmp_path, monkeypatch):
    """A spacy_pkuseg that notes when it fetches its model; returns its folder."""
    monkeypatch.delitem(sys.modules, "spacy_pkuseg", raising=False)
    package = tmp_path / "site" / "spacy_pkuseg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FAKE)
    monkeypatch.syspath_prepend(package.parent)
    home = tmp_path / "pkuseg"
    home.mkdir()
    monkeypatch.setenv("PKUSEG_HOME", str(home))
    yield home
    sys.modules.pop("spacy_pkuseg", None)


def tokenizer(checkpoint):
    return TextTokenizer(find_weights(FAMILIES["multilingual"], checkpoint("multilingual", mean_tokens=40), "", {}))


def test_a_segmenter_without_its_model_is_left_alone(checkpoint, segmenter):
    tokenizer(checkpoint)
    assert list(segmenter.iterdir()) == []
    assert "pkuseg" not in text_tools({"PKUSEG_HOME": str(segmenter)})


def test_a_segmenter_with_its_model_is_used_and_counts_as_numerics(checkpoint, segmenter):
    (segmenter / SEGMENTER_MODEL).touch()
    tokenizer(checkpoint)
    assert (segmenter / "fetched").exists()
    assert "pkuseg" in text_tools({"PKUSEG_HOME": str(segmenter)})


def test_setting_up_fetches_the_segmenters_model_and_says_if_it_cannot(segmenter, monkeypatch):
    assert "parts Chinese into words" in _fetch_segmenter()
    assert (segmenter / SEGMENTER_MODEL).exists()
    monkeypatch.setenv("OFFLINE", "1")
    assert _fetch_segmenter().endswith("cannot be fetched: the network is down")
    monkeypatch.setitem(sys.modules, "spacy_pkuseg", None)
    assert _fetch_segmenter() == ""


def test_what_is_there_for_chinese_and_japanese_is_part_of_the_numerics(checkpoint, segmenter):
    def numerics(model):
        weights = checkpoint(model, mean_tokens=40)
        return ChatterboxFactory().describe(options(weights, model=model, device="cpu")).numerics

    before = numerics("multilingual")
    (segmenter / SEGMENTER_MODEL).touch()
    assert numerics("multilingual") != before
    assert "text_tools" not in numerics("english")
