"""The real engine in a worker, with faults inside its forward passes: they cost time, and nothing else."""

import importlib.util
from contextlib import closing

import pytest

from speedd.engines.base import find
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import chunk_seed, take_key, take_path
from speedd.model import Rendered, Style, Utterance

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

from chatterbox_tiny_engine import options

IN_THE_FORWARD_PASSES = ("OOM", "FLOWOOM", "NAN", "FLOWNAN", "HANG", "FLOWKILL")
"""What goes wrong, in this order; a hang comes when the engine's pace has been measured, and costs seconds."""
EAGER = WorkerLimits(regrow_after_s=0.0)
"""After running out of memory it soon has company in the batch again."""


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """The folder in which each process notes what its engine takes on."""
    folder = tmp_path / "trace"
    folder.mkdir()
    monkeypatch.setenv("SPEEDD_TEST_TRACE", str(folder))
    return folder


def utterance(info, text, index):
    voice, style, seed = info.voices[0], Style(), chunk_seed(0, text, index, 0)
    return Utterance(
        take_key(info, text=text, voice=voice, style=style, seed=seed, language="en"), text, voice, style, seed
    )


ON_CPU = {"device": "cpu", "precision": "fp32"}


def render(engine, weights, takes):
    """Speak a page of a book; return the answers, how the worker is, and the takes as they lie on the disk."""
    given = options(weights, rows=3, **ON_CPU)
    asked = PoolSettings(engine, takes, given, workers=1, times=PoolTimes(chunk_s=2), limits=EAGER)
    with closing(WorkerPool(asked)) as pool:
        texts = [f"He went on, and told the rest of it in the dark. {n}" for n in range(4 * len(IN_THE_FORWARD_PASSES))]
        texts[2::4] = [f"And then {fault} came over all of them." for fault in IN_THE_FORWARD_PASSES]
        work = [utterance(pool.info, text, index) for index, text in enumerate(texts)]
        answers = [answer for batch in pool.run(work) for answer in batch]
        assert sorted(answer.key for answer in answers) == sorted(one.key for one in work)
        return answers, pool.status(), [take_path(takes, one.key).read_bytes() for one in work]


@pytest.mark.fault
def test_whatever_goes_wrong_every_chunk_is_rendered_once_and_sounds_as_if_nothing_had(
    checkpoint, fault_folder, trace, tmp_path
):
    weights = checkpoint("english", mean_tokens=12)
    (fault_folder / "load").touch()
    answers, status, takes = render("chatterbox_with_faults", weights, tmp_path / "takes")
    assert all(isinstance(answer, Rendered) and answer.finite and not answer.fallback for answer in answers)
    assert {path.name.split()[0] for path in fault_folder.iterdir()} == set(IN_THE_FORWARD_PASSES)
    restarts = sum(worker.restarts for worker in status.workers)
    assert restarts >= 3, "the load, the hang and the kill"
    assert len(list(trace.iterdir())) == restarts
    assert status.rendered == len(answers)
    _, undisturbed, same_takes = render("tiny_chatterbox", weights, tmp_path / "undisturbed")
    assert sum(worker.restarts for worker in undisturbed.workers) == 0
    assert takes == same_takes
    assert len(set(takes)) == len(takes)


class Waiting:
    """A source that holds what was not taken yet."""

    def __init__(self, work):
        self.work = list(work)

    @property
    def closed(self):
        return not self.work

    def take(self, max_rows, *, block):
        taken, self.work = self.work[:max_rows], self.work[max_rows:]
        return taken


def test_numbers_out_of_range_leave_nothing_behind_for_whoever_has_the_row_next(checkpoint, fault_folder):
    given = options(checkpoint("english", mean_tokens=12), rows=1, watermark=False, **ON_CPU)
    engine = find("chatterbox_with_faults").load(given)
    texts = ["And then NAN came over all of them, and over those who had seen it before.", "Why?", "He went on. NAN"]
    work = [utterance(engine.info, text, index) for index, text in enumerate(texts)]
    disturbed, sound = ({take.key: take.wave.tobytes() for take in engine.synthesize(Waiting(work))} for _ in range(2))
    assert len(list(fault_folder.iterdir())) == 2
    assert disturbed == sound
    assert len(sound) == len(work)
