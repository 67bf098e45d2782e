"""The watcher of the cards against the real pynvml: without a driver, and with a driver that has no card."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speedd.execution.pool.gpus import CONTEXT_BYTES

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

PID = 4711
OTHER = 1
ASK = """
import json, sys
import structlog
out = structlog.PrintLoggerFactory(sys.stderr)
structlog.configure(processors=[structlog.processors.JSONRenderer()], logger_factory=out)
from speedd.config import GpuSettings
from speedd.execution.pool.gpus import NvmlGpus
from speedd.execution.pool.yield_policy import YieldPolicy
cards = NvmlGpus()
said = []
for card, workers in json.loads(sys.argv[1]):
    workers = {int(pid): told_bytes for pid, told_bytes in workers.items()}
    use = cards.look(card, workers)
    yield_level = YieldPolicy(GpuSettings(), cards=cards).judge(card, workers, 0.0)[0]
    said.append([use and round(use.others, 3), yield_level.name])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A folder with a management library that knows two cards."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("execution_nvml.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", source], check=True)
    return folder


def ask(*looks, library=None, wrong="", more=""):
    """Look at cards in a process of its own; return what it saw and what it logged."""
    env = {**os.environ, "FAKE_NVML": wrong, "FAKE_NVML_PID": str(PID), "LD_LIBRARY_PATH": str(library or "")}
    ran = subprocess.run(
        [sys.executable, "-c", more + ASK, json.dumps(looks)], env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), [json.loads(line) for line in ran.stderr.splitlines()]


def test_what_others_use_is_all_that_is_not_free_and_not_ours(library):
    seen, logged = ask(["0", {PID: 0}], ["0", {}], ["1", {}], ["GPU-1", {}], library=library)
    assert seen == [[0.625, "SHRINK"], [0.875, "PAUSE"], [0.25, "WORK"], [0.25, "WORK"]]
    assert logged == []


def test_all_of_our_workers_on_a_card_are_ours_and_one_that_has_nothing_yet_hides_nobody(library):
    seen, _ = ask(["0", {PID: 0, OTHER: 0}], ["0", {PID: 0, 99: 0}], library=library)
    assert seen == [[0.0, "WORK"], [0.625, "SHRINK"]]


def test_in_a_container_all_of_them_must_have_said_what_they_have(library):
    told = 2**30 - CONTEXT_BYTES
    seen, _ = ask(["0", {PID: told, 99: told}], ["0", {PID: told, 99: 0}], library=library, wrong="container")
    assert seen == [[0.625, "SHRINK"], [None, "WORK"]]


@pytest.mark.parametrize("wrong", ["lost", "container"])
def test_what_the_driver_cannot_tell_is_no_reason_to_stop(library, wrong):
    assert ask(["0", {PID: 0}], library=library, wrong=wrong) == ([[None, "WORK"]], [])


@pytest.mark.parametrize("pid", [PID, 99])
def test_in_a_container_what_the_worker_says_of_itself_counts(library, pid):
    told = 2 * 2**30 - CONTEXT_BYTES
    seen, _ = ask(["0", {pid: told}], ["0", {pid: 0}], library=library, wrong="container")
    assert seen == [[0.625, "SHRINK"], [None, "WORK"]]


def test_a_card_that_is_not_there_and_a_worker_that_is_not_seen(library):
    assert ask(["2", {}], ["GPU-9", {}], ["0", {99: 0}], library=library) == ([[None, "WORK"]] * 3, [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"more": "import sys; sys.modules['pynvml'] = None\n"}, "the extra speedd[gpu] is not installed"),
        ({}, "NVIDIA's management library says: "),
        ({"wrong": "no driver"}, "NVIDIA's management library says: "),
    ],
)
def test_without_the_extra_or_a_driver_there_is_one_quiet_line(request, given, reason):
    if "wrong" in given:
        given = {**given, "library": request.getfixturevalue("library")}
    seen, (line,) = ask(["0", {PID: 0}], ["0", {}], **given)
    assert seen == [[None, "WORK"]] * 2
    assert line["event"] == "gpu.unwatched"
    assert line["reason"].startswith(reason)
