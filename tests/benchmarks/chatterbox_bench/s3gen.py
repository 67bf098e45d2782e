"""Measure S3Gen, ours or stock's: a step of its flow, and a chunk from tokens to waveform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from chatterbox_bench.order import REFERENCES_S, STOCK, TOKENS_PER_SECOND, Order
from chatterbox_bench.program import obey, timed_s
from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.probe import estimator_precision
from speedd.engines.chatterbox.s3gen.model import SPEECH_TOKENS, S3Gen, SpeechRow
from speedd.engines.chatterbox.s3gen.thread_pools import ThreadPools, pools_of
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.engines.chatterbox.weights.loading import load_s3gen

RUNS = 2
"""The better one counts, after one that nobody measures."""
STEP = (0.1, 0.2)
"""Where the measured step of the flow begins and ends; they all cost the same."""


def measure(order: Order) -> dict[str, Any]:
    """Measure S3Gen.

    Returns:
        Seconds: ``estimator_step`` (on the long reference and a chunk) and ``chunk`` by length of reference (ours: its
        share of as many as are rendered at once); of ours also what the ``estimator`` reckons in, ``stages`` of a chunk
        and ``profile``, the operations of torch that take the most.
    """
    torch.manual_seed(0)
    weights = find_weights(FAMILIES[order.model], order.folder, "", {})
    model = load_s3gen(weights, listens=order.what == STOCK)  # stock asks its ears where it runs
    longest_s = REFERENCES_S[0]
    row = SpeechRow(torch.randint(0, SPEECH_TOKENS, (order.tokens,)), made_up_reference(longest_s), 1)
    return _stock(model, row, order) if order.what == STOCK else _ours(model, row, order, weights.family.flow_steps)


def _ours(model: Any, row: SpeechRow, order: Order, steps: int) -> dict[str, Any]:
    estimator = estimator_precision(order.what)
    dtype = torch.bfloat16 if estimator == "bf16" else torch.float32
    count = pools_of(order.threads, rows=order.chunks) if order.device == "cpu" else 1
    thread_pools = ThreadPools(count, threads=order.threads) if count > 1 else None
    by_reference = {
        f"{seconds:g}": S3Gen.from_model(
            model,
            device=order.device,
            estimator_dtype=dtype,
            reference_s=seconds,
            steps=steps,
            thread_pools=thread_pools,
        )
        for seconds in REFERENCES_S
    }
    ours = by_reference[f"{REFERENCES_S[0]:g}"]
    with torch.inference_mode():
        stages = {name: best_s(run, order) for name, run in _stages(ours, row)}
        return {
            "estimator": estimator,
            "estimator_step": stages["estimator_step"],
            "chunk": {
                name: best_s(lambda: made.render([row] * count), order) / count  # noqa: B023 - run at once
                for name, made in by_reference.items()
            },
            "stages": stages,
            "steps": steps,
            "profile": _profile(lambda: _on_this_thread(ours, order).render([row])),
        }


def _stages(ours: S3Gen, row: SpeechRow) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the parts of rendering a chunk, each ready to run."""
    noise = ours.draw(row)
    device = noise.mel.device
    frames, heard = noise.mel.shape[0], noise.source.breath.shape[0] // ours.vocoder.samples_per_frame
    tokens = torch.randint(0, SPEECH_TOKENS, (1, frames // 2), device=device)
    yield "encoder", lambda: ours.flow.encoder(tokens, [frames // 2])
    estimator = ours.flow.estimator
    rows = 1 if estimator.mean_flow else 2
    inputs = torch.randn(rows, frames, 320, device=device).to(estimator.dtype)
    when = estimator.embed_time(*STEP)
    yield "estimator_step", lambda: estimator(inputs, when, [frames] * rows, None)
    mel = torch.randn(1, heard, 80, device=device)
    yield "vocoder", lambda: ours.vocoder.waves(mel, [heard], [noise.source])


def _stock(model: Any, row: SpeechRow, order: Order) -> dict[str, Any]:
    device, rows = order.device, 1 if model.meanflow else 2
    model.to(device)
    tokens = row.reference["prompt_token"].shape[1] + order.tokens
    mel = (rows, 80, 2 * tokens)
    x, mu, known = (torch.randn(mel, device=device) for _ in range(3))
    inputs = (x, torch.ones(rows, 1, mel[2], device=device), mu, torch.full((rows,), STEP[0], device=device))
    speaker, end = torch.randn(rows, 80, device=device), torch.full((rows,), STEP[1], device=device)
    told = {"r": end} if model.meanflow else {}
    estimator = model.flow.decoder.estimator
    reference = {key: value.to(device) for key, value in row.reference.items()}
    said = row.tokens.to(device)
    with torch.inference_mode():
        step_s = best_s(lambda: estimator(*inputs, spks=speaker, cond=known, **told), order)
        # Once: the flow has been run, and the rest is a fraction of it.
        chunk_s = timed_s(lambda: model.inference(said, ref_dict=dict(reference) | {"prompt_feat_len": None}), device)
    return {"estimator_step": step_s, "chunk": {f"{REFERENCES_S[0]:g}": chunk_s}}


def best_s(run: Callable[[], object], order: Order) -> float:
    """Run once for nothing and `RUNS` times for the clock; return the seconds of the fastest."""
    run()
    return min(timed_s(run, order.device) for _ in range(RUNS))


def made_up_reference(seconds: float) -> dict[str, Any]:
    """Make up what is known of a voice."""
    tokens = round(seconds * TOKENS_PER_SECOND)
    return {
        "prompt_token": torch.randint(0, SPEECH_TOKENS, (1, tokens)),
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.randn(1, 2 * tokens, 80) * 2 - 5,
        "embedding": torch.randn(1, 192),
    }


def _on_this_thread(ours: S3Gen, order: Order) -> S3Gen:
    """The same without thread pools: the profiler sees no thread but its own."""
    device = torch.device(order.device)
    return S3Gen(ours.flow, ours.vocoder, fade=torch.ones(0), device=device, reference_s=REFERENCES_S[0], rows=1)


def _profile(run: Callable[[], object]) -> list[dict[str, Any]]:
    """Say which operations of torch take the time: the six longest, with their share of all."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total_us = sum(event.self_cpu_time_total for event in events)
    return [
        {"operation": event.key, "calls": event.count, "share": event.self_cpu_time_total / total_us}
        for event in events[:6]
    ]


if __name__ == "__main__":
    obey(measure)
