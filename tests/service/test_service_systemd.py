"""Under a real systemd: the notify protocol, and later the whole service."""

import json
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from service_machine import Machine

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.systemd

TINY = """
import os, threading
from speedd.config import LogSettings
from speedd.service.logging import configure_logging, get_logger
from speedd.service.notify import Notifier
from speedd.service.signals import stop_on_signals

stop = threading.Event()
stop_on_signals(stop)
notifier = Notifier(os.environ)
with configure_logging(LogSettings(), run_id="run-1", environment=os.environ) as handle:
    log = get_logger()
    log.info("job.published", book="Emma", job="abc", out_path="/srv/out/Emma", duration_ms=12, target=handle.target)
    notifier.ready("1 book is open")
    while not stop.wait((notifier.watchdog_s or 2) / 2):
        notifier.watchdog()
    notifier.stopping("handing back")
    log.info("service.stopped")
"""


def python_in(machine_paths: str) -> tuple[dict[str, Path], str, str]:
    """What to bind, the interpreter and the PYTHONPATH that run this very speedd in a machine as any user."""
    binds = {
        f"{machine_paths}/python": Path(sys.base_prefix),
        f"{machine_paths}/libraries": Path(sysconfig.get_path("purelib")),
        f"{machine_paths}/source": ROOT,
    }
    interpreter = f"{machine_paths}/python/bin/python3"
    return binds, interpreter, f"{machine_paths}/source:{machine_paths}/libraries"


def test_a_service_tells_systemd_and_the_journal_what_it_does(boot, tmp_path):
    binds, interpreter, path = python_in("/opt/tiny")
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "tiny.py").write_text(TINY)
    unit = textwrap.dedent(f"""
        [Service]
        Type=notify
        NotifyAccess=main
        WatchdogSec=2
        Environment=PYTHONPATH={path}
        ExecStart={interpreter} /srv/program/tiny.py
        User=nobody
    """)
    with boot({"tiny.service": unit}, binds={**binds, "/srv/program": tmp_path / "program"}) as machine:
        machine.run("systemctl", "start", "tiny")  # returns once READY=1 is there
        assert machine.show("tiny", "StatusText") == "1 book is open"
        assert machine.show("tiny", "NRestarts") == "0"
        machine.run("systemctl", "stop", "tiny")
        assert machine.show("tiny", "Result") == "success"
        assert machine.show("tiny", "ExecMainStatus") == "0"
        entries = journal(machine, "EVENT=job.published")
        told = {name: entries[0][name] for name in ("MESSAGE", "BOOK", "OUT_PATH", "RUN_ID", "PRIORITY", "TARGET")}
        assert told == {
            "MESSAGE": "Published Emma in /srv/out/Emma.",
            "BOOK": "Emma",
            "OUT_PATH": "/srv/out/Emma",
            "RUN_ID": "run-1",
            "PRIORITY": "6",
            "TARGET": "journal",
        }
        assert entries[0]["_SYSTEMD_UNIT"] == "tiny.service"
        assert len(journal(machine, "EVENT=service.stopped")) == 1


def journal(machine: Machine, *matches: str) -> list[dict[str, str]]:
    """Return the journal's entries with these fields."""
    machine.run("journalctl", "--sync")
    out = machine.run("journalctl", "-o", "json", "--all", "--no-pager", *matches).stdout
    return [json.loads(line) for line in out.splitlines()]
