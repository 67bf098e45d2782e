"""What device speaks, and in what it reckons there."""

import json
import sys

import pytest

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from speedd.engines.base import EngineOptions  # noqa: E402
from speedd.engines.chatterbox import ChatterboxFactory, factory, probe  # noqa: E402
from speedd.engines.chatterbox.factory import _fallbacks  # noqa: E402
from speedd.engines.chatterbox.memory.placement import placed  # noqa: E402
from speedd.engines.chatterbox.probe import Machine, choose, cpu_precision, estimator_precision  # noqa: E402
from speedd.engines.chatterbox.settings import ChatterboxSettings  # noqa: E402
from speedd.errors import EngineError  # noqa: E402

ALL = ("cuda", "mps", "cpu")
CARD = Machine("cuda", "bf16", "a card", 24 << 30)

# --- which device ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "devices", "broken", "chosen"),
    [
        ("auto", ALL, (), "cuda"),
        ("auto", ALL, ("cuda",), "mps"),
        ("auto", ALL, ("cuda", "mps"), "cpu"),
        ("auto", ("mps", "cpu"), (), "mps"),
        ("mps", ALL, (), "mps"),
        ("cuda", ALL, ("cuda",), "cpu"),  # and not another GPU that nobody asked for; the caller says so
        ("cpu", ALL, (), "cpu"),
    ],
)
def test_the_best_device_that_works_is_chosen(wanted, devices, broken, chosen):
    tried = []

    def works(device):
        tried.append(device)
        return device not in broken

    assert choose(wanted, devices, works) == chosen
    assert set(tried) <= {wanted, "cpu"} or wanted == "auto"


def test_where_nothing_works_it_says_so():
    with pytest.raises(EngineError, match="cannot multiply"):
        choose("auto", ALL, lambda _: False)


def test_a_device_that_is_there_and_cannot_multiply_is_passed_over():
    # torch's meta device takes every operation and has no numbers to show for it, as a card without its kernels.
    assert choose("auto", ("meta", "cpu")) == "cpu"
    assert not probe.multiplies("meta")
    assert probe.multiplies("cpu")


def test_wrong_results_are_no_working_device(monkeypatch):
    real = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, device: real(*size, device=device) / 2)
    assert not probe.multiplies("cpu")


