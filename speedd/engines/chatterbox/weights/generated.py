"""Checkpoints of random numbers in the published layout: for tests (tiny) and for benchmarks (full size).

They speak noise. A file ``speedd.json`` beside them says that they were generated, and what their tensors do not tell.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from chatterbox.models.s3gen.configs import CFM_PARAMS
from chatterbox.models.s3gen.const import S3GEN_SR
from chatterbox.models.s3gen.decoder import ConditionalDecoder
from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor
from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec
from chatterbox.models.s3gen.flow_matching import CausalConditionalCFM
from chatterbox.models.s3gen.hifigan import HiFTGenerator
from chatterbox.models.s3gen.s3gen import S3Token2Wav
from chatterbox.models.s3gen.transformer.upsample_encoder import UpsampleConformerEncoder
from chatterbox.models.s3gen.utils.mel import mel_spectrogram
from chatterbox.models.s3gen.xvector import CAMPPlus
from chatterbox.models.s3tokenizer import S3Tokenizer
from chatterbox.models.voice_encoder import VoiceEncoder
from s3tokenizer.model_v2 import ModelConfig, S3TokenizerV2
from torch import Tensor, nn

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
from speedd.engines.chatterbox.weights.files import DECLARATION

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
    heads: int
    mlp: int
    positions: int = 8196
    """GPT-2 alone: how many it knows."""


TINY = Size("tiny", 64, 2, 4, 128, positions=2048)
TINY_NANO = Size("tiny", 48, 3, 3, 192, positions=2048)
"""Not turbo's tiny size, as nano is not turbo's size."""
FULL: Mapping[str, Size] = {
    "english": Size("full", 1024, 30, 16, 4096),
    "multilingual": Size("full", 1024, 30, 16, 4096),
    "multilingual-v3": Size("full", 1024, 30, 16, 4096),
    "turbo": Size("full", 1024, 24, 16, 4096),
    "nano": Size("full", 768, 12, 12, 3072),
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
        s3gen = S3Token2Wav(meanflow=family.meanflow) if size.name == "full" else SmallS3Gen(meanflow=family.meanflow)
        # Random weights would clip; a fiftieth of it is about as loud as speech.
        s3gen.mel2wav.conv_post.parametrizations.weight.original0 *= 0.02
        _save(_tensors(s3gen), folder / family.files.s3gen)
        torch.save(_voice(family, reference_s), folder / family.files.conditionals)
    (_write_pieces if family.backbone == "gpt2" else _write_graphemes)(folder, family)
    said = {"generated": seed, "size": size.name, "heads": size.heads}
    (folder / DECLARATION).write_text(json.dumps(said), encoding="utf-8")


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
    from safetensors.torch import save_file

    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)


def _write_graphemes(folder: Path, family: Family) -> None:
    """Write a tokenizer with the ids that T3 relies on; letters, and some pairs of them."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

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
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="[UNK]"))  # noqa: S106
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / family.files.tokenizer))


def _write_pieces(folder: Path, _: Family) -> None:
    """Write a tokenizer of bytes, padded to turbo's size."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

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


class SmallS3Gen(S3Token2Wav):  # type: ignore[misc]
    """S3Gen with a hundredth of its weights: every part and every stride of the real one, with fewer channels."""

    def __init__(self, *, meanflow: bool) -> None:
        nn.Module.__init__(self)  # the parents' constructors build the full size
        self.tokenizer = _SmallTokenizer()
        self.mel_extractor = mel_spectrogram
        self.speaker_encoder = CAMPPlus(memory_efficient=False, growth_rate=4, bn_size=1, init_channels=16)
        self.meanflow = meanflow
        encoder = UpsampleConformerEncoder(
            output_size=512,
            attention_heads=8,
            linear_units=64,
            num_blocks=1,
            input_layer="linear",
            pos_enc_layer_type="rel_pos_espnet",
            selfattention_layer_type="rel_selfattn",
            input_size=512,
            use_cnn_module=False,
            macaron_style=False,
        )
        estimator = ConditionalDecoder(
            in_channels=320,
            out_channels=80,
            causal=True,
            channels=[32],
            dropout=0.0,
            attention_head_dim=16,
            n_blocks=1,
            num_mid_blocks=1,
            num_heads=2,
            act_fn="gelu",
            meanflow=meanflow,
        )
        decoder = CausalConditionalCFM(spk_emb_dim=80, cfm_params=CFM_PARAMS, estimator=estimator)
        self.flow = CausalMaskedDiffWithXvec(encoder=encoder, decoder=decoder)
        self.resamplers: dict[str, Any] = {}
        self.mel2wav = HiFTGenerator(
            sampling_rate=S3GEN_SR,
            base_channels=64,
            upsample_rates=[8, 5, 3],
            upsample_kernel_sizes=[16, 11, 7],
            source_resblock_kernel_sizes=[7, 7, 11],
            source_resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5], [1, 3, 5]],
            f0_predictor=ConvRNNF0Predictor(cond_channels=16),
        )
        quiet = S3GEN_SR // 50
        fade = torch.zeros(2 * quiet)
        fade[quiet:] = (torch.cos(torch.linspace(torch.pi, 0, quiet)) + 1) / 2
        self.register_buffer("trim_fade", fade, persistent=False)
        self.estimator_dtype = "fp32"


class _SmallTokenizer(S3Tokenizer):  # type: ignore[misc]
    def __init__(self) -> None:
        from librosa.filters import mel

        # The parent takes a configuration and does not hand it on.
        config = ModelConfig(n_audio_state=64, n_audio_head=1, n_audio_layer=1)
        S3TokenizerV2.__init__(self, "speech_tokenizer_v2_25hz", config)
        self.n_fft = 400
        filters = mel(sr=16_000, n_fft=self.n_fft, n_mels=config.n_mels)
        self.register_buffer("_mel_filters", torch.tensor(filters))
        self.register_buffer("window", torch.hann_window(self.n_fft))


if __name__ == "__main__":
    order, result = map(Path, sys.argv[1:])
    asked = json.loads(order.read_text(encoding="utf-8"))
    tiny = asked.pop("size", "full") == TINY.name
    generate(Path(asked.pop("folder")), asked.pop("model"), TINY if tiny else None, **asked)
    result.write_text("{}", encoding="utf-8")
