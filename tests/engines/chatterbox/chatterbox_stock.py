"""Stock chatterbox-tts on generated weights, and its noise for our decoder."""

import contextlib
from functools import partial
from unittest import mock

import torch
from chatterbox import mtl_tts, tts, tts_turbo
from chatterbox.models.t3 import llama_configs, t3
from chatterbox.models.t3.modules import cond_enc
from chatterbox.models.tokenizers import tokenizer as stock_tokenizer
from chatterbox_bench.generated import small_s3gen

from speedd.engines.chatterbox.t3.decoder import MAX_TEXT_TOKENS
from speedd.engines.chatterbox.t3.request import Request
from speedd.engines.chatterbox.t3.text import TextTokenizer
from speedd.engines.chatterbox.voices.conditioning import read_conditioning


@contextlib.contextmanager
def small_stock(size, folder):
    """While active, chatterbox-tts builds a T3 of this size and a small S3Gen, and knows nano and no analyzer."""
    configs = llama_configs.LLAMA_CONFIGS
    llama = {
        "hidden_size": size.channels,
        "intermediate_size": size.mlp,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
    }
    gpt = {
        "n_embd": size.channels,
        "hidden_size": size.channels,
        "n_layer": size.layers,
        "n_head": size.heads,
        "n_positions": size.positions,
        "n_ctx": size.positions,
    }
    small = {
        "Llama_520M": {**configs["Llama_520M"], **llama},
        "GPT2_medium": {**configs["GPT2_medium"], **gpt},
    }
    perceiver = partial(cond_enc.Perceiver, pre_attention_query_size=size.channels, embedding_dim=size.channels)
    load = tts_turbo.load_file

    def load_nano_as_turbo(path):
        return load(
            folder / "t3_nano_v1.safetensors" if path.name == "t3_turbo_v1.safetensors" and not path.exists() else path
        )

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(configs, small))
        stack.enter_context(mock.patch.object(cond_enc, "Perceiver", perceiver))
        stack.enter_context(mock.patch.object(t3, "tqdm", lambda steps, **_: steps))
        stack.enter_context(mock.patch.object(t3.T3Config, "is_multilingual", False))
        stack.enter_context(mock.patch.object(tts_turbo, "load_file", load_nano_as_turbo))
        stack.enter_context(mock.patch.object(stock_tokenizer, "hf_hub_download", mock.Mock(side_effect=OSError)))
        # It would fetch a model, and leaves the texts of our tests as they are.
        stack.enter_context(mock.patch.object(stock_tokenizer.ChineseCangjieConverter, "_init_segmenter"))
        for module in (tts, mtl_tts, tts_turbo):
            stack.enter_context(mock.patch.object(module, "S3Gen", small_s3gen))
            stack.enter_context(mock.patch.object(module.perth, "PerthImplicitWatermarker", mock.Mock))
        yield


class StockNoise:
    """Draws what `torch.multinomial` draws from a generator of its own for each utterance."""

    def __init__(self):
        self.generators = {}

    def __call__(self, shares, seeds, steps):
        tokens = torch.zeros(len(shares), dtype=torch.int64)
        for row, (seed, step) in enumerate(zip(seeds.tolist(), steps.tolist(), strict=True)):
            if seed < 0:
                continue
            if step == 0:
                self.generators[seed] = torch.Generator().manual_seed(seed)
            noise = torch.empty(1, shares.size(1)).exponential_(1, generator=self.generators[seed])
            tokens[row] = (shares[row : row + 1] / noise).argmax()
        return tokens


def requests_for(weights, texts, styles, *, cap, language="en", seed=100):
    tokenizer = TextTokenizer(weights)
    voice = read_conditioning(weights.path("conds.pt"), "built-in")
    return [
        Request(str(n), tokenizer.tokens(text, language, MAX_TEXT_TOKENS).ids, voice, style, seed + n, cap)
        for n, (text, style) in enumerate(zip(texts, styles, strict=True))
    ]


def spoken(decoder, requests):
    """Let a decoder speak all, its rows refilled as they come free."""
    waiting, said = list(requests), []
    while waiting or decoder.free < decoder.slots:
        while waiting and decoder.free:
            decoder.admit(waiting.pop(0))
        said += decoder.advance()
    return said
