"""S3Gen in chatterbox-tts's own classes: a tiny one with random weights, and what stock makes with planted noise."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from chatterbox.models.s3gen import flow_matching, hifigan
from chatterbox.models.s3gen import s3gen as stock
from chatterbox_bench.generated import small_s3gen

from speedd.engines.chatterbox.library_output import quietly
from speedd.engines.chatterbox.s3gen.excitation import ExcitationNoise
from speedd.engines.chatterbox.s3gen.model import RowNoise, SpeechRow

HARMONICS = 9

torch.set_num_threads(1)  # tensors this small are faster so, and tests run beside others


def tiny_s3gen(*, mean_flow: bool = False, seed: int = 0) -> Any:
    """Build a small stock S3Gen with weights such that the whole path is exercised."""
    torch.manual_seed(seed)
    with quietly():
        model = small_s3gen(mean_flow).eval()
    with torch.no_grad():
        for one in model.modules():  # norms that change nothing would hide a mistake
            if isinstance(one, torch.nn.LayerNorm):
                one.weight.uniform_(0.5, 1.5)
                one.bias.uniform_(-0.5, 0.5)
        predictor = model.mel2wav.f0_predictor.classifier  # random weights know no voice: plant one of about 180 Hz
        predictor.bias.fill_(180.0)
        predictor.weight.mul_(200)
        model.mel2wav.conv_post.parametrizations.weight.original0.mul_(2)
        if mean_flow:
            model.flow.decoder.estimator.time_embed_mixer.weight.normal_(0, 0.1)
    return model


def voice(tokens: int, *, seed: int, spare_frames: int = 0) -> dict[str, Any]:
    """Make a reference as ``embed_ref`` does: ``spare_frames`` more of mel than tokens account for."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "prompt_token": torch.randint(0, 6561, (1, tokens), generator=generator),
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.randn(1, 2 * tokens + spare_frames, 80, generator=generator) * 2 - 5,
        "prompt_feat_len": None,
        "embedding": torch.randn(1, 192, generator=generator),
    }


def spoken(tokens: int, reference: dict[str, Any], *, seed: int) -> SpeechRow:
    """Make a row of random speech."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return SpeechRow(torch.randint(0, 6561, (tokens,), generator=generator), reference, seed)


def planted(row: SpeechRow) -> tuple[RowNoise, torch.Tensor]:
    """Draw a row's noise, and the excitation's in stock's own shape [1, harmonics, samples]."""
    generator = torch.Generator().manual_seed(row.seed)
    frames = 2 * (row.reference["prompt_token"].shape[1] + len(row.tokens))
    own = frames - row.reference["prompt_feat"].shape[1]
    phases = (2 * torch.rand(HARMONICS, generator=generator) - 1) * math.pi
    phases[0] = 0
    begin = torch.randn(frames, 80, generator=generator)
    breath = torch.randn(1, HARMONICS, own * 480, generator=generator)
    return RowNoise(begin, ExcitationNoise(phases, torch.zeros(own * 480))), breath


def stock_waves(
    model: Any, rows: Sequence[SpeechRow], *, exact_phase: bool = False
) -> tuple[list[torch.Tensor], list[RowNoise]]:
    """Let stock render rows one by one, and return with each the noise it was given.

    With ``exact_phase`` it counts the cycles of its excitation in fp64, so that the whole number of them blurs nothing.
    """
    weight = model.mel2wav.m_source.l_linear.weight.detach()[0]
    waves, noises = [], []
    for row in rows:
        noise, breath = planted(row)
        with _randomness(noise, breath, exact_phase=exact_phase), torch.inference_mode():
            steps = 2 if model.meanflow else 10
            mel = stock.S3Token2Mel.forward(
                model, row.tokens, None, None, dict(row.reference), n_cfm_timesteps=steps, finalize=True
            )
            wave, _ = model.hift_inference(mel)
        wave = wave[0].clone()
        faded = min(len(model.trim_fade), len(wave))
        wave[:faded] *= model.trim_fade[:faded]
        waves.append(wave)
        # Ours has one number for a sample where stock has nine that are added up with these weights.
        mixed = torch.einsum("h,hn->n", weight, breath[0]) / torch.linalg.vector_norm(weight)
        noises.append(RowNoise(noise.mel, ExcitationNoise(noise.source.phases, mixed)))
    return waves, noises


class _Torch:
    """torch, but for some functions."""

    def __init__(self, **functions: Any) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def _randomness(noise: RowNoise, breath: torch.Tensor, *, exact_phase: bool) -> Iterator[None]:
    """Let stock draw what we say."""

    def for_source(like: torch.Tensor) -> torch.Tensor:
        return breath.clone() if like.shape[1] == HARMONICS else torch.zeros_like(like)

    def cycles(steps: torch.Tensor, dim: int) -> torch.Tensor:
        return (steps.double().cumsum(dim) % 1).float() if exact_phase else steps.cumsum(dim)

    class Phases:
        def __init__(self, **limits: Any) -> None: ...

        def sample(self, sample_shape: Any) -> torch.Tensor:
            return noise.source.phases[None, :, None].clone()

    with (
        mock.patch.object(flow_matching, "torch", _Torch(randn_like=lambda like: noise.mel.t()[None].clone())),
        mock.patch.object(flow_matching, "print", create=True),
        mock.patch.object(flow_matching, "tqdm", lambda steps, **how: steps),
        mock.patch.object(hifigan, "torch", _Torch(randn_like=for_source, cumsum=cycles)),
        mock.patch.object(hifigan, "Uniform", Phases),
    ):
        yield


def snr_db(expected: torch.Tensor, got: Any) -> float:
    """Signal to noise, where noise is the difference."""
    difference = (torch.as_tensor(got) - expected).double()
    return 10 * math.log10(expected.double().square().sum() / max(1e-30, difference.square().sum()))
