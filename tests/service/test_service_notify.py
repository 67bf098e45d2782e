"""sd_notify against a real datagram socket."""

import os
import socket

import pytest

from speedd.service.notify import Notifier


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


@pytest.fixture
def notifier(listener):
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    yield notifier
    notifier.close()


def received(listener):
    return listener.recv(4096).decode().split("\n")


def test_each_message_is_said_in_systemds_words(listener, notifier):
    notifier.ready("2 books are open")
    assert received(listener) == ["READY=1", "STATUS=2 books are open"]
    notifier.status("Emma: 12 %")
    assert received(listener) == ["STATUS=Emma: 12 %"]
    notifier.watchdog()
    assert received(listener) == ["WATCHDOG=1"]
    notifier.extend_timeout(12.5)
    assert received(listener) == ["EXTEND_TIMEOUT_USEC=12500000"]
    notifier.stopping()
    assert received(listener) == ["STOPPING=1"]


def test_a_status_cannot_smuggle_in_another_message(listener, notifier):
    notifier.status("Emma\nMAINPID=1\r\nSTOPPING=1 \udcff")
    assert received(listener) == ["STATUS=Emma MAINPID=1 STOPPING=1 \\udcff"]


def test_an_abstract_socket_is_reached():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(f"\0speedd-notify-{os.getpid()}")
        notifier = Notifier({"NOTIFY_SOCKET": f"@speedd-notify-{os.getpid()}"})
        notifier.ready()
        assert received(bound) == ["READY=1"]
        notifier.close()


def test_what_a_full_socket_refuses_comes_with_the_next_message(listener, notifier):
    sent = 0
    while not notifier._unsent:  # the kernel takes about a dozen datagrams, then the listener has to read
        notifier.status(f"{sent}")
        sent += 1
    notifier.ready()
    notifier.status("latest")
    for _ in range(sent - 1):
        received(listener)
    notifier.watchdog()
    assert sorted(received(listener)) == ["READY=1", "STATUS=latest", "WATCHDOG=1"]


@pytest.mark.parametrize("place", [None, "", "vsock:2:1234", "/nowhere/at/all"])
def test_without_systemd_it_does_nothing(place):
    notifier = Notifier({} if place is None else {"NOTIFY_SOCKET": place})
    notifier.ready()
    notifier.close()
    notifier.stopping()
    assert notifier.watchdog_s is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdogs_interval_is_read(environment, expected):
    assert Notifier(environment).watchdog_s == expected
