"""Measure T3 alone, ours or stock's. The clock runs from the texts to the last token, prompts included."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from chatterbox_bench.order import STOCK, Order
from chatterbox_bench.program import obey, timed_s
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.t3.backbone import HEAD_DIM
from speedd.engines.chatterbox.t3.decoder import MAX_TEXT_TOKENS, Decoder
from speedd.engines.chatterbox.t3.request import Request
from speedd.engines.chatterbox.t3.text import TextTokenizer
from speedd.engines.chatterbox.voices.conditioning import Conditioning, read_conditioning
from speedd.engines.chatterbox.weights.files import Weights, find_weights
from speedd.engines.chatterbox.weights.loading import load_t3
from speedd.engines.chatterbox.weights.tensor_file import TensorFile
from speedd.model import Style

TEXT = "The harbour lay so still that evening that the lamps seemed to stand on their own reflections, number {}."
STYLE = Style(temperature=0.8)
WARM_UP_TOKENS = 3
"""Spoken before the clock runs: the voice's prefix is computed once, and libraries choose their kernels.

On a graphics card it is as much as is measured: a graph is recorded for each length of the cache.
"""


def measure(order: Order) -> dict[str, Any]:
    """Speak what the order says.

    Returns:
        ``tokens`` in all, ``seconds``, ``tokens_per_s``, the ``text_tokens`` of a text on the average; of ours
        ``prompts_s``, what the prompts took of it.
    """
    weights = find_weights(FAMILIES[order.model], order.folder, "", {})
    tokenizer = TextTokenizer(weights)
    texts = [tokenizer.tokens(TEXT.format(number), "en", MAX_TEXT_TOKENS).ids for number in range(order.chunks)]
    voice = read_conditioning(weights.path(weights.family.files.conditionals), "built-in")
    measured = (_stock if order.what == STOCK else _ours)(weights, texts, voice, order)
    text_tokens = sum(map(len, texts)) / len(texts)
    return measured | {"tokens_per_s": measured["tokens"] / measured["seconds"], "text_tokens": text_tokens}


def never_stopped(weights: Weights) -> Weights:
    """Return weights whose guards watch as they always do, and stop nothing: noise looks wrong to all of them.

    The heads still tell where in its text each row is, at every step: that is part of what is measured.
    """
    never = sys.maxsize
    out_of_reach = replace(
        weights.family.guards,
        tail_mass=math.inf,
        back_mass=math.inf,
        same_token_run=never,
        loop_times=never,
        stall_steps=never,
    )
    return replace(weights, family=replace(weights.family, guards=out_of_reach))


def _ours(weights: Weights, texts: Sequence[Sequence[int]], voice: Conditioning, order: Order) -> dict[str, Any]:
    decoder = Decoder(load_t3(never_stopped(weights), precision=order.what, device=order.device), order.chunks)
    spoken: list[int] = []

    def admit(texts: Sequence[Sequence[int]], tokens: int) -> None:
        for number, ids in enumerate(texts):
            decoder.admit(Request(str(number), ids, voice, STYLE, number, tokens))

    def decode() -> None:
        while decoder.free < decoder.slots:
            spoken.extend(len(one.tokens) for one in decoder.advance())

    admit(texts[:1], _warm_up_tokens(order))
    decode()
    spoken.clear()
    prompts_s = timed_s(lambda: admit(texts, order.tokens), order.device)
    return {"seconds": prompts_s + timed_s(decode, order.device), "prompts_s": prompts_s, "tokens": sum(spoken)}


def _stock(weights: Weights, texts: Sequence[Sequence[int]], voice: Conditioning, order: Order) -> dict[str, Any]:
    from chatterbox.models.t3.modules.cond_enc import T3Cond  # noqa: PLC0415

    model = _stock_model(weights).to(order.device)
    emotion = torch.full((1, 1, 1), STYLE.exaggeration)
    condition = T3Cond(voice.speaker, None, voice.prompt_tokens, None, emotion).to(device=order.device)
    spoken: list[int] = []

    def speak(seed: int, ids: Sequence[int], tokens: int) -> None:
        torch.manual_seed(seed)
        with quietly():
            said = model.inference(
                t3_cond=condition,
                text_tokens=torch.tensor([ids, ids], device=order.device),
                max_new_tokens=tokens,
                temperature=STYLE.temperature,
                cfg_weight=STYLE.cfg_weight,
                repetition_penalty=STYLE.repetition_penalty,
                min_p=STYLE.min_p,
                top_p=STYLE.top_p,
            )
        spoken.append(int(said.size(1)))

    def speak_all() -> None:
        for number, ids in enumerate(texts):
            speak(number, ids, order.tokens)

    speak(0, texts[0], _warm_up_tokens(order))
    spoken.clear()
    return {"seconds": timed_s(speak_all, order.device), "tokens": sum(spoken)}


def _warm_up_tokens(order: Order) -> int:
    return order.tokens if order.device == "cuda" else WARM_UP_TOKENS


def _stock_model(weights: Weights) -> Any:
    """Build chatterbox-tts's English T3 in the size of the weights, which may be tiny."""
    from chatterbox.models.t3 import T3, t3  # noqa: PLC0415
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS  # noqa: PLC0415
    from chatterbox.models.t3.modules.perceiver import Perceiver  # noqa: PLC0415
    from chatterbox.models.t3.modules.t3_config import T3Config  # noqa: PLC0415

    vars(t3)["tqdm"] = lambda steps, **_: steps  # this process measures and nothing else
    file = TensorFile(weights.path(weights.family.files.t3))
    tensors = {name: file[name] for name in file}
    mlp, channels = tensors["tfmr.layers.0.mlp.up_proj.weight"].shape
    heads = channels // HEAD_DIM
    LLAMA_CONFIGS["measured"] = LLAMA_CONFIGS["Llama_520M"] | {
        "hidden_size": channels,
        "intermediate_size": mlp,
        "num_hidden_layers": len([name for name in tensors if name.endswith("mlp.up_proj.weight")]),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
    }
    shape = T3Config.english_only()
    shape.llama_config_name = "measured"
    model = T3(shape)
    # Its constructor knows one size only.
    model.cond_enc.perceiver = Perceiver(pre_attention_query_size=channels, embedding_dim=channels)
    model.load_state_dict(tensors)
    return model.eval()


if __name__ == "__main__":
    obey(measure)
