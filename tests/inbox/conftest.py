"""What the tests of the inbox share: its folders, acting as a user without rights, and a disk that is soon full."""

import os
import pickle
import subprocess
import tempfile
import traceback
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def open_folder():
    """A folder that any user can get to; pytest's own belong to the user who runs the tests alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def as_nobody():
    """Call a function in a forked process of the user nobody; returns what it returns, or its exception."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")

    def call(function):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                try:
                    answer = (function(), None)
                except Exception as error:  # noqa: BLE001 - it travels to the test
                    answer = (None, error)
                os.write(writer, pickle.dumps(answer))
            except BaseException:  # noqa: BLE001 - a forked child must not run on into pytest
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            answer = pickle.loads(pipe.read())
        os.waitpid(child, 0)
        return answer

    return call


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
