import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.engines.chatterbox.memory.budget import ENGLISH, NANO, TURBO, S3GenWork, s3gen_bytes

works = st.builds(
    S3GenWork, rows=st.integers(1, 64), reference_s=st.floats(1, 10), speech_s=st.floats(0.5, 40), guided=st.booleans()
)


def test_keys_and_values_of_a_token_are_as_counted():
    assert (ENGLISH.kv_bytes_per_token, TURBO.kv_bytes_per_token, NANO.kv_bytes_per_token) == (122_880, 98_304, 36_864)
    assert ENGLISH.slot_bytes(700) == 2 * 700 * 122_880
    assert TURBO.slot_bytes(700) == 700 * 98_304


def test_the_flow_costs_what_its_formula_says():
    work = S3GenWork(rows=1, reference_s=10, speech_s=6)
    assert work.frames == 800
    estimated = 10 * 2 * 800 * (132e6 + 114_688 * 800)
    assert work.flops(steps=10) == pytest.approx(estimated + 16 * 25 * 150e6 + 6 * 30.6e9)
    mean_flow = S3GenWork(rows=1, reference_s=10, speech_s=6, guided=False)
    assert mean_flow.flops(steps=2) < work.flops(steps=10) / 6


@pytest.mark.parametrize("mean_flow", [False, True], ids=["guided", "mean flow"])
def test_s3gens_weights_are_as_counted(mean_flow):
    """What we make of stock's modules in the published size, on torch's device that has shapes and no memory."""
    torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
    stock = pytest.importorskip("chatterbox.models.s3gen", reason="the chatterbox extra is not installed")
    from speedd.engines.chatterbox.library_output import quietly  # noqa: PLC0415
    from speedd.engines.chatterbox.s3gen.estimator import Estimator  # noqa: PLC0415
    from speedd.engines.chatterbox.s3gen.flow import Flow  # noqa: PLC0415
    from speedd.engines.chatterbox.s3gen.flow_encoder import FlowEncoder  # noqa: PLC0415

    nowhere = torch.device("meta")
    with quietly(), nowhere:
        model = stock.S3Gen(meanflow=mean_flow)
    vocoder_bytes = 4 * sum(weight.numel() for weight in model.mel2wav.parameters())
    encoder = FlowEncoder(model.flow, device=nowhere)
    for dtype in (torch.bfloat16, torch.float32):
        estimator = Estimator(model.flow.decoder.estimator, device=nowhere, dtype=dtype)
        flow = Flow(model.flow, encoder, estimator, steps=1, device=nowhere)
        counted = sum(tensor.nbytes for tensor in tensors_of(flow, torch.Tensor)) + vocoder_bytes
        assert 0 <= s3gen_bytes(dtype.itemsize) - counted < 0.03 * counted


def tensors_of(part, tensor_type):
    """Every tensor that something of ours holds on to."""
    if isinstance(part, tensor_type):
        yield part
    elif isinstance(part, list | tuple):
        for one in part:
            yield from tensors_of(one, tensor_type)
    elif type(part).__module__.startswith("speedd."):
        slots = [name for each in type(part).__mro__ for name in getattr(each, "__slots__", ())]
        for name in {*slots, *getattr(part, "__dict__", {})}:
            yield from tensors_of(getattr(part, name), tensor_type)


@given(works)
def test_more_rows_and_longer_ones_never_cost_less(work):
    more = S3GenWork(work.rows + 1, work.reference_s, work.speech_s, work.guided)
    longer = S3GenWork(work.rows, work.reference_s, work.speech_s + 1, work.guided)
    assert work.peak_bytes() <= more.peak_bytes()
    assert work.peak_bytes() < longer.peak_bytes()
    assert work.flops(steps=10) < min(more.flops(steps=10), longer.flops(steps=10))


def test_it_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import speedd.engines.chatterbox.memory.budget"
    subprocess.run([sys.executable, "-c", code], check=True)
