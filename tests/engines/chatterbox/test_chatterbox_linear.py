"""Products in 8 bits: close to the full ones, each row by itself, and nothing that is no number gets lost."""

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.chatterbox.t3 import linear  # noqa: E402
from speedd.engines.chatterbox.t3.linear import make_linear  # noqa: E402

ROWS, N_IN, N_OUT = 7, 96, 40


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(3)
    spread = torch.rand(ROWS, 1, generator=generator) * 100  # rows of very different loudness
    return (
        torch.randn(ROWS, N_IN, generator=generator) * spread,
        torch.randn(N_OUT, N_IN, generator=generator),
        torch.randn(N_OUT, generator=generator),
    )


@pytest.fixture(params=["packed", "plain"])
def product(request, monkeypatch):
    """Both ways to multiply bytes; which one a machine takes depends on its processor."""
    if request.param == "packed" and not linear._packs_bytes():
        pytest.skip("this processor or torch has no packed product of bytes")
    monkeypatch.setattr(linear, "_packs_bytes", lambda: request.param == "packed")
    return lambda weight, bias=None: make_linear(weight, bias, precision="int8", device="cpu")


def test_bytes_come_close_in_every_row(drawn, product):
    x, weight, bias = drawn
    exact = torch.nn.functional.linear(x, weight, bias)
    error = (product(weight, bias)(x) - exact).norm(dim=1) / exact.norm(dim=1)
    assert error.max() < 0.02


def test_whole_numbers_are_exact(product):
    x = torch.randint(-127, 128, (ROWS, N_IN)).float()
    weight = torch.randint(-127, 128, (N_OUT, N_IN)).float()
    x[:, 0] = weight[:, 0] = 127  # the scales are 1
    assert torch.equal(product(weight)(x), x @ weight.T)


def test_a_row_has_the_same_bits_in_any_company(drawn, product):
    x, weight, bias = drawn
    multiply = product(weight, bias)
    together = multiply(x)
    assert torch.equal(multiply(x.flip(0)).flip(0), together)
    assert torch.equal(torch.cat([multiply(row[None]) for row in x]), together)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_stays_so_and_in_its_row(drawn, product, bad):
    x, weight, bias = drawn
    multiply = product(weight, bias)
    sound = multiply(x)
    x[2, 5] = bad
    found = multiply(x)
    assert not torch.isfinite(found[2]).any()
    others = [row for row in range(ROWS) if row != 2]
    assert torch.equal(found[others], sound[others])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_other_precisions_are_the_plain_product(drawn, precision):
    x, weight, bias = drawn
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    found = make_linear(weight, bias, precision=precision, device="cpu")(x[None].to(dtype))
    exact = torch.nn.functional.linear(x.to(dtype), weight.to(dtype), bias.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found[0], exact)
