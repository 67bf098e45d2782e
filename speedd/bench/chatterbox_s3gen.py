"""S3Gen against stock at full size, with random weights: a program of its own.

``python -m speedd.bench.chatterbox_s3gen ORDER RESULT`` reads what to measure from a JSON file and writes what it
measured to another. Every time is the best of a few runs in one process; stock is measured in the same one, unless the
order leaves it out so that the memory is ours alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from chatterbox.models.s3gen.s3gen import S3Token2Wav
from torch.profiler import ProfilerActivity, profile

from speedd.engines.chatterbox.s3gen import S3Gen, SpeechRow

SPEECH_S = 6.0
"""Length of the chunk that everything is measured on."""
REFERENCE_S = 10.0
"""Length of stock's reference."""
SHORT_REFERENCE_S = 3.0
TOKENS_PER_SECOND, FRAMES_PER_SECOND = 25, 50
STEPS = 10
STEP = (0.1, 0.2)
"""Where the measured step of the flow begins and ends; they all cost the same."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure."""

    threads: int = 2
    device: str = "cpu"
    mean_flow: bool = False
    """Turbo's and nano's S3Gen."""
    stock: bool = True
    rows: Sequence[int] = (1,)
    """Batches to render."""
    runs: int = 3


def measure(order: Order) -> dict[str, Any]:
    """Measure S3Gen.

    Returns:
        Seconds and ratios: ``estimator`` (one step on stock's 10 s of reference and 6 s of speech), ``chunk`` (6 s of
        speech from tokens to waveform, by length of reference), ``stages`` and ``profile`` of ours, ``rows`` (batches
        of such chunks), ``peak_rss_mb`` of this process and ``peak_device_mb``.
    """
    torch.set_num_threads(order.threads)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = S3Token2Wav(meanflow=order.mean_flow).eval().requires_grad_(requires_grad=False)
    device = torch.device(order.device)
    wait: Callable[[], object] = torch.cuda.synchronize if device.type == "cuda" else bool

    def best_s(run: Callable[[], object], runs: int = order.runs) -> float:
        run()
        return min(_timed_s(run, wait) for _ in range(runs))

    row = SpeechRow(torch.randint(0, 6561, (round(SPEECH_S * TOKENS_PER_SECOND),)), _reference(REFERENCE_S), 1)
    by_reference = {
        reference_s: S3Gen.from_model(
            model, device=device, estimator_dtype=torch.bfloat16, reference_s=reference_s, rows=max(order.rows)
        )
        for reference_s in (REFERENCE_S, SHORT_REFERENCE_S)
    }
    ours = by_reference[REFERENCE_S]
    with torch.inference_mode():
        report: dict[str, Any] = {
            "order": asdict(order) | {"speech_s": SPEECH_S},
            "torch": torch.__version__,
            "chunk": {
                f"ours_{reference_s:g}_s": best_s(lambda: made.render([row]))  # noqa: B023 - run at once
                for reference_s, made in by_reference.items()
            },
            "stages": {name: best_s(run) for name, run in _stages(ours, row, order)},
            "profile": _profile(lambda: ours.render([row])),
            "rows": [{"rows": rows, "s": best_s(lambda: ours.render([row] * rows))} for rows in order.rows],  # noqa: B023
        }
        report["estimator"] = {"ours": report["stages"]["estimator_step"]}
        report["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        report["peak_device_mb"] = torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else None
        if order.stock:
            model.to(device)
            _add_stock(report, model, row, best_s, device)
    return report


def _add_stock(report: dict[str, Any], model: Any, row: SpeechRow, best_s: Callable[..., float], device: Any) -> None:
    rows = 1 if model.meanflow else 2
    mel = (rows, 80, round((REFERENCE_S + SPEECH_S) * FRAMES_PER_SECOND))
    x, mu, known = (torch.randn(mel, device=device) for _ in range(3))
    inputs = (x, torch.ones(rows, 1, mel[2], device=device), mu, torch.full((rows,), STEP[0], device=device))
    speaker, end = torch.randn(rows, 80, device=device), torch.full((rows,), STEP[1], device=device)
    estimator = model.flow.decoder.estimator
    told = {"r": end} if model.meanflow else {}
    report["estimator"]["stock"] = best_s(lambda: estimator(*inputs, spks=speaker, cond=known, **told), 2)
    reference = {key: value.to(device) if torch.is_tensor(value) else value for key, value in row.reference.items()}
    tokens = row.tokens.to(device)
    report["chunk"]["stock"] = best_s(lambda: model.inference(tokens, ref_dict=dict(reference)), 1)
    for part in ("estimator", "chunk"):
        times = report[part]
        times["ratios"] = {name: times["stock"] / s for name, s in times.items() if name != "stock"}


def _stages(ours: S3Gen, row: SpeechRow, order: Order) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the parts of rendering a chunk, each ready to run."""
    noise = ours.draw(row)
    device = noise.mel.device
    frames, heard = noise.mel.shape[0], noise.source.breath.shape[0] // ours.vocoder.samples_per_frame
    tokens = torch.randint(0, 6561, (1, frames // 2), device=device)
    yield "encoder", lambda: ours.flow.encoder(tokens, [frames // 2])
    estimator, rows = ours.flow.estimator, 1 if order.mean_flow else 2
    inputs = torch.randn(rows, frames, 320, device=device).to(estimator.dtype)
    when = estimator.embed_time(*STEP)
    yield "estimator_step", lambda: estimator(inputs, when, [frames] * rows, None)
    mel = torch.randn(1, heard, 80, device=device)
    yield "vocoder", lambda: ours.vocoder.waves(mel, [heard], [noise.source])


def _reference(seconds: float) -> dict[str, Any]:
    """Make up what is known of a voice."""
    tokens = round(seconds * TOKENS_PER_SECOND)
    return {
        "prompt_token": torch.randint(0, 6561, (1, tokens)),
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.randn(1, 2 * tokens, 80) * 2 - 5,
        "prompt_feat_len": None,
        "embedding": torch.randn(1, 192),
    }


def _profile(run: Callable[[], object]) -> list[dict[str, Any]]:
    """Say which operations of torch take the time: the ten longest, with their share of all."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total_us = sum(event.self_cpu_time_total for event in events)
    return [
        {"operation": event.key, "calls": event.count, "share": event.self_cpu_time_total / total_us}
        for event in events[:10]
    ]


def _timed_s(run: Callable[[], object], wait: Callable[[], object]) -> float:
    wait()
    began_s = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - began_s


def main() -> None:
    """Run an order."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("order", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    report = measure(Order(**json.loads(given.order.read_text(encoding="utf-8"))))
    given.result.write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
