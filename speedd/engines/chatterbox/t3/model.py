"""T3: text tokens and a voice in, speech tokens out. Its parts as loaded from a checkpoint, ready for one device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from speedd.engines.chatterbox.families import SPEAKER_CHANNELS, STOP_SPEECH, Family
from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.t3.backbone import Backbone, Gpt, Llama, activation_dtype
from speedd.engines.chatterbox.t3.linear import make_linear
from speedd.engines.chatterbox.weights.tensor_file import TensorFile

if TYPE_CHECKING:
    from speedd.engines.chatterbox.voices.conditioning import Conditioning


class T3:
    """T3's embeddings, transformer and head on one device. Nothing of it ever changes.

    Args:
        weights: the tensors of its file. The sizes of the model are taken from them; they must agree.
        family: which model it is.
        length: the longest row, in positions.
        precision: of transformer and head.
        device: where it runs.
    Raises:
        EngineError: if a tensor is missing or of a wrong shape; names the first.
    """

    def __init__(self, weights: TensorFile, family: Family, *, length: int, precision: str, device: str) -> None:
        self.family = family
        self.device = device
        self.precision = precision
        dtype = activation_dtype(precision)
        speech_table = weights.shaped("speech_emb.weight", None, None, least=STOP_SPEECH + 1)
        self.vocabulary, self.channels = speech_table.shape

        def table(name: str, least: int = 0) -> Tensor:
            return weights.shaped(name, None, self.channels, least=least).to(device, dtype)

        self.speech_table = speech_table.to(device, dtype)
        self.text_table = table("text_emb.weight")
        self.text_positions: Tensor | None = None
        self.speech_positions: Tensor | None = None
        if family.backbone == "llama":
            self.text_positions = table("text_pos_emb.emb.weight", length)
            self.speech_positions = table("speech_pos_emb.emb.weight", length)
        shape: dict[str, Any] = {"length": length, "precision": precision, "device": device}
        self.backbone: Backbone = (
            Llama(weights, self.channels, _inverse_frequencies(), **shape)
            if family.backbone == "llama"
            else Gpt(weights, self.channels, **shape)
        )
        head = weights.shaped("speech_head.weight", self.vocabulary, self.channels)
        bias = weights.shaped("speech_head.bias", self.vocabulary) if family.backbone == "gpt2" else None
        self.head = make_linear(head, bias, precision=precision, device=device)
        self._condition = _conditioner(weights, self.channels, family)

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

    llama = family.backbone == "llama"
    perceives = llama or "cond_enc.perceiver.pre_attention_query" in weights
    shape = SimpleNamespace(
        encoder_type="voice_encoder",
        speaker_embed_size=SPEAKER_CHANNELS,
        n_channels=channels,
        emotion_adv=llama or "cond_enc.emotion_adv_fc.weight" in weights,
        use_perceiver_resampler=False,
    )
    conditioner = T3CondEnc(shape)
    if perceives:  # its constructor knows one size only
        shape.use_perceiver_resampler = True
        conditioner.perceiver = Perceiver(pre_attention_query_size=channels, embedding_dim=channels)
    weights.fill(conditioner, "cond_enc.")
    return conditioner.eval().requires_grad_(requires_grad=False)


def _inverse_frequencies() -> Tensor:
    """Return Llama's rotary frequencies, stretched as its configuration says ("llama3")."""
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    frequencies: Tensor = LlamaRotaryEmbedding(LlamaConfig(**LLAMA_CONFIGS["Llama_520M"])).inv_freq
    return frequencies
