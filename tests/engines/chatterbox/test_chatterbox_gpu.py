"""On a real card: room beside a neighbour that comes and goes, and a card that is empty when there is nothing to do.

Full-size generated weights. `pytest -s -m gpu` prints the figures.
"""

# ruff: noqa: T201 - the figures are what it is run for

import importlib.util
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from speedd.errors import TryAgainError
from speedd.execution import WorkerPool
from speedd.execution.deadlines import PoolTimes
from speedd.execution.messages import WorkerLimits
from speedd.execution.takes import chunk_seed, take_key
from speedd.model import Rendered, Style, Utterance

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

import torch

from speedd.engines.chatterbox.generated import FULL

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="nvidia-smi, which reads the card, is missing"),
]

LEFT_MB = 6 * 1024
"""What is left of the card for us and for the neighbour."""
TAKEN_MB = 2 * 1024
"""What the neighbour takes of that now and then."""
ROWS = 8
UTTERANCES = 200

NEIGHBOUR = f"""
import random, sys, time
import torch
dice = random.Random(1)
def take(mb):
    return torch.empty(mb << 20, dtype=torch.uint8, device="cuda")
base = take(max(1, (torch.cuda.mem_get_info()[0] >> 20) - {LEFT_MB}))
print("there", flush=True)
while True:
    try:
        more = take({TAKEN_MB})
        print("took", flush=True)
    except torch.OutOfMemoryError:
        print("found no room", flush=True)
    time.sleep(dice.uniform(0.2, 3.0))
    more = None
    torch.cuda.empty_cache()
    time.sleep(dice.uniform(0.2, 3.0))
"""


def used_mb():
    """What all programs use of the first card."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


@contextmanager
def neighbour(log):
    """Another program on the card; its doings are in the log."""
    with log.open("w") as out:
        program = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], stdout=out)
    try:
        while "there" not in log.read_text():
            assert program.poll() is None
            time.sleep(0.1)
        yield
    finally:
        program.kill()
        program.wait()


def pool(weights, takes, *, idle_s=600.0):
    settings = {
        "weights": str(weights),
        "state": os.environ["SPEEDD_TEST_CHATTERBOX_STATE"],
        "device": "cuda",
        "rows": ROWS,
    }
    return WorkerPool(
        "chatterbox",
        {"chatterbox": settings},
        takes=takes,
        workers=1,
        times=PoolTimes(idle_release_s=idle_s),
        limits=WorkerLimits(reserve_bytes=512 << 20, quiet_s=5.0, ahead=8),
    )


def utterances(info, count):
    dice = random.Random(1)
    for number in range(count):
        text = " ".join(f"Sentence {number} went on." for _ in range(dice.randint(2, 10)))
        seed = chunk_seed(0, text, 0, 0)
        key = take_key(info, text=text, voice=info.voices[0], style=Style(), seed=seed, language="en")
        yield Utterance(key, text, info.voices[0], Style(), seed)


def narrate(narrators, work):
    """Speak all of it, as a book is spoken: without room it waits and goes on; return the answers and the waits."""
    answers, waits = [], 0
    while len(answers) < len(work):
        done = {answer.utterance_key for answer in answers}
        try:
            for batch in narrators.run([one for one in work if one.key not in done]):
                answers += batch
        except TryAgainError:
            waits += 1
            time.sleep(5)
    return answers, waits


@pytest.fixture(scope="module")
def weights(checkpoint):
    return checkpoint("english", FULL["english"], mean_tokens=150, reference_s=10.0)


@pytest.mark.fault
def test_beside_a_neighbour_that_takes_and_frees_a_third_of_the_card_nothing_fails(weights, tmp_path):
    log = tmp_path / "neighbour.log"
    with neighbour(log), closing(pool(weights, tmp_path / "takes")) as narrators:
        work = list(utterances(narrators.info, UTTERANCES))
        began_s = time.monotonic()
        answers, waits = narrate(narrators, work)
        wall_s = time.monotonic() - began_s
        status = narrators.status()
    assert len(answers) == len(work)
    assert all(isinstance(answer, Rendered) and answer.finite for answer in answers)
    assert sum(worker.restarts for worker in status.workers) == 0
    doings = log.read_text().split("\n")
    assert doings.count("took") >= 3
    audio_s = sum(answer.duration_s for answer in answers)
    changed = sum(bool(answer.fallback) for answer in answers)
    print(f"\n{audio_s:.0f} s of audio in {wall_s:.0f} s: {audio_s / wall_s:.1f} × realtime; {changed} with fallbacks")
    print(f"the neighbour: {doings.count('took')} times 2 GB, {doings.count('found no room')} times without room")
    print(f"waited {waits} times because not even a row fitted")


def test_workers_that_are_idle_give_the_whole_card_back(weights, tmp_path):
    before_mb = used_mb()
    with closing(pool(weights, tmp_path / "takes", idle_s=1.0)) as narrators:
        work = list(utterances(narrators.info, 4))
        assert len([answer for batch in narrators.run(work) for answer in batch]) == len(work)
        held_mb = used_mb() - before_mb
        assert held_mb > 1024
        give_up_s = time.monotonic() + 60
        while narrators.status().workers[0].pid is not None or used_mb() > before_mb + 16:
            assert time.monotonic() < give_up_s, f"{used_mb() - before_mb} MB are held"
            time.sleep(0.1)
        print(f"\nheld {held_mb} MB while it spoke, {used_mb() - before_mb} MB when it was idle")
        assert len([answer for batch in narrators.run(work) for answer in batch]) == len(work)  # and it comes again
