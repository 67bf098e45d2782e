"""Generated weights. One thread: tiny products on several only wait for each other."""

import importlib.util
import os

import pytest

# The workers of daemons under test have as many threads as there are cores. Where something else wants those too,
# threads that spin while they wait for each other took three times as long over a book of a minute.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if all(importlib.util.find_spec(module) for module in ("torch", "chatterbox")):
    import torch

    from speedd.engines.chatterbox.library_output import import_quietly

    import_quietly()

    from chatterbox_bench.generated import accept_tiny_weights

    accept_tiny_weights()
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _core():
    """A core for each of xdist's processes and its children: threads of engines that share two wait for each other.

    One without xdist, too: how many utterances an engine takes on depends on the cores.
    """
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[int(name.removeprefix("gw")) % len(cores)]})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory):
    """One state folder for all, so that the device is tried once."""
    os.environ["SPEEDD_TEST_CHATTERBOX_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a function that generates a tiny checkpoint once and returns its folder."""
    from chatterbox_bench.generated import TINY, TINY_NANO, generate  # noqa: PLC0415

    made = {}

    def make(model, size=None, **how):
        size = size or (TINY_NANO if model == "nano" else TINY)
        key = model, size, tuple(sorted(how.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(model)
            generate(made[key], model, size, **{"reference_s": 1.0, **how})
        return made[key]

    return make
