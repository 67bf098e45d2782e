"""Signals, sent for real: to this process, and where they may end it, to another."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from speedd.service.signals import stop_on_signals


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_even_while_it_is_waited_for(signum):
    stop = threading.Event()
    restore = stop_on_signals(stop)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signum)).start()
        assert stop.wait(10)
    finally:
        restore()


def test_hangup_looks_at_the_inbox_and_stops_nothing():
    stop, looked = threading.Event(), threading.Event()
    restore = stop_on_signals(stop, rescan=looked)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        assert looked.wait(10)
        assert not stop.is_set()
    finally:
        restore()


def test_former_handlers_come_back():
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    stop_on_signals(threading.Event())()
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before


STUBBORN = """
import threading
from speedd.service.signals import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
print("waiting", flush=True)
stop.wait()
print("stopping", flush=True)
threading.Event().wait()
"""


def test_a_second_interrupt_ends_the_program_at_once():
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout.readline() == "waiting\n"
        program.send_signal(signal.SIGHUP)
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "stopping\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == -signal.SIGINT
