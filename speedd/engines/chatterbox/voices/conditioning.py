"""Voices: from any audio file that somebody drops to what T3 and S3Gen are shown of it, computed once and kept."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from speedd.engines.chatterbox.families import Family
from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.voices.sample import read_sample
from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.model import Voice, Waveform

FORM = 1
"""Raised when the same sample is prepared in another way."""
SAMPLE_RATE_HZ = 24_000
IN_MEMORY = 8


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the model is shown of a voice. Nothing changes it: neither T3 nor S3Gen writes into it."""

    digest: str
    """Of the voice, as `Voice.digest`."""
    speaker: Tensor
    """float32 ``[1, 256]``."""
    prompt_tokens: Tensor
    """Speech tokens for T3, int64 ``[1, tokens]``."""
    reference: Mapping[str, Tensor]
    """For S3Gen: ``prompt_token`` int64 ``[1, n]``, ``prompt_feat`` float32 ``[1, 2n, 80]``, ``embedding``
    float32 ``[1, 192]``."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The parts of chatterbox-tts that listen to a sample. They stay on the CPU."""

    voice_encoder: Any
    s3gen: Any


class Voices:
    """Prepares voices and keeps them.

    Args:
        family: the model.
        model_digest: of its weights.
        built_in: file of the model's own voice.
        folder: where prepared voices are kept; None: nowhere.
        listener: called when a sample has to be listened to.
    """

    def __init__(
        self, family: Family, model_digest: str, built_in: Path, folder: Path | None, listener: Callable[[], Listener]
    ) -> None:
        self._family = family
        self._model_digest = model_digest
        self._built_in = built_in
        self._folder = folder
        self._listener = listener
        self._ready: dict[str, Conditioning] = {}

    def get(self, voice: Voice) -> Conditioning:
        """Return a voice, prepared.

        Raises:
            VoiceError: if its sample cannot be used; says why.
            EngineError: if what belongs to the model cannot be read: its own voice, or what listens to a sample.
        """
        if voice.digest in self._ready:
            return self._ready[voice.digest]
        if voice.path is None:
            found = read_conditioning(self._built_in, voice.digest)
        else:
            found = self._kept(voice) or self._prepared(voice, voice.path)
        while len(self._ready) >= IN_MEMORY:
            self._ready.pop(next(iter(self._ready)))
        self._ready[voice.digest] = found
        return found

    def _prepared(self, voice: Voice, path: Path) -> Conditioning:
        wave = read_sample(path, least_s=self._family.least_sample_s, target_lufs=self._family.target_lufs)
        found = listen(wave, voice.digest, self._family, self._listener())
        self._keep(found)
        return found

    def _path(self, digest: str) -> Path | None:
        name = hashlib.sha256(f"{FORM} {digest} {self._model_digest}".encode()).hexdigest()
        return self._folder / f"{name}.safetensors" if self._folder else None

    def _kept(self, voice: Voice) -> Conditioning | None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._path(voice.digest)
        if path is None or not path.is_file():
            return None
        try:
            kept = load_file(path)
            reference = {name: kept[name] for name in ("prompt_token", "prompt_feat", "embedding")}
            return Conditioning(voice.digest, kept["speaker"], kept["prompt_tokens"], reference)
        except (OSError, KeyError, SafetensorError):  # prepared anew, and written over
            return None

    def _keep(self, found: Conditioning) -> None:
        from safetensors.torch import save

        from speedd.engines.chatterbox.weights.files import keep

        if (path := self._path(found.digest)) is not None:
            tensors = {"speaker": found.speaker, "prompt_tokens": found.prompt_tokens, **found.reference}
            keep(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def read_conditioning(path: Path, digest: str) -> Conditioning:
    """Read a voice as chatterbox-tts saves it (``conds.pt``).

    Raises:
        EngineError: if it cannot be read.
    """
    fault = f"The model's own voice in {path} cannot be read"
    hint = "Get the file again: `speedd check --download` does, unless [engines.chatterbox] weights names a folder."
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        return _conditioning(digest, kept["t3"], kept["gen"])
    except KeyError as error:
        raise EngineError(f"{fault}: it lacks {error.args[0]}.", hint=hint) from error
    except (OSError, UnpicklingError) as error:
        raise EngineError(f"{fault}: {error}.", hint=hint) from error
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise EngineError(f"{fault}: it holds something else.", hint=hint) from error


def listen(wave: Waveform, digest: str, family: Family, listener: Listener) -> Conditioning:
    """Let the model listen to a sample, by chatterbox-tts's own code.

    Args:
        wave: float32 mono at 24 kHz.
        digest: of the voice.
        family: the model.
        listener: its ears.
    """
    import soundfile

    if family.backbone == "gpt2":
        from chatterbox.tts_turbo import ChatterboxTurboTTS as Stock

        also = {"norm_loudness": False}  # done when the sample was read
    else:
        from chatterbox.tts import ChatterboxTTS as Stock

        also = {}
    # `prepare_conditionals` needs four parts of its object; a whole one would load T3 a second time.
    stock = SimpleNamespace(
        s3gen=listener.s3gen,
        ve=listener.voice_encoder,
        t3=SimpleNamespace(hp=SimpleNamespace(speech_cond_prompt_len=family.speaker_prompt_tokens)),
        device="cpu",
        ENC_COND_LEN=Stock.ENC_COND_LEN,
        DEC_COND_LEN=Stock.DEC_COND_LEN,
    )
    with tempfile.NamedTemporaryFile(suffix=".wav") as file, torch.inference_mode(), quietly():
        soundfile.write(file.name, wave, SAMPLE_RATE_HZ, subtype="FLOAT")
        Stock.prepare_conditionals(stock, file.name, **also)
        return _conditioning(digest, vars(stock.conds.t3), stock.conds.gen)


def _conditioning(digest: str, t3: Mapping[str, Any], gen: Mapping[str, Any]) -> Conditioning:
    def own(value: Any, dtype: torch.dtype) -> Tensor:
        tensor = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        return tensor.detach().to("cpu", dtype).clone()

    reference = {
        "prompt_token": own(gen["prompt_token"], torch.int64),
        "prompt_feat": own(gen["prompt_feat"], torch.float32),
        "embedding": own(gen["embedding"], torch.float32),
    }
    speaker = own(t3["speaker_emb"], torch.float32).view(1, -1)
    return Conditioning(digest, speaker, own(t3["cond_prompt_speech_tokens"], torch.int64), reference)
