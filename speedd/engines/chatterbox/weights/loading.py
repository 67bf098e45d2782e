"""Load a model's parts from its files, each as chatterbox-tts defines it."""

from __future__ import annotations

from typing import Any

from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.t3.decoder import row_length
from speedd.engines.chatterbox.t3.model import T3
from speedd.engines.chatterbox.weights.files import Weights
from speedd.engines.chatterbox.weights.tensor_file import TensorFile

_FILLED_BY_CONSTRUCTOR = ("tokenizer._mel_filters", "tokenizer.window")
"""Buffers that some checkpoints leave out because they are computed."""


def load_t3(weights: Weights, *, precision: str, device: str) -> T3:
    """Load T3.

    Raises:
        EngineError: if its file is damaged, lacks a tensor or has one of a wrong shape; names it.
    """
    family = weights.family
    tensors = TensorFile(weights.path(family.files.t3))
    return T3(tensors, family, length=row_length(family), precision=precision, device=device)


def empty_s3gen(weights: Weights) -> Any:
    """Build the S3Gen that weights are read into. chatterbox-tts knows one size of it."""
    from chatterbox.models.s3gen import S3Gen

    return S3Gen(meanflow=weights.family.meanflow)


def load_s3gen(weights: Weights, *, listens: bool) -> Any:
    """Load S3Gen on the CPU and in fp32.

    Args:
        weights: the model's files.
        listens: with the parts that listen to a sample, half of its weights; speaking needs none of them.
    Raises:
        EngineError: as `load_t3`.
    """
    with quietly():
        s3gen = empty_s3gen(weights)
    if not listens:
        del s3gen.tokenizer, s3gen.speaker_encoder
    TensorFile(weights.path(weights.family.files.s3gen)).fill(s3gen, may_lack=_FILLED_BY_CONSTRUCTOR)
    return s3gen.eval().requires_grad_(requires_grad=False)


def load_voice_encoder(weights: Weights) -> Any:
    """Load the encoder that knows a speaker, on the CPU.

    Raises:
        EngineError: as `load_t3`.
    """
    from chatterbox.models.voice_encoder import VoiceEncoder

    encoder = VoiceEncoder()
    TensorFile(weights.path(weights.family.files.voice_encoder)).fill(encoder)
    return encoder.eval().requires_grad_(requires_grad=False)
