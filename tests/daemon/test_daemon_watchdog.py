"""The watchdog's ping: a daemon that cannot get rid of a stuck worker keeps silent, so that systemd starts it anew."""

import json
import socket
import threading
from contextlib import suppress

import pytest
import structlog
from speedd_sandbox import wait_until

from speedd.config import load_config
from speedd.daemon import Daemon
from speedd.daemon.app import App
from speedd.pipeline.run_context import RunContext
from speedd.service.notify import Notifier


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def heard(listener):
    """What systemd has been told since the last look, a line each."""
    lines = []
    with suppress(BlockingIOError):
        while True:
            lines += listener.recv(4096).decode().split("\n")
    return lines


@pytest.fixture
def config(tmp_path):
    paths = {name: tmp_path / name for name in ("inbox", "outbox", "state", "voices")}
    sections = {
        "paths": paths,
        "inbox": {"settle_s": 0.1, "scan_s": 0.5},
        "engine": {"name": "hang", "workers": 1},
        "limits": {"chunk_deadline_s": 0.5, "disk_reserve_mb": 0},
    }
    return load_config(overrides=sections, environment={"HOME": "/"})


@pytest.fixture
def daemon(config, listener):
    """A daemon at work in this process; ended at the end."""
    context = RunContext(config=config, log=structlog.get_logger(), run_id="r")
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "1000000"})
    with App(context) as app:
        running = threading.Thread(target=Daemon(app, notifier).run)
        running.start()
        yield context
        context.stop.set()
        context.wake.set()
        running.join()
    notifier.close()


@pytest.mark.slow
def test_a_worker_that_no_signal_ends_is_told_by_silence(daemon, listener, monkeypatch):
    # As one that hangs in a dead driver: it is killed, and nothing happens.
    monkeypatch.setattr("speedd.execution.pool.process.WorkerProcess.kill", lambda _: None)
    monkeypatch.setattr("speedd.execution.pool.supervisor.OVERDUE_S", 0.5)
    wait_until(lambda: "WATCHDOG=1" in heard(listener))
    (daemon.config.paths.inbox / "Hangs.txt").write_text("The engine will HANG on it.")

    def workers():
        engines = json.loads(daemon.state.status.read_text())["engines"]
        return [worker for engine in engines.values() for worker in engine["workers"]]

    wait_until(lambda: any(worker["overdue"] for worker in workers()))
    heard(listener)  # what was said before
    (said,) = wait_until(lambda: heard(listener))  # it goes on looking around, and says all but the one thing
    assert said.startswith("STATUS=Hangs: narrating")
