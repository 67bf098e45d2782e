import math

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_s3gen import tiny_s3gen  # noqa: E402

from speedd.engines.chatterbox.s3gen.estimator import Estimator  # noqa: E402
from speedd.engines.chatterbox.s3gen.flow import step_times  # noqa: E402
from speedd.engines.chatterbox.s3gen.flow_encoder import FlowEncoder  # noqa: E402
from speedd.engines.chatterbox.s3gen.layers import attend, valid  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    return tiny_s3gen()


def test_the_flow_takes_its_steps_where_stock_takes_them():
    even = torch.linspace(0, 1, 11)
    assert step_times(10, cosine=True) == pytest.approx((1 - torch.cos(even * 0.5 * torch.pi)).tolist(), abs=1e-6)
    assert step_times(2, cosine=False) == [0, 0.5, 1]


@pytest.mark.parametrize("lengths", [[30], [30, 30], [30, 11, 1]], ids=str)
def test_the_encoder_gives_each_row_what_stock_gives_it_alone(model, lengths):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 6561, (len(lengths), 30), generator=generator)
    with torch.inference_mode():
        got = FlowEncoder(model.flow, device=CPU)(tokens, lengths)
        assert got.shape == (len(lengths), 60, 80)
        for row, length in enumerate(lengths):
            embedded = model.flow.input_embedding(tokens[row : row + 1, :length])
            alone = model.flow.encoder_proj(model.flow.encoder(embedded, torch.tensor([length]))[0])
            assert float((got[row, : 2 * length] - alone[0]).abs().max()) < 1e-4
            assert not got[row, 2 * length :].any()


@pytest.mark.parametrize("lengths", [[30, 30], [30, 11]], ids=str)
def test_the_estimator_points_where_stock_points(model, lengths):
    generator = torch.Generator().manual_seed(0)
    stock = model.flow.decoder.estimator
    x, mu, known = (torch.randn(2, 80, 30, generator=generator) for _ in range(3))
    speaker = torch.randn(2, 80, generator=generator)
    with torch.inference_mode():
        ours = Estimator(stock, device=CPU, dtype=torch.float32)
        inputs = torch.cat([x, mu, speaker[:, :, None].expand(-1, -1, 30), known], 1).transpose(1, 2)
        got = ours(inputs, ours.embed_time(0.3, 0.4), lengths, valid(lengths, 30, CPU))
        for row, length in enumerate(lengths):
            one, own = slice(row, row + 1), slice(length)
            expected = stock(
                x[one, :, own],
                torch.ones(1, 1, length),
                mu[one, :, own],
                torch.tensor([0.3]),
                speaker[one],
                known[one, :, own],
            )
            assert float((got[row, :length].T - expected[0]).abs().max()) < 1e-4
            assert not got[row, length:].any()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)], ids=str)
def test_attention_is_what_torch_makes_of_it(dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    lengths, heads, channels = [23, 9], 3, 16
    qkv = torch.randn(2, 23, 3 * heads * channels, generator=generator).to(dtype)
    mask = valid(lengths, 23, CPU)
    got = attend(qkv, heads, lengths, mask)
    query, key, value = qkv.float().view(2, 23, 3, heads, channels).permute(2, 0, 3, 1, 4)
    scores = (query @ key.transpose(-1, -2)).masked_fill(~mask[:, None, None], -math.inf)
    expected = (scores.softmax(-1) @ value).transpose(1, 2).reshape(2, 23, -1)
    for row, length in enumerate(lengths):
        assert float((got[row, :length].float() - expected[row, :length]).abs().max()) < tolerance * 3
