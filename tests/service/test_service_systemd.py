"""Under a real systemd: the notify protocol, and the whole service by its own unit."""

import json
import sys
import sysconfig
import textwrap
import time
from pathlib import Path

import pytest
from service_machine import Machine

ROOT = Path(__file__).resolve().parents[2]

WARNING = 4

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


def python_in(place: str) -> tuple[dict[str, Path], str, str]:
    """What to bind, the interpreter and the PYTHONPATH that run this very speedd in a machine as any user."""
    binds = {
        f"{place}/python": Path(sys.base_prefix),
        f"{place}/libraries": Path(sysconfig.get_path("purelib")),
        f"{place}/source": ROOT,
    }
    interpreter = f"{place}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    return binds, interpreter, f"{place}/source:{place}/libraries"


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


@pytest.fixture
def machine(boot):
    """A machine on which speedd is installed as systemd/README.md says, its unit unchanged but for where Python is."""
    binds, interpreter, path = python_in("/opt/speedd")
    units = {
        "speedd.service": (ROOT / "systemd" / "speedd.service").read_text(),
        "speedd.service.d/python.conf": (
            f"[Service]\nExecStart=\nExecStart={interpreter} -m speedd run\nEnvironment=PYTHONPATH={path}\n"
            "Nice=0\n"  # so that a busy machine does not keep the test waiting
        ),
    }
    with boot(units, binds=binds) as machine:
        machine.run("systemd-sysusers", "/opt/speedd/source/systemd/speedd.sysusers.conf")
        machine.run("systemd-tmpfiles", "--create", "/opt/speedd/source/systemd/speedd.tmpfiles.conf")
        configure(machine, "[inbox]\nsettle_s = 0.5\n[engine]\nname = 'hibari'\n")
        yield machine


def test_a_dropped_book_is_published_and_the_journal_tells_the_story(machine):
    machine.run("systemctl", "start", "speedd")
    assert machine.show("speedd", "StatusText") == "Waiting for books."
    drop(machine, "Three Sentences.txt", "Chapter I\n\nIt was late. The sandbox was still. Nobody spoke.\n")
    (published,) = wait_for(lambda: journal(machine, "EVENT=job.published"), machine)
    machine.run("systemctl", "stop", "speedd")
    assert ended_well(machine)

    (accepted,) = journal(machine, "EVENT=job.accepted")
    assert accepted["MESSAGE"] == "Accepted Three Sentences."
    assert accepted["SRC_PATH"] == "/var/lib/speedd/inbox/Three Sentences.txt"
    out = published["OUT_PATH"]
    assert published["MESSAGE"] == f"Published Three Sentences in {out}."
    assert published["BOOK"] == "Three Sentences"
    assert published["JOB"] == accepted["JOB"]
    assert (published["PRIORITY"], published["SCHEMA"], published["_SYSTEMD_UNIT"]) == ("6", "1", "speedd.service")
    story = journal(machine, f"RUN_ID={published['RUN_ID']}")
    events = [entry["EVENT"] for entry in story]
    assert (events[0], events[-1]) == ("service.started", "service.stopped")
    assert {"service.ready", "job.started", "engine.chosen", "job.planned"} <= set(events)
    assert [entry["MESSAGE"] for entry in story if int(entry["PRIORITY"]) <= WARNING] == []

    files = machine.run("find", out, "-type", "f", "-printf", "%f %U:%g %M\\n").stdout.splitlines()
    (audio,) = [file for file in files if file.split(":")[0].rsplit(" ", 1)[0].endswith(".m4b")]
    speedd_uid = machine.run("id", "-u", "speedd").stdout.strip()
    assert audio.endswith(f"{speedd_uid}:media -rw-rw-r--")
    assert machine.run("ls", "/var/lib/speedd/inbox/_done").stdout.strip() == "Three Sentences.txt"


def test_a_stop_in_mid_book_ends_well_and_the_next_start_goes_on(machine):
    machine.run("systemctl", "start", "speedd")
    sentences = (f"Sentence {number} of this book is about as long as others are.\n\n" for number in range(150))
    drop(machine, "Long.txt", "Chapter I\n\n" + "".join(sentences))
    wait_for(lambda: journal(machine, "EVENT=job.progress"), machine)
    machine.run("systemctl", "stop", "speedd")
    assert ended_well(machine)
    assert journal(machine, "EVENT=job.published") == []
    machine.run("systemctl", "start", "speedd")
    (published,) = wait_for(lambda: journal(machine, "EVENT=job.published"), machine)
    first, second = journal(machine, "EVENT=job.started")
    assert first["JOB"] == second["JOB"] == published["JOB"]
    assert first["RUN_ID"] != second["RUN_ID"] == published["RUN_ID"]
    spoken = [int(entry["CHUNK"]) for entry in journal(machine, "EVENT=job.progress")]
    assert spoken == sorted(spoken)  # nothing was spoken twice


def test_a_wrong_configuration_is_named_and_not_tried_again(machine):
    configure(machine, "[inbox]\nsetle_s = 3\n")
    assert machine.run("systemctl", "start", "speedd", check=False).returncode != 0
    assert machine.show("speedd", "ExecMainStatus") == "78"
    assert machine.show("speedd", "NRestarts") == "0"
    assert machine.show("speedd", "ActiveState") == "failed"
    assert any("inbox.setle_s: there is no such setting" in entry["MESSAGE"] for entry in journal(machine))


def configure(machine: Machine, text: str) -> None:
    file = machine.outside("/etc/speedd/speedd.toml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def drop(machine: Machine, name: str, text: str) -> None:
    machine.outside(f"/var/lib/speedd/inbox/{name}").write_text(text)


def ended_well(machine: Machine) -> bool:
    """Whether it exited 0 in time and left no process behind."""
    told = {name: machine.show("speedd", name) for name in ("Result", "ExecMainStatus", "ActiveState", "NRestarts")}
    assert told == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive", "NRestarts": "0"}
    return machine.run("pgrep", "-u", "speedd", check=False).stdout == ""


def wait_for(condition, machine: Machine):
    """Return what the condition returns once it is true; say what the service logged if it never is."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        if time.monotonic() > deadline or machine.show("speedd", "ActiveState") != "active":
            told = machine.run("journalctl", "-u", "speedd", "-o", "short-monotonic", "--no-pager").stdout
            raise AssertionError(f"it never came:\n{told}")
        time.sleep(0.2)
    return found


def journal(machine: Machine, *matches: str) -> list[dict[str, str]]:
    """Return the journal's entries with these fields."""
    machine.run("journalctl", "--sync")
    out = machine.run("journalctl", "-o", "json", "--all", "--no-pager", *matches).stdout
    return [json.loads(line) for line in out.splitlines()]
