"""The Chatterbox models, each as one entry: its files, its shape where the files do not tell it, what guards it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

ENGLISH = ("en",)
MULTILINGUAL = (
    "ar",
    "da",
    "de",
    "el",
    "en",
    "es",
    "fi",
    "fr",
    "he",
    "hi",
    "it",
    "ja",
    "ko",
    "ms",
    "nl",
    "no",
    "pl",
    "pt",
    "ru",
    "sv",
    "sw",
    "tr",
    "zh",
)

START_SPEECH, STOP_SPEECH = 6561, 6562
"""Ids of T3's own tokens; smaller ones are sounds of the S3 tokenizer, larger ones were never trained."""
START_TEXT, STOP_TEXT = 255, 0
SPEAKER_CHANNELS = 256
"""Of what tells a speaker to T3: the voice encoder's output."""
SILENCE = 4299
"""The S3 token of silence (`S3GEN_SIL`)."""
SPEECH_TOKENS_PER_SECOND = 25


@dataclass(frozen=True, slots=True)
class Guards:
    """When T3 is stopped, and when it is kept from stopping.

    The heads are those that chatterbox-tts 0.1.7 names (`LLAMA_ALIGNED_HEADS`). **All thresholds are uncalibrated**:
    nobody has heard yet what they do to real weights.
    """

    heads: tuple[tuple[int, int], ...] = ()
    """(layer, head) whose attention follows the text; their mean tells the position in it. None: no position."""
    tokens_per_char: float = 4.0
    tokens_least: int = 50
    """Speech tokens that a text may take: so many per character and so many besides. Speech takes about 1.8."""
    end_reach: int = 3
    """The text counts as finished when the position is among its last so many tokens."""
    tail_mass: float = 5.0
    """Attention that one of the last tokens may gather after the text is finished; 5 is 200 ms of looking at it."""
    back_mass: float = 5.0
    """Attention that what came before may gather after the text is finished, before it counts as said again."""
    same_token_run: int = 50
    """So many equal tokens in a row (2 s) are no speech and no pause any more."""
    loop_tokens: int = 12
    loop_times: int = 6
    """Up to so many tokens repeated so many times are a loop."""
    stall_steps: int = 125
    """A position that does not move for so many steps (5 s) before the end of the text is a stall."""


@dataclass(frozen=True, slots=True)
class Files:
    """The names of a model's files in its folder."""

    t3: str
    s3gen: str
    voice_encoder: str
    tokenizer: str
    conditionals: str = "conds.pt"
    more: tuple[str, ...] = ()
    """Files that count if they are there."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Every file that must be there."""
        return (self.t3, self.s3gen, self.voice_encoder, self.tokenizer, self.conditionals)


@dataclass(frozen=True, slots=True)
class Family:
    """One Chatterbox model."""

    name: str
    repository: str
    """Where its files are published on the Hugging Face hub."""
    files: Files
    backbone: str
    """``llama`` or ``gpt2``."""
    languages: tuple[str, ...] = ENGLISH
    style_fields: tuple[str, ...] = (
        "exaggeration",
        "cfg_weight",
        "temperature",
        "min_p",
        "top_p",
        "repetition_penalty",
        "top_k",
    )
    guidance: bool = True
    """Classifier-free guidance: each utterance is spoken with and without its text, and the difference counts."""
    top_k: int = 0
    """Only so many tokens are drawn from where the style does not say; 0: all."""
    speaker_prompt_tokens: int = 150
    """How many speech tokens of the sample T3 is shown."""
    least_sample_s: float = 1.0
    target_lufs: float | None = None
    """Loudness that stock gives every sample."""
    meanflow: bool = False
    """S3Gen goes from noise to mel in 2 steps instead of 10."""
    flow_steps: int = 10
    closing_silence: int = 0
    """Silence tokens that stock appends before S3Gen."""
    guards: Guards = field(default_factory=Guards)


LLAMA_GUARDS = Guards(heads=((12, 15), (13, 11), (9, 2)))
_HUGGING_FACE_TOKENIZER = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family(
                name="english",
                repository="ResembleAI/chatterbox",
                files=Files("t3_cfg.safetensors", "s3gen.safetensors", "ve.safetensors", "tokenizer.json"),
                backbone="llama",
                guards=LLAMA_GUARDS,
            ),
            *(
                Family(
                    name=name,
                    repository="ResembleAI/chatterbox",
                    files=Files(
                        t3,
                        "s3gen.pt",
                        "ve.pt",
                        "grapheme_mtl_merged_expanded_v1.json",
                        more=("Cangjie5_TC.json",),
                    ),
                    backbone="llama",
                    languages=MULTILINGUAL,
                    guards=LLAMA_GUARDS,
                )
                for name, t3 in (
                    ("multilingual", "t3_mtl23ls_v2.safetensors"),
                    ("multilingual-v3", "t3_mtl23ls_v3.safetensors"),
                )
            ),
            *(
                Family(
                    name=name,
                    repository=f"ResembleAI/chatterbox-{name}",
                    files=Files(
                        t3,
                        "s3gen_meanflow.safetensors",
                        "ve.safetensors",
                        "tokenizer_config.json",
                        more=_HUGGING_FACE_TOKENIZER,
                    ),
                    backbone="gpt2",
                    style_fields=("temperature", "top_p", "repetition_penalty", "top_k"),
                    guidance=False,
                    top_k=1000,
                    speaker_prompt_tokens=375,
                    least_sample_s=5.0,
                    target_lufs=-27.0,
                    meanflow=True,
                    flow_steps=2,
                    closing_silence=3,
                )
                for name, t3 in (("turbo", "t3_turbo_v1.safetensors"), ("nano", "t3_nano_v1.safetensors"))
            ),
        )
    }
)
"""By name. chatterbox-tts 0.1.7 knows neither nano nor multilingual v3; their entries follow what is published."""
