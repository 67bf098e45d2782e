"""Checkpoints of random numbers in the published layout: for tests (tiny) and for benchmarks (full size).

They speak noise. A file ``generated.json`` beside them says from what seed and in what size they were generated. S3Gen
has one size; a process that is to speak with tiny weights calls `accept_tiny_weights` first.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from chatterbox.models.s3gen import s3gen as stock
from chatterbox.models.voice_encoder import VoiceEncoder
from s3tokenizer import model_v2
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from torch import Tensor, nn

from chatterbox_bench.order import DECLARATION
from speedd.engines.chatterbox.families import (
    FAMILIES,
    MULTILINGUAL,
    SPEAKER_CHANNELS,
    START_SPEECH,
    START_TEXT,
    STOP_SPEECH,
    STOP_TEXT,
    Family,
)
from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.t3.backbone import HEAD_DIM
from speedd.engines.chatterbox.weights import loading
from speedd.engines.chatterbox.weights.files import Weights

_FULL = loading.empty_s3gen
ENGLISH_TEXT, MULTILINGUAL_TEXT, PIECES_TEXT = 704, 2454, 50276
LLAMA_SPEECH, GPT_SPEECH = 8194, 6563
LOGIT_STD = 2.5
"""Logits as peaked as a trained model's: flat ones would hide faults of sampling."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a T3 is."""

    name: str
    channels: int
    layers: int
    mlp: int
    positions: int = 8196
    """GPT-2 alone: how many it knows."""

    @property
    def heads(self) -> int:
        """Of attention, in each layer."""
        return self.channels // HEAD_DIM


TINY = Size("tiny", 128, 2, 192, positions=2048)
TINY_NANO = Size("tiny", 192, 3, 768, positions=2048)
"""Not turbo's tiny size, as nano is not turbo's size."""
FULL: Mapping[str, Size] = {
    "english": Size("full", 1024, 30, 4096),
    "multilingual": Size("full", 1024, 30, 4096),
    "multilingual-v3": Size("full", 1024, 30, 4096),
    "turbo": Size("full", 1024, 24, 4096),
    "nano": Size("full", 768, 12, 3072),
}


def generate(
    folder: Path,
    model: str,
    size: Size | None = None,
    *,
    seed: int = 0,
    mean_tokens: int = 0,
    reference_s: float = 10.0,
) -> None:
    """Write a checkpoint.

    Args:
        folder: made if it is not there.
        model: a name in `FAMILIES`.
        size: of T3, and S3Gen is small unless it is full; None for full.
        seed: of the random numbers.
        mean_tokens: about when T3 stops; 0: never.
        reference_s: length of the built-in voice's reference.
    """
    family = FAMILIES[model]
    size = size or FULL[model]
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), quietly():
        torch.manual_seed(seed)
        _save(t3_tensors(family, size, generator, mean_tokens), folder / family.files.t3)
        _save(_tensors(VoiceEncoder()), folder / family.files.voice_encoder)
        s3gen = (stock.S3Token2Wav if size.name == "full" else small_s3gen)(meanflow=family.meanflow)
        # Random weights would clip; a fiftieth of it is about as loud as speech.
        s3gen.mel2wav.conv_post.parametrizations.weight.original0 *= 0.02
        _save(_tensors(s3gen), folder / family.files.s3gen)
        torch.save(_voice(family, reference_s), folder / family.files.conditionals)
    (_write_pieces if family.backbone == "gpt2" else _write_graphemes)(folder, family)
    # Written last: where it is, the weights are complete.
    (folder / DECLARATION).write_text(json.dumps({"seed": seed, "size": size.name}), encoding="utf-8")


def t3_tensors(family: Family, size: Size, generator: torch.Generator, mean_tokens: int = 0) -> dict[str, Tensor]:
    """Make T3's tensors by name."""
    made: dict[str, Tensor] = {}
    for name, shape in t3_shapes(family, size):
        plain = name.rsplit(".", 2)[-2:]
        if plain[-1] == "bias":
            made[name] = torch.zeros(shape)
        elif len(shape) == 1:
            made[name] = torch.ones(shape)
        else:
            made[name] = torch.randn(shape, generator=generator) * (
                0.02 if "emb" in name or "wpe" in name else 1 / math.sqrt(size.channels)
            )
    _plant(made, size, generator, mean_tokens)
    return made


