"""Measure our S3Gen rendering rows of equal length together."""

from __future__ import annotations

from typing import Any

import torch

from chatterbox_bench.order import Order
from chatterbox_bench.program import obey
from chatterbox_bench.s3gen import best_s, made_up_reference
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.s3gen.model import SPEECH_TOKENS, S3Gen, SpeechRow
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.engines.chatterbox.weights.loading import load_s3gen


def measure(order: Order) -> dict[str, Any]:
    """Render as many rows as the order says in one batch, as large as it may be.

    Returns:
        ``seconds`` and the ``tokens`` in all.
    """
    torch.manual_seed(0)
    weights = find_weights(FAMILIES[order.model], order.folder, "", {})
    s3gen = S3Gen.from_model(
        load_s3gen(weights, listens=False),
        device=order.device,
        estimator_dtype=torch.float32 if order.what == "fp32" else torch.bfloat16,
        reference_s=order.reference_s,
        steps=weights.family.flow_steps,
        rows=order.chunks,
    )
    reference = made_up_reference(order.reference_s)
    rows = [
        SpeechRow(torch.randint(0, SPEECH_TOKENS, (order.tokens,)), reference, seed) for seed in range(order.chunks)
    ]
    return {"seconds": best_s(lambda: s3gen.render(rows), order), "tokens": order.chunks * order.tokens}


if __name__ == "__main__":
    obey(measure)