@pytest.mark.parametrize(
    ("words", "works"),
    [
        ("CUDA error: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("CUDA error: no kernel image is available for execution on the device", False),
    ],
)
def test_a_card_that_is_full_just_now_is_not_forgotten_for_that(monkeypatch, words, works):
    def refuse(*size, device):
        raise RuntimeError(words)

    monkeypatch.setattr(torch, "ones", refuse)
    assert choose("auto", ("cuda", "cpu"), lambda device: probe.multiplies(device) or device == "cpu") == (
        "cuda" if works else "cpu"
    )


def test_the_cpu_is_always_offered_and_comes_last():
    offered = list(probe.offered())
    assert offered[-1] == "cpu"
    assert ("cuda" in offered) == torch.cuda.is_available()


# --- asked in a process of its own -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state folder in which the answer for the CPU lies."""
    folder = tmp_path_factory.mktemp("state")
    found = probe.probe("cpu", folder)
    assert (found.device, found.precision, found.memory_bytes) == ("cpu", cpu_precision(), 0)
    return folder


def test_the_answer_is_kept_until_something_changes(state, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")  # asking again fails
    assert probe.probe("cpu", state).device == "cpu"
    kept = state / "device-cpu.json"
    before = kept.read_bytes()
    said = json.loads(before)
    for spoilt in ("no JSON", json.dumps(said | {"occasion": [*said["occasion"][:-1], ["nvidia7"]]})):
        kept.write_text(spoilt, encoding="utf-8")
        with pytest.raises(EngineError, match="cannot be tried out"):
            probe.probe("cpu", state)
    kept.write_bytes(before)
    with pytest.raises(EngineError, match="cannot be tried out"):
        probe.probe("cpu", None)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an mps device")
def test_a_device_that_is_wanted_and_not_there_is_an_error(tmp_path):
    with pytest.raises(EngineError, match="no mps device that works") as refused:
        probe.probe("mps", tmp_path)
    assert "device to auto" in refused.value.hint
    assert not list(tmp_path.iterdir())


# --- in what it reckons ----------------------------------------------------------------------------------------------

PROCESSORS = {
    "avx2 fma": ("fp32", "fp32"),
    "avx2 avx_vnni": ("int8", "fp32"),
    "avx2 avx512f avx512_vnni": ("int8", "fp32"),
    "avx2 avx512f avx512_vnni avx512_bf16": ("int8", "bf16"),
    "avx512f amx_int8 amx_bf16 amx_tile": ("int8", "bf16"),
    "avx512f avx512_bf16": ("bf16", "bf16"),
}


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Return a function that lets the processor be another one."""

    def be(flags, name="flags"):
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n{name}\t\t: fpu sse2 {flags}\n\n")
        monkeypatch.setattr(probe, "CPUINFO", path)

    return be


@pytest.mark.parametrize("flags", PROCESSORS)
def test_t3_and_estimator_each_have_what_the_processor_multiplies_fast(processor, flags):
    processor(flags)
    precision = cpu_precision()
    assert (precision, estimator_precision(precision)) == PROCESSORS[flags]
    assert estimator_precision("fp32") == "fp32"
    assert estimator_precision("bf16") == "bf16"  # somebody asked for it


def test_a_processor_that_tells_nothing_reckons_in_fp32(processor, monkeypatch, tmp_path):
    processor("bf16 i8mm", name="Features")
    assert cpu_precision() == "fp32"
    monkeypatch.setattr(probe, "CPUINFO", tmp_path / "missing")
    assert cpu_precision() == "fp32"


@pytest.fixture
def described(checkpoint, monkeypatch):
    """Return a function that describes the engine on a machine."""
    folder = checkpoint("english")

    def describe(machine, **settings):
        monkeypatch.setattr(factory, "probe", lambda wanted, state: machine)
        return ChatterboxFactory().describe(EngineOptions(ChatterboxSettings(weights=folder, **settings)))

    return describe


@pytest.mark.parametrize(("flags", "estimator"), [("avx_vnni", "fp32"), ("avx_vnni avx512_bf16", "bf16")])
def test_a_take_says_what_the_estimator_reckoned_in_and_that_is_what_it_does(described, processor, flags, estimator):
    processor(flags)
    info = described(Machine("cpu", cpu_precision(), "CPU"))
    assert (info.numerics["precision"], info.numerics["estimator"]) == ("int8", estimator)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[estimator]
    assert placed("cpu", info.numerics).estimator_dtype == dtype


def test_without_room_on_the_card_the_estimator_becomes_what_suits_the_cpu(described, processor):
    processor("avx_vnni")
    info = described(CARD)
    assert (info.numerics["precision"], info.numerics["estimator"]) == ("bf16", "bf16")
    (there,) = [fallback for fallback in info.fallbacks if fallback.name == "cpu"]
    assert (there.numerics["precision"], there.numerics["estimator"]) == ("int8", "fp32")
    assert placed("cuda", info.numerics).estimator_dtype == torch.bfloat16
    assert placed("cuda", info.numerics, [there]).estimator_dtype == torch.float32


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("wanted", ["auto", "its own"])
def test_8_bit_integers_are_refused_where_there_is_no_product_of_them(described, device, wanted):
    machine = Machine(device, "bf16", "a GPU", 24 << 30)
    with pytest.raises(EngineError, match="on a CPU alone") as refused:
        described(machine, precision="int8", device=device if wanted == "its own" else "auto")
    assert 'precision to "auto"' in refused.value.hint
    assert (
        _fallbacks(CARD, ChatterboxSettings(), 1)[-1].numerics["precision"] == cpu_precision()
    )  # there they are right
    assert described(Machine("cpu", "bf16", "CPU"), precision="int8").numerics["precision"] == "int8"
