"""The forms an audiobook can have: what codes its sound and writes its file.

To add one, write a `Codec` in a module of its own, enter it here, and name it in ``OutputSettings.format`` and
``config/speedd.toml``. ``tests/audio/test_audio_codecs.py`` then holds it to what mastering relies on.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from speedd.audio.codecs.aac_m4b import AacM4b
from speedd.audio.codecs.base import ChapterMark, Codec, Labels
from speedd.config import OutputSettings

CODECS: Mapping[str, Callable[[int, OutputSettings], Codec]] = MappingProxyType({"m4b": AacM4b})
"""By ``[output] format``, which is also the suffix of the file; made for a sample rate in Hz."""

__all__ = ["CODECS", "ChapterMark", "Codec", "Labels"]
