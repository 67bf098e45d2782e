"""Signals, sent for real: to this process, and where they may end it, to another."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

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

# A call of a library that no signal interrupts, and that gives Python's handlers no chance.
DEAF = """
import hashlib, threading
from speedd.service.signals import stop_on_signals
stop, rescan = threading.Event(), threading.Event()
stop_on_signals(stop, rescan=rescan)
def tell(event, name):
    event.wait()
    print(name, flush=True)
threading.Thread(target=tell, args=(rescan, "looking")).start()
threading.Thread(target=tell, args=(stop, "stopping")).start()
print("waiting", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@contextlib.contextmanager
def running(program):
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "waiting\n"
            yield process
        finally:
            process.kill()


def test_a_second_interrupt_ends_the_program_at_once():
    with running(STUBBORN) as program:
        program.send_signal(signal.SIGHUP)
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "stopping\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == -signal.SIGINT


def test_signals_are_heard_while_the_main_thread_is_deaf():
    with running(DEAF) as program:
        time.sleep(0.05)  # so that the call has begun
        program.send_signal(signal.SIGHUP)
        assert program.stdout.readline() == "looking\n"
        program.send_signal(signal.SIGTERM)
        assert program.stdout.readline() == "stopping\n"
        program.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.3)
        program.send_signal(signal.SIGINT)
        assert program.wait(10) == 128 + signal.SIGINT


def test_signals_of_others_stop_nothing():
    stop, came = threading.Event(), threading.Event()
    restore = stop_on_signals(stop)
    former = signal.signal(signal.SIGUSR1, lambda *_: came.set())
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert came.wait(10)
        assert not stop.wait(0.2)
    finally:
        signal.signal(signal.SIGUSR1, former)
        restore()


def test_what_was_told_to_another_reader_is_told_to_it_again():
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told)
    try:
        stop_on_signals(threading.Event())()
    finally:
        found = signal.set_wakeup_fd(before)
        os.close(told)
        os.close(heard)
    assert found == told
