"""Nobody is told that a book is read: no name is asked for, and nothing of onnxruntime's telemetry is left on the disk.

onnxruntime writes its device id and its events down while it is imported, but asks for the name of its maker only some
nine seconds later. The commands here may end before that: the files are the surer sign.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import recording_resolver
from recording_resolver import OWN_QUESTION, RESOLV_CONF
from speedd_sandbox import wait_until

from speedd.commands.bench.naive import write_speaker
from speedd.engines.base import EngineOptions
from speedd.engines.hibari import FACTORY
from speedd.model import Style, Utterance

TELEMETRY = ".onnxruntime"
QUIETEN = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "TF_BUILD", "BUILD_ID")
"""Variables with which onnxruntime tells nobody: by its own switch, or because it takes the machine for one of a CI."""
LIBRARY = """
import multiprocessing
from speedd.engines.hibari.engine import FACTORY

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=FACTORY.load, args=({},))
    child.start()
    FACTORY.load({}).close()
    child.join()
    raise SystemExit(child.exitcode)
"""


@pytest.fixture
def names(tmp_path):
    return tmp_path / "names"


@pytest.fixture
def unheard(tmp_path, names):
    """A new user on a machine without a network, who has never heard of telemetry. To be put before a command."""
    settings, home, cache = tmp_path / "resolv.conf", tmp_path / "home", tmp_path / "cache"
    settings.write_text(RESOLV_CONF)
    home.mkdir()
    mount = f'mount --bind {settings} /etc/resolv.conf; exec "$@"'
    here = ["unshare", "--net", "--mount", "sh", "-euc", mount, "sh", sys.executable, recording_resolver.__file__]
    tried = subprocess.run([*here, "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespace with a name server of its own here: {tried.stderr.strip()}")
    hushed = [f"-u{name}" for name in QUIETEN]
    return [*here, names, "env", *hushed, f"HOME={home}", f"XDG_CACHE_HOME={cache}"]


def narrate(sandbox, _):
    book = sandbox.root / "Small.txt"
    book.write_text("The clock stood in the hall.")
    return [Path(sys.executable).with_name("speedd"), "narrate", book, "--config", sandbox.config, "-o", sandbox.outbox]


def run_once(sandbox, _):
    sandbox.drop("Small.txt", "Nobody wound it.")
    return [sys.executable, "-m", "speedd", "run", "--once", "--config", sandbox.config]


def library(_, folder):
    script = folder / "library.py"
    script.write_text(LIBRARY)
    return [sys.executable, script]


def bench(_, folder):
    order = folder / "order.json"
    options = EngineOptions(None)
    (voice, *_) = FACTORY.describe(options).voices
    speaker = write_speaker(("hibari", options, [Utterance("0", "Nobody.", voice, Style(), 0)]), folder)
    order.write_text(json.dumps({"what": "speak", **speaker}, default=str))
    return [sys.executable, "-m", "speedd.commands.bench.naive", order, folder / "result.json"]


@pytest.mark.parametrize("way", [narrate, run_once, library, bench])
def test_who_speaks_asks_for_no_name_and_leaves_no_telemetry(sandbox, tmp_path, names, unheard, way):
    sandbox.configure(engine={"name": "hibari", "workers": 1})
    done = subprocess.run([*unheard, *way(sandbox, tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(names.read_text().split()) == {OWN_QUESTION}
    assert not [path for path in tmp_path.rglob("*") if TELEMETRY in path.name]


@pytest.mark.slow
def test_onnxruntime_by_itself_would_tell(tmp_path, names, unheard):
    """Should this fail with a newer onnxruntime, there may be nothing left that has to be turned off."""
    command = [*unheard, sys.executable, "-c", "import onnxruntime, time; time.sleep(600)"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        asked = wait_until(lambda: names.exists() and set(names.read_text().split()) - {OWN_QUESTION})
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert any(name.endswith("microsoft.com") for name in asked)
    assert [path for path in tmp_path.rglob("*") if path.name == TELEMETRY]
