"""Measure T3 alone, ours or stock's, in a process of its own: ``python -m … ORDER RESULT``, both JSON files.

The order names ``weights``, a folder; ``model``; ``what``: ``stock``, or a precision of ours; ``device``, ``threads``;
``chunks`` that are spoken side by side (by stock one after the other), and ``tokens`` that each of them gets. The clock
runs from the texts to the last token, prompts included.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speedd.engines.chatterbox.decoder import MAX_TEXT_TOKENS, Decoder, Request
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.loading import load_t3
from speedd.engines.chatterbox.quiet import quietly
from speedd.engines.chatterbox.text import TextTokenizer
from speedd.engines.chatterbox.voices import read_conditioning
from speedd.engines.chatterbox.weights import Weights, find_weights
from speedd.model import Style

TEXT = "The harbour lay so still that evening that the lamps seemed to stand on their own reflections, number {}."
STYLE = Style(temperature=0.8)


def measure(order: Mapping[str, Any]) -> dict[str, float]:
    """Speak what the order says; return tokens, seconds, and memory at its highest."""
    torch.set_num_threads(int(order["threads"]))
    torch.set_grad_enabled(mode=False)
    weights = find_weights(FAMILIES[order["model"]], Path(order["weights"]), "", {})
    texts = [TEXT.format(number) for number in range(order["chunks"])]
    speak = _stock if order["what"] == "stock" else _ours
    tokens, seconds, cpu_s = speak(weights, texts, order)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {
        "tokens": tokens,
        "seconds": seconds,
        "cpu_s": cpu_s,
        "tokens_per_s": tokens / seconds,
        "peak_mb": peak_mb,
    }


def _ours(weights: Weights, texts: list[str], order: Mapping[str, Any]) -> tuple[int, float, float]:
    t3 = load_t3(weights, precision=order["what"], device=order["device"])
    decoder = Decoder(t3, len(texts))
    tokenizer = TextTokenizer(weights)
    voice = read_conditioning(weights.path(weights.family.files.conditionals), "built-in")
    _speak(decoder, tokenizer, voice, texts[:1], 3)  # what is computed once: the voice's prefix, and kernels chosen
    began, used_s = time.perf_counter(), time.process_time()
    spoken = _speak(decoder, tokenizer, voice, texts, order["tokens"])
    return spoken, time.perf_counter() - began, time.process_time() - used_s


def _speak(decoder: Decoder, tokenizer: TextTokenizer, voice: Any, texts: list[str], tokens: int) -> int:
    for number, text in enumerate(texts):
        ids = tokenizer.tokens(text, "en", MAX_TEXT_TOKENS).ids
        decoder.admit(Request(str(number), ids, voice, STYLE, number, tokens))
    spoken = 0
    while decoder.free < decoder.slots:
        spoken += sum(len(one.tokens) for one in decoder.advance())
    return spoken


def _stock(weights: Weights, texts: list[str], order: Mapping[str, Any]) -> tuple[int, float, float]:
    from chatterbox.models.t3 import T3, t3
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from safetensors.torch import load_file

    tokenizer = TextTokenizer(weights)
    model = T3()
    model.load_state_dict(load_file(weights.path(weights.family.files.t3)))
    model.to(order["device"]).eval()
    voice = read_conditioning(weights.path(weights.family.files.conditionals), "built-in")
    silent = vars(t3)
    silent["tqdm"] = lambda steps, **_: steps
    spoken = 0
    began, used_s = time.perf_counter(), time.process_time()
    for number, text in enumerate(texts):
        ids = torch.tensor([tokenizer.tokens(text, "en", MAX_TEXT_TOKENS).ids] * 2)
        condition = T3Cond(voice.speaker, None, voice.prompt_tokens, None, torch.full((1, 1, 1), STYLE.exaggeration))
        torch.manual_seed(number)
        with quietly():
            said = model.inference(
                t3_cond=condition.to(device=order["device"]),
                text_tokens=ids.to(order["device"]),
                max_new_tokens=order["tokens"],
                temperature=STYLE.temperature,
                cfg_weight=STYLE.cfg_weight,
                repetition_penalty=STYLE.repetition_penalty,
                min_p=STYLE.min_p,
                top_p=STYLE.top_p,
            )
        spoken += said.size(1)
    return spoken, time.perf_counter() - began, time.process_time() - used_s


if __name__ == "__main__":
    asked, answer = map(Path, sys.argv[1:])
    answer.write_text(json.dumps(measure(json.loads(asked.read_text(encoding="utf-8")))), encoding="utf-8")