def t3_shapes(family: Family, size: Size) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of T3's tensors, as chatterbox-tts's `T3` has them."""
    c, llama = size.channels, family.backbone == "llama"
    text = PIECES_TEXT if not llama else ENGLISH_TEXT if len(family.languages) == 1 else MULTILINGUAL_TEXT
    speech = LLAMA_SPEECH if llama else GPT_SPEECH
    yield from _matrix("cond_enc.spkr_enc", c, SPEAKER_CHANNELS)
    yield from (("text_emb.weight", (text, c)), ("speech_emb.weight", (speech, c)), ("text_head.weight", (text, c)))
    yield "speech_head.weight", (speech, c)
    if llama:
        yield "text_pos_emb.emb.weight", (2050, c)
        yield "speech_pos_emb.emb.weight", (4100, c)
        yield "cond_enc.emotion_adv_fc.weight", (c, 1)
        yield "cond_enc.perceiver.pre_attention_query", (1, 32, c)
        yield from (("cond_enc.perceiver.attn.norm.weight", (c,)), ("cond_enc.perceiver.attn.norm.bias", (c,)))
        for part in ("to_q", "to_k", "to_v", "proj_out"):
            yield from _matrix(f"cond_enc.perceiver.attn.{part}", c, c)
        yield from (("tfmr.embed_tokens.weight", (8, c)), ("tfmr.norm.weight", (c,)))
        for n in range(size.layers):
            base = f"tfmr.layers.{n}"
            yield from ((f"{base}.self_attn.{part}_proj.weight", (c, c)) for part in "qkvo")
            yield from ((f"{base}.mlp.{part}_proj.weight", (size.mlp, c)) for part in ("gate", "up"))
            yield f"{base}.mlp.down_proj.weight", (c, size.mlp)
            yield from ((f"{base}.{part}_layernorm.weight", (c,)) for part in ("input", "post_attention"))
        return
    yield "speech_head.bias", (speech,)
    yield from (("tfmr.wte.weight", (text, c)), ("tfmr.wpe.weight", (size.positions, c)))
    for norm in ("tfmr.ln_f", *(f"tfmr.h.{n}.ln_{m}" for n in range(size.layers) for m in (1, 2))):
        yield from ((f"{norm}.weight", (c,)), (f"{norm}.bias", (c,)))
    for n in range(size.layers):
        for part, n_in, n_out in (
            ("attn.c_attn", c, 3 * c),
            ("attn.c_proj", c, c),
            ("mlp.c_fc", c, 4 * c),
            ("mlp.c_proj", 4 * c, c),
        ):
            yield from _matrix(f"tfmr.h.{n}.{part}", n_in, n_out, bias=n_out)


def _matrix(name: str, *shape: int, bias: int = 0) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", (bias or shape[0],)


def _plant(made: dict[str, Tensor], size: Size, generator: torch.Generator, mean_tokens: int) -> None:
    """Peak the logits, and let the stop token take over after about so many steps."""
    head = made["speech_head.weight"]
    head *= LOGIT_STD
    head[START_SPEECH:] = 0.0  # a trained model never draws the unused ones
    positions = made.get("speech_pos_emb.emb.weight")
    if positions is None:  # turbo has no learned positions: the same chance at every step
        made["speech_head.bias"][STOP_SPEECH] = (
            LOGIT_STD**2 / 2 + math.log(len(head) / mean_tokens) if mean_tokens else -1e4
        )
    elif mean_tokens:
        direction = nn.functional.normalize(torch.randn(size.channels, generator=generator), dim=0)
        ramp = ((torch.arange(len(positions)) - 0.6 * mean_tokens) / (0.4 * mean_tokens)).clamp(0, 3)
        positions += ramp[:, None] * direction * 0.25 * math.sqrt(size.channels)
        head[STOP_SPEECH] = direction * 32.0 / math.sqrt(size.channels)


def _voice(family: Family, reference_s: float) -> dict[str, Any]:
    """Make up a voice in the form of ``conds.pt``."""
    tokens = round(25 * reference_s)
    return {
        "t3": {
            "speaker_emb": nn.functional.normalize(torch.rand(1, SPEAKER_CHANNELS), dim=1),
            "clap_emb": None,
            "cond_prompt_speech_tokens": torch.randint(0, START_SPEECH, (1, family.speaker_prompt_tokens)),
            "cond_prompt_speech_emb": None,
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": torch.randint(0, START_SPEECH, (1, tokens)),
            "prompt_token_len": torch.tensor([tokens]),
            "prompt_feat": torch.randn(1, 2 * tokens, 80) * 2 - 5,
            "prompt_feat_len": None,
            "embedding": torch.randn(1, 192),
        },
    }


def _tensors(module: Any) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()}


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)


def _write_graphemes(folder: Path, family: Family) -> None:
    """Write a tokenizer with the ids that T3 relies on; letters, and some pairs of them."""
    size = ENGLISH_TEXT if len(family.languages) == 1 else MULTILINGUAL_TEXT
    merges = [
        (pair[0], pair[1])
        for pair in ["th", "he", "an", "in", "er", "ou", "re", "on", "en", "at", "st", "is", "or", "ed"]
    ]
    vocabulary = {"[STOP]": STOP_TEXT, "[UNK]": 1, "[SPACE]": 2, "[START]": START_TEXT}
    special = [*vocabulary, *(f"[{language}]" for language in MULTILINGUAL if size == MULTILINGUAL_TEXT)]
    letters = [*map(chr, range(33, 127)), *"éèàçüößñ£€̧́̀̈̃ı"]
    free = (number for number in range(3, size) if number != START_TEXT)
    for piece in (*special[4:], *letters, *("".join(pair) for pair in merges)):
        vocabulary.setdefault(piece, next(free))
    vocabulary |= {f"<unused{number}>": number for number in free}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="[UNK]"))
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / family.files.tokenizer))


def _write_pieces(folder: Path, _: Family) -> None:
    """Write a tokenizer of bytes, padded to turbo's size."""
    vocabulary = {char: number for number, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {f"<unused{number}>": number for number in range(len(vocabulary), PIECES_TEXT - 1)}
    end = "<|endoftext|>"
    tokenizer = Tokenizer(BPE(vocab=vocabulary | {end: PIECES_TEXT - 1}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([end])
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end, "model_max_length": 1024}
    (folder / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")


class _SmallTokenizer(stock.S3Tokenizer):
    def __init__(self, name: str) -> None:
        config = model_v2.ModelConfig(n_audio_state=64, n_audio_head=1, n_audio_layer=1)
        with mock.patch.object(model_v2.S3TokenizerV2.__init__, "__defaults__", (config,)):
            super().__init__(name)


def small_s3gen(meanflow: bool = False) -> Any:
    """Build stock's S3Gen with a hundredth of its weights: every part and every stride, with fewer channels."""
    small = {
        "S3Tokenizer": _SmallTokenizer,
        "CAMPPlus": partial(stock.CAMPPlus, growth_rate=4, bn_size=1, init_channels=16),
        "UpsampleConformerEncoder": _forced(stock.UpsampleConformerEncoder, num_blocks=1, linear_units=64),
        "ConditionalDecoder": _forced(
            stock.ConditionalDecoder, channels=[32], n_blocks=1, num_mid_blocks=1, num_heads=3, attention_head_dim=16
        ),
        "HiFTGenerator": partial(stock.HiFTGenerator, base_channels=64),
        "ConvRNNF0Predictor": partial(stock.ConvRNNF0Predictor, cond_channels=16),
    }
    with ExitStack() as stack:
        for name, made in small.items():
            stack.enter_context(mock.patch.object(stock, name, made))
        return stock.S3Token2Wav(meanflow=meanflow)


def _forced(made: Any, **forced: Any) -> Any:
    return lambda **given: made(**{**given, **forced})


def accept_tiny_weights() -> None:
    """From now on the engine in this process builds S3Gen in the size that generated weights declare."""
    loading.empty_s3gen = _as_declared


def _as_declared(weights: Weights) -> Any:
    declaration = weights.path(DECLARATION)
    said = json.loads(declaration.read_text(encoding="utf-8")) if declaration.is_file() else {}
    return small_s3gen(weights.family.meanflow) if said.get("size") == TINY.name else _FULL(weights)


if __name__ == "__main__":
    order, result = map(Path, sys.argv[1:])
    asked = json.loads(order.read_text(encoding="utf-8"))
    tiny = asked.pop("size", "full") == TINY.name
    generate(Path(asked.pop("folder")), asked.pop("model"), TINY if tiny else None, **asked)
    result.write_text("{}", encoding="utf-8")
