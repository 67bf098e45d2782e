"""What runs on a graphics card, without one: torch's meta device stands for it, and every operation is looked at.

Tensors there have shapes and no numbers: whatever reads one fails, as a recorded step does. Beside that nothing may be
made on the host, nor come from there, in the middle of a step.

What this cannot show: CUDA's own random numbers and the copy of the waves to the host, which the meta device lacks; and
what a card computes (`test_chatterbox_gpu`).
"""

from contextlib import contextmanager
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_tiny_s3gen import planted, spoken, tiny_s3gen, voice  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from speedd.engines.chatterbox.families import FAMILIES  # noqa: E402
from speedd.engines.chatterbox.s3gen.excitation import ExcitationNoise  # noqa: E402
from speedd.engines.chatterbox.s3gen.model import RowNoise, S3Gen  # noqa: E402
from speedd.engines.chatterbox.t3.decoder import SPAN, Decoder, row_length  # noqa: E402
from speedd.engines.chatterbox.t3.model import T3  # noqa: E402
from speedd.engines.chatterbox.t3.request import Request  # noqa: E402
from speedd.engines.chatterbox.voices.conditioning import read_conditioning  # noqa: E402
from speedd.engines.chatterbox.weights.tensor_file import TensorFile  # noqa: E402
from speedd.model import Style  # noqa: E402

CARD = "meta"
HANDED_OVER = {"aten::lift_fresh", "aten::detach_", "aten::detach", "aten::_to_copy", "aten::copy_"}
"""What a tensor of the host may go through where something is handed over to the card."""


class Looking(TorchDispatchMode):
    """Looks at every operation; fails where the host has a hand in it.

    Args:
        takes: whether tensors may be handed over from the host here.
    """

    def __init__(self, *, takes=False):
        super().__init__()
        self.takes = takes
        self.operations = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation._can_decompose():  # it is made of others, each of which is looked at
            with self:
                made = operation.decompose(*args, **kwargs)
            if made is not NotImplemented:
                return made
        made = operation(*args, **kwargs)
        name = operation.name().partition(".")[0]
        tensors = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, torch.Tensor)]
        self.operations += 1
        if any(one.device.type != CARD for one in tensors):
            assert self.takes, f"{name} is given or makes a tensor of the host"
            assert name in HANDED_OVER, f"{name} is computed on the host"
        if name == "aten::copy_":  # so a number is written at an index: the host waits for it
            assert args[0].dim(), "a single number is copied"
        return made


class WithoutLists(TorchFunctionMode):
    """Fails where a list becomes a tensor: on a card that is a copy from the host; the meta device does not show it."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in {torch.tensor, torch.as_tensor}, f"{function.__name__} of a list of the host"
        return function(*args, **kwargs or {})


@contextmanager
def strictly():
    """Nothing comes from the host, nothing goes there."""
    with WithoutLists(), Looking() as looking:
        yield looking


@pytest.fixture(scope="module")
def folders(checkpoint):
    return {name: checkpoint(name) for name in ("english", "turbo")}


def decoder_on_card(folder, name, monkeypatch):
    family = FAMILIES[name]
    if name == "english":
        family = replace(family, guards=replace(family.guards, heads=((1, 1), (0, 1))))  # as many layers there are
    tensors = TensorFile(folder / family.files.t3)
    t3 = T3(tensors, family, length=row_length(family), precision="bf16", device=CARD)
    # The conditioner runs on the CPU, and asks the card for the embeddings of its prompt, once for a voice.
    prefix = torch.zeros(34, t3.channels, dtype=torch.bfloat16, device=CARD)
    monkeypatch.setattr(t3, "prefix", lambda voice, exaggeration: prefix)
    return Decoder(t3, 2, width=3)


@pytest.mark.parametrize("name", ["english", "turbo"])
@pytest.mark.parametrize("style", [Style(), Style(top_p=0.9, top_k=50)], ids=["plain", "narrowed"])
def test_a_step_stays_on_the_card(folders, name, style, monkeypatch):
    decoder = decoder_on_card(folders[name], name, monkeypatch)
    assert (decoder._watch is not None) == (name == "english")
    voice = read_conditioning(folders[name] / "conds.pt", "built-in")
    with Looking(takes=True) as admitting:
        for slot in range(2):
            decoder.admit(Request(str(slot), range(1, 20 + 70 * slot), voice, style, slot, 100))
    assert admitting.operations > 100
    with torch.inference_mode(), strictly() as stepping:
        decoder._take_step(3 * SPAN)
        kept = decoder._state.copy()
        decoder._state.restore(kept)
    assert stepping.operations > 100
    assert len(decoder.drop()) == 2


@pytest.mark.parametrize("mean_flow", [False, True], ids=["guided", "mean flow"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
def test_s3gen_stays_on_the_card(mean_flow, dtype, monkeypatch):
    s3gen = S3Gen.from_model(tiny_s3gen(mean_flow=mean_flow), device=CARD, estimator_dtype=dtype, rows=2)
    rows = [spoken(20, voice(30, seed=1), seed=1), spoken(11, voice(30, seed=2), seed=2)]
    noise = []
    for drawn, _ in map(planted, rows):
        source = ExcitationNoise(drawn.source.phases.to(CARD), drawn.source.breath.to(CARD))
        noise.append(RowNoise(drawn.mel.to(CARD), source))
    bucket = s3gen.bucket(rows[0])
    flows = [s3gen._flow_row(row, one) for row, one in zip(rows, noise, strict=True)]
    monkeypatch.setattr(s3gen.flow, "_solve", strictly()(s3gen.flow._solve))
    with torch.inference_mode(), Looking(takes=True) as rendering:
        mels, lengths = s3gen.flow.mels(flows, bucket.tokens, bucket.speech_tokens)
        waves = s3gen.vocoder.waves(mels, lengths, [one.source for one in noise])
    assert rendering.operations > 500
    assert lengths == [40, 22]
    assert waves.shape[1] >= 960 * 20


def test_a_tensor_of_the_host_is_noticed():
    on_card = torch.zeros(3, device=CARD)
    for wrong in (
        lambda: torch.arange(3),
        lambda: on_card[torch.tensor([1, 2])],
        lambda: torch.tensor([1, 2], device=CARD),
    ):
        with pytest.raises(AssertionError, match="host"), strictly():
            wrong()
    with pytest.raises((RuntimeError, NotImplementedError)), strictly():
        on_card.sum().item()
    with pytest.raises((RuntimeError, NotImplementedError)), strictly():
        on_card.nonzero().tolist()
