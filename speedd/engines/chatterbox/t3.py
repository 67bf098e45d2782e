"""T3: text tokens and a voice in, speech tokens out. Its parts as loaded from a checkpoint, ready for one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from speedd.engines.chatterbox.backbone import Backbone, Gpt, Llama, activation_dtype
from speedd.engines.chatterbox.families import Family
from speedd.engines.chatterbox.linear import make_linear
from speedd.engines.chatterbox.quiet import quietly
from speedd.errors import EngineError

if TYPE_CHECKING:
    from speedd.engines.chatterbox.voices import Conditioning

MAPPED_BYTES = 200_000_000
"""What is read from a file before it is mapped anew."""


class TensorFile(Mapping[str, Tensor]):
    """The tensors of a checkpoint's file by name; read from the disk when they are asked for, each into its own memory.

    A gigabyte of weights is never in memory as a whole: what was read through a mapping counts as this process's own
    until the mapping ends, so the file is mapped anew every so often.

    Raises:
        EngineError: if it cannot be read. A missing tensor raises one too, and names it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._read = self._mapped()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise EngineError(
                f"{self._path} holds no tensor {name}: it belongs to another model, or is damaged.",
                hint="Check [chatterbox] model, or get the file again.",
            )
        if self._read_bytes > MAPPED_BYTES:
            self._read_bytes = 0
            self._read = self._mapped()
        tensor = self._read(name).clone()
        self._read_bytes += tensor.nbytes
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors below a prefix, by the rest of their names."""
        return {name.removeprefix(prefix): self[name] for name in self if name.startswith(prefix)}

    def _mapped(self) -> Callable[[str], Tensor]:
        """Map the file and note the names of its tensors; returns what reads one."""
        from safetensors import SafetensorError, safe_open

        try:
            if self._path.suffix == ".safetensors":
                file = safe_open(self._path, "pt").__enter__()  # it ends with the last tensor that was read from it
                self._names = frozenset(file.keys())
                read: Callable[[str], Tensor] = file.get_tensor
                return read
            tensors = torch.load(self._path, map_location="cpu", weights_only=True, mmap=True)
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise EngineError(f"{self._path} cannot be read: {error}.", hint="Fetch it again.") from error
        self._names = frozenset(tensors)
        return lambda name: tensors[name]


class T3:
    """T3's embeddings, transformer and head on one device. Nothing of it ever changes.

    Args:
        weights: the tensors of its file.
        family: which model it is.
        length: the longest row, in positions.
        precision: of transformer and head.
        device: where it runs.
        heads: attention heads, 0 for as many as published models have.
    """

    def __init__(
        self, weights: TensorFile, family: Family, *, length: int, precision: str, device: str, heads: int = 0
    ) -> None:
        self.family = family
        self.device = device
        self.precision = precision
        self.channels = int(weights["speech_emb.weight"].size(1))
        self.vocabulary = int(weights["speech_head.weight"].size(0))
        dtype = activation_dtype(precision)

        def table(name: str) -> Tensor | None:
            return weights[name].to(device, dtype) if name in weights else None

        self.text_table = weights["text_emb.weight"].to(device, dtype)
        self.speech_table = weights["speech_emb.weight"].to(device, dtype)
        self.text_positions = table("text_pos_emb.emb.weight")
        self.speech_positions = table("speech_pos_emb.emb.weight")
        if family.backbone == "llama":
            missing = {"text_pos_emb.emb.weight", "speech_pos_emb.emb.weight"} - set(weights)
            for name in missing:
                weights[name]  # raises, and names it
        self.backbone: Backbone = (
            Llama(
                weights,
                _inverse_frequencies(int(weights["tfmr.norm.weight"].size(0)), heads),
                length=length,
                precision=precision,
                device=device,
                heads=heads,
            )
            if family.backbone == "llama"
            else Gpt(weights, precision=precision, device=device, heads=heads)
        )
        bias = weights["speech_head.bias"] if family.backbone == "gpt2" else None
        self.head = make_linear(weights["speech_head.weight"], bias, precision=precision, device=device)
        self._condition = _conditioner(weights, self.channels, family)

    @property
    def text_length(self) -> int:
        """The longest text, in tokens."""
        return int(self.text_positions.size(0)) if self.text_positions is not None else 1024

    def prefix(self, voice: Conditioning, exaggeration: float) -> Tensor:
        """Return what T3 sees before the text, ``[positions, channels]``: speaker, prompt, emotion."""
        from chatterbox.models.t3.modules.cond_enc import T3Cond

        with torch.inference_mode(), quietly():
            prompt = self.speech_table[voice.prompt_tokens.to(self.device)].float().cpu()
            if self.speech_positions is not None:
                prompt = prompt + self.speech_positions[: prompt.size(1)].float().cpu()
            condition = T3Cond(
                speaker_emb=voice.speaker,
                cond_prompt_speech_tokens=voice.prompt_tokens,
                cond_prompt_speech_emb=prompt,
                emotion_adv=torch.full((1, 1, 1), exaggeration),
            )
            embedded: Tensor = self._condition(condition)[0]
        return embedded.to(self.device, self.speech_table.dtype)


def _conditioner(weights: TensorFile, channels: int, family: Family) -> Any:
    """Build chatterbox-tts's `T3CondEnc` in the size of the weights. It stays on the CPU, in fp32: it runs once."""
    from chatterbox.models.t3.modules.cond_enc import T3CondEnc
    from chatterbox.models.t3.modules.perceiver import Perceiver

    state = weights.part("cond_enc.")
    perceives = any(name.startswith("perceiver.") for name in state)
    shape = SimpleNamespace(
        encoder_type="voice_encoder",
        speaker_embed_size=weights["cond_enc.spkr_enc.weight"].size(1),
        n_channels=channels,
        emotion_adv="emotion_adv_fc.weight" in state,
        use_perceiver_resampler=False,
    )
    if family.backbone == "llama" and not (perceives and shape.emotion_adv):
        weights["cond_enc.perceiver.pre_attention_query"]
        weights["cond_enc.emotion_adv_fc.weight"]
    conditioner = T3CondEnc(shape)
    if perceives:  # its constructor knows one size only
        shape.use_perceiver_resampler = True
        conditioner.perceiver = Perceiver(pre_attention_query_size=channels, embedding_dim=channels)
    try:
        conditioner.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).split("\n\t")[1:2]
        raise EngineError(
            f"The weights of T3's conditioning do not fit: {''.join(first).rstrip('. ')}.",
            hint="Check [chatterbox] model, or get the file again.",
        ) from error
    return conditioner.eval().requires_grad_(requires_grad=False)


def _inverse_frequencies(channels: int, heads: int) -> Tensor:
    """Return Llama's rotary frequencies, stretched as its configuration says ("llama3")."""
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    described = dict(LLAMA_CONFIGS["Llama_520M"])
    if heads:
        described |= {"hidden_size": channels, "num_attention_heads": heads, "head_dim": channels // heads}
    frequencies: Tensor = LlamaRotaryEmbedding(LlamaConfig(**described)).inv_freq
    return frequencies
