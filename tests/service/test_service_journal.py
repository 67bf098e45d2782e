"""The journal's sender, against a real journald where there is one and a real socket everywhere."""

import contextlib
import json
import socket
import threading

import pytest

from speedd.config import LogSettings
from speedd.service.journal import JournalSender, LogEntry, encode_fields
from speedd.service.logging import configure_logging, get_logger


@pytest.fixture
def sender(tmp_path):
    """Make a sender; the lines that find no journal are in ``sender.lines``."""
    senders = []

    def make(address, **options):
        lines = []
        made = JournalSender(
            fallback=lines.append,
            describe_loss=lambda count: LogEntry({"EVENT": "log.dropped", "ENTRIES": str(count)}, f"lost {count}"),
            address=address,
            **{"capacity": 4096, **options},
        )
        made.lines = lines
        senders.append(made)
        return made

    yield make
    for made in senders:
        made.close(0)


def entry(number):
    return LogEntry({"MESSAGE": f"entry {number}", "NUMBER": str(number)}, f"line {number}")


def test_one_line_and_several_are_written_in_their_forms():
    fields = {"MESSAGE": "Emma is ready", "TRACE": "a\nb=c", "EMPTY": ""}
    expected = b"MESSAGE=Emma is ready\nTRACE\n\x05\0\0\0\0\0\0\0a\nb=c\nEMPTY=\n"
    assert encode_fields(fields) == expected


@pytest.mark.parametrize("name", ["message", "_PID", "1ST", "A-B", "", "É", "A=B\nPRIORITY", "A" * 65])
def test_a_bad_name_is_never_sent(name):
    assert encode_fields({name: "x", "GOOD": "y"}) == b"GOOD=y\n"


def test_a_surrogate_is_escaped():
    assert encode_fields({"A": "caf\udce9"}) == b"A=caf\\udce9\n"


@pytest.mark.systemd
def test_journald_gives_back_what_was_sent(journald, sender):
    fields = {
        "MESSAGE": "“Emma” 🎧",
        "TRACE": "one\ntwo",
        "PRIORITY": "4",
        "LONG": "x" * 1_000_000,  # far over a datagram: goes as a sealed file
        "bad name": "never sent",
    }
    made = sender(journald.socket)
    made.send(LogEntry(fields, ""))
    made.close(10)
    (got,) = journald.entries("PRIORITY=4")
    assert {name: got[name] for name in fields if name != "bad name"} == {
        name: value for name, value in fields.items() if name != "bad name"
    }
    assert not {"bad name", "BAD NAME"} & set(got)
    assert (made.dropped, made.diverted) == (0, 0)


@pytest.mark.systemd
@pytest.mark.fault
def test_a_frozen_journald_holds_up_nobody_and_hears_later_what_it_missed(journald, sender):
    made = sender(journald.socket, capacity=50)
    journald.freeze()
    for number in range(500):
        made.send(entry(number))  # would hang here, and the test with it
    dropped = made.dropped
    assert dropped > 0
    journald.thaw()
    made.close(60)
    got = journald.entries()
    numbers = [int(one["NUMBER"]) for one in got if "NUMBER" in one]
    assert len(numbers) == 500 - dropped
    assert numbers == sorted(numbers)
    assert sum(int(one["ENTRIES"]) for one in got if one.get("EVENT") == "log.dropped") == dropped
    assert made.lines == []


@pytest.mark.systemd
@pytest.mark.fault
def test_the_log_of_a_program_goes_on_over_a_frozen_journald(journald, tmp_path):
    with (
        (tmp_path / "stderr").open("w") as stream,
        configure_logging(
            LogSettings(target="journal"), run_id="run-1", environment={}, stream=stream, journal_socket=journald.socket
        ) as handle,
    ):
        log = get_logger()
        journald.freeze()
        for number in range(5000):
            log.info("job.accepted", book=f"Book {number}", job="abc", src_path="/in/b\udce9.txt")
        dropped = handle.dropped
        assert dropped > 0
        journald.thaw()
        handle.close(60)
    accepted = journald.entries("EVENT=job.accepted")
    assert len(accepted) == 5000 - dropped
    told = {name: accepted[0][name] for name in ("MESSAGE", "BOOK", "JOB", "SRC_PATH", "RUN_ID", "SCHEMA", "PRIORITY")}
    assert told == {
        "MESSAGE": "Accepted Book 0.",
        "BOOK": "Book 0",
        "JOB": "abc",
        "SRC_PATH": "/in/b\\xe9.txt",
        "RUN_ID": "run-1",
        "SCHEMA": "1",
        "PRIORITY": "6",
    }
    losses = journald.entries("EVENT=log.dropped")
    assert sum(int(loss["ENTRIES"]) for loss in losses) == dropped
    assert losses[0]["MESSAGE"] == f"{losses[0]['ENTRIES']} log entries were lost while the journal was busy."
    assert (tmp_path / "stderr").read_text() == ""


def test_closing_over_a_frozen_journald_gives_up_and_says_what_was_lost(tmp_path, sender):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as frozen:
        frozen.bind(str(tmp_path / "socket"))  # nobody ever reads it
        fill(frozen.getsockname())
        made = sender(tmp_path / "socket", capacity=100)
        for number in range(100):
            made.send(entry(number))
        made.close(0.1)
        made.send(entry(100))
    assert made.lines == [f"lost {made.dropped - 1}"]
    assert made.dropped == 101


def test_without_a_journald_entries_go_to_stderr_until_it_is_there(tmp_path, sender):
    address = tmp_path / "socket"
    made = sender(address)
    made.send(entry(1))
    wait_until(lambda: made.lines == ["line 1"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as back:
        back.bind(str(address))
        back.settimeout(10)
        made.send(entry(2))
        assert back.recv(4096) == b"MESSAGE=entry 2\nNUMBER=2\n"
    made.send(entry(3))  # its socket's file is there, but nobody listens
    wait_until(lambda: made.lines == ["line 1", "line 3"])
    address.unlink()
    made.send(entry(4))
    made.close(10)
    assert made.lines == ["line 1", "line 3", "line 4"]
    assert (made.diverted, made.dropped) == (3, 0)


def test_a_program_without_a_journald_writes_json_to_stderr(tmp_path):
    with (
        (tmp_path / "stderr").open("w") as stream,
        configure_logging(
            LogSettings(target="journal"), run_id="r", environment={}, stream=stream, journal_socket=tmp_path / "none"
        ),
    ):
        get_logger().info("job.accepted", book="Emma")
    line = json.loads((tmp_path / "stderr").read_text())
    assert (line["event"], line["message"]) == ("job.accepted", "Accepted Emma.")


def fill(address):
    """Send to a socket until it takes no more, from several others: each may only have so much under way."""
    for _ in range(10):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"MESSAGE=filler\n", address)


def wait_until(condition):
    while not condition():
        threading.Event().wait(0.01)  # pytest's timeout ends it
