"""Text into T3's text tokens, by the tokenizers of chatterbox-tts, and which word each token belongs to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speedd.engines.chatterbox.families import START_TEXT, STOP_TEXT
from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.engines.chatterbox.weights.files import Weights

CHANGE = "The text can be changed: `speedd plan` writes it down."
UNKNOWN_SHARE = 0.3
"""A text of whose tokens more than this are unknown would be spoken as something else."""


@dataclass(frozen=True, slots=True)
class TextTokens:
    """A text as T3 reads it."""

    ids: tuple[int, ...]
    """With the start and stop tokens around, for the models that have them."""
    words: tuple[str, ...]
    """As they are spoken, punctuation included."""
    word_of: tuple[int, ...]
    """For each id the index of its word."""


SEGMENTER_MODEL = "spacy_ontonotes.zip"
"""What spacy_pkuseg fetches when it is first used, and where it is gone fetches again."""


def text_tools(environment: Mapping[str, str]) -> str:
    """Name what the multilingual model's tokenizer asks about Chinese words and Japanese readings, where it is there.

    A segmenter without its model counts as missing: it would fetch it in the middle of a job.
    """
    found = ["pykakasi"] * (find_spec("pykakasi") is not None)
    home = Path(environment.get("PKUSEG_HOME") or "~/.pkuseg").expanduser()
    if find_spec("spacy_pkuseg") is not None and (home / SEGMENTER_MODEL).is_file():
        found.append("pkuseg")
    return ", ".join(found)


Encode = Callable[[str, str], "list[int]"]
"""Takes a text, its punctuation made plain, and a language."""


class TextTokenizer:
    """Turns texts into tokens; one for each model.

    Args:
        weights: the model's files.
    Raises:
        EngineError: if the tokenizer cannot be loaded.
    """

    def __init__(self, weights: Weights) -> None:
        self._family = weights.family
        load = _word_pieces if weights.family.backbone == "gpt2" else _graphemes
        try:
            self._encode, self._plain, self._unknown, self._space = load(weights)
        except Exception as error:  # the tokenizers library raises nothing narrower
            raise EngineError(
                f"The tokenizer in {weights.folder} cannot be loaded: {str(error) or type(error).__name__}.",
                hint=f"Get {weights.family.files.tokenizer} again: it belongs to another model, or is damaged.",
            ) from error

    def tokens(self, text: str, language: str, most: int) -> TextTokens:
        """Turn a text into at most so many tokens.

        Raises:
            EngineError: if the model cannot speak this text; says why.
        """
        plain = self._plain(text)
        try:
            ids = self._encode(plain, language)
        except (UnicodeError, TypeError, ValueError) as error:
            raise EngineError("The text holds characters that no tokenizer takes.", hint=CHANGE) from error
        unknown = sum(token == self._unknown for token in ids)
        if not ids or unknown > UNKNOWN_SHARE * len(ids):
            raise EngineError(
                f"Chatterbox {self._family.name} does not know {unknown} of the text's {len(ids)} characters.",
                hint=f"Another [engines.chatterbox] model may. {CHANGE}",
            )
        words = tuple(plain.split())
        word_of = self._word_of(ids, words)
        if self._family.backbone == "llama":
            ids, word_of = [START_TEXT, *ids, STOP_TEXT], [0, *word_of, len(words) - 1]
        if len(ids) > most:
            raise EngineError(
                f"The text is too long for Chatterbox: {len(ids)} tokens, and {most} are the most.", hint=CHANGE
            )
        return TextTokens(tuple(ids), words, tuple(word_of))

    def _word_of(self, ids: list[int], words: tuple[str, ...]) -> list[int]:
        """Count words by their spaces; where a model marks none, spread them evenly."""
        last = len(words) - 1
        if self._space is None:
            return [min(last, at * len(words) // len(ids)) for at in range(len(ids))]
        found, word = [], 0
        for token in ids:
            found.append(min(last, word))
            word += token == self._space
        return found


_Loaded = tuple[Encode, Callable[[str], str], "int | None", "int | None"]


def _graphemes(weights: Weights) -> _Loaded:
    """Load the tokenizer of the English or the multilingual model."""
    from chatterbox import mtl_tts, tts
    from chatterbox.models.tokenizers import EnTokenizer

    path = weights.path(weights.family.files.tokenizer)
    english = EnTokenizer(str(path))
    vocabulary = english.tokenizer.get_vocab()
    known = vocabulary.get("[UNK]"), vocabulary.get("[SPACE]")
    if len(weights.family.languages) == 1:
        return lambda text, _: list(english.encode(text)), tts.punc_norm, *known
    multilingual = _multilingual(weights, english.tokenizer)
    return lambda text, language: list(multilingual.encode(text, language_id=language)), mtl_tts.punc_norm, *known


def _multilingual(weights: Weights, vocabulary: Any) -> Any:
    """Make chatterbox-tts's multilingual tokenizer without its constructor, which would fetch a file from the hub."""
    from chatterbox.models.tokenizers.tokenizer import ChineseCangjieConverter, MTLTokenizer

    tokenizer = MTLTokenizer.__new__(MTLTokenizer)
    tokenizer.tokenizer = vocabulary
    converter = ChineseCangjieConverter.__new__(ChineseCangjieConverter)
    converter.word2cj, converter.cj2word, converter.segmenter = {}, {}, None
    if "pkuseg" in text_tools(os.environ):
        converter._init_segmenter()  # noqa: SLF001
    codes = weights.path("Cangjie5_TC.json")
    for entry in json.loads(codes.read_text(encoding="utf-8")) if codes.is_file() else ():
        character, code = entry.split("\t")[:2]
        converter.word2cj[character] = code
        converter.cj2word.setdefault(code, []).append(character)
    tokenizer.cangjie_converter = converter
    return tokenizer


def _word_pieces(weights: Weights) -> _Loaded:
    """Load the tokenizer of turbo or nano."""
    from chatterbox.tts_turbo import punc_norm
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(weights.folder), local_files_only=True)
    return lambda text, _: list(tokenizer(text).input_ids), punc_norm, tokenizer.unk_token_id, None
