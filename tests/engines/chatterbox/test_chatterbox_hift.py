import math

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_s3gen import HARMONICS, tiny_s3gen  # noqa: E402

from speedd.engines.chatterbox.s3gen.excitation import ExcitationNoise  # noqa: E402
from speedd.engines.chatterbox.s3gen.hift import Hift  # noqa: E402


@pytest.fixture(scope="module")
def vocoder():
    return Hift(tiny_s3gen().mel2wav, device=torch.device("cpu"))


def still(frames):
    return ExcitationNoise(torch.zeros(HARMONICS), torch.zeros(frames * 480))


def test_the_phase_is_exact_after_a_minute(vocoder):
    source, frames = vocoder.source, 3000
    f0 = torch.full((1, frames), 211.3)
    got = source(f0, [still(frames)])[0, -480:].double()
    per_sample = (f0[0, 0] * torch.arange(1, HARMONICS + 1) / 24_000).double()
    samples = torch.arange(frames * 480 - 479, frames * 480 + 1, dtype=torch.float64)
    sines = torch.sin(2 * math.pi * ((samples[:, None] * per_sample) % 1)) * 0.1
    expected = torch.tanh(sines @ source._weight.double() + source._bias.double())
    assert float((got - expected).abs().max()) < 1e-6


def test_without_voice_there_is_breath_and_with_it_hardly_any(vocoder):
    source, generator = vocoder.source, torch.Generator().manual_seed(0)
    noise = source.draw(200, generator)
    f0 = torch.tensor([[0.0] * 100 + [150.0] * 100])
    waves = source(f0, [noise]), source(f0, [ExcitationNoise(noise.phases, torch.zeros_like(noise.breath))])
    breath = torch.atanh(waves[0][0]) - torch.atanh(waves[1][0])
    spread = float(torch.linalg.vector_norm(source._weight))
    assert float(breath[:48_000].std()) == pytest.approx(0.1 / 3 * spread, rel=0.02)
    assert float(breath[48_000:].std()) == pytest.approx(0.003 * spread, rel=0.02)


def test_a_short_row_in_a_long_batch_ends_as_if_it_were_alone(vocoder):
    generator = torch.Generator().manual_seed(1)
    mels = torch.randn(2, 40, 80, generator=generator)
    mels[1, 9:] = 0
    noise = [vocoder.source.draw(frames, generator) for frames in (40, 9)]
    together = vocoder.waves(mels, [40, 9], noise)[1, : 9 * 480]
    alone = vocoder.waves(mels[1:, :9], [9], noise[1:])[0]
    assert alone.shape == (9 * 480,)
    assert float((together - alone).abs().max()) < 1e-4 * float(alone.abs().max())
    assert float(alone[-480:].abs().max()) > 0
