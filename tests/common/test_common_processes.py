"""How a child is started: what it finds, what it gets, what it may use, and that it never outlives its parent."""

import ast
import contextlib
import fnmatch
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from speedd_sandbox import wait_until

from speedd.common.processes import run_child

ROOT = Path(__file__).resolve().parents[2]
TELL = """
import json, os, resource, signal, sys
print(json.dumps({
    "arguments": sys.argv[1:],
    "path": sys.path,
    "environment": dict(os.environ),
    "limits": {name: resource.getrlimit(getattr(resource, name))[0] for name in ("RLIMIT_AS", "RLIMIT_NOFILE")},
    "ignored": [signal.getsignal(each) == signal.SIG_IGN for each in (signal.SIGINT, signal.SIGTERM)],
    "blocked": [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "read": sys.stdin.read(),
}))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make a module that a child can be."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def make(text, name="a_child"):
        (folder / f"{name}.py").write_text(text)
        return name

    return make


def told(name, *arguments, **how):
    done = run_child(name, *arguments, timeout_s=60, **how)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_it_gets_its_arguments_and_its_input(module):
    child = told(module(TELL), "a", 1, Path("/x"), data=b"hello")
    assert (child["arguments"], child["read"]) == (["a", "1", "/x"], "hello")


def test_it_gets_all_of_a_large_input_however_late_it_reads(module):
    late = module("import sys, time; time.sleep(0.5); print(len(sys.stdin.buffer.read()))")
    assert run_child(late, data=bytes(10**6), timeout_s=60).stdout == b"1000000\n"


def test_it_gets_what_it_needs_and_no_secret(module, monkeypatch):
    for name in ("NOTIFY_SOCKET", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PYTHONSTARTUP", "PYTHONINSPECT", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "/secret")
    kept = {"LC_ALL": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "0", "HF_HOME": "/h", "SPEEDD_X": "1", "PYTHONHASHSEED": "7"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    environment = told(module(TELL), environment={"OMP_NUM_THREADS": "3"})["environment"]
    assert kept.items() <= environment.items()
    assert environment["OMP_NUM_THREADS"] == "3"
    assert {environment[name] for name in ("PATH", "HOME")} == {os.environ["PATH"], os.environ["HOME"]}
    assert "/secret" not in environment.values()


def test_its_limits_hold_and_a_lower_one_of_ours_stands(module):
    limits = {resource.RLIMIT_AS: 2**31, resource.RLIMIT_NOFILE: 2**30}
    found = told(module(TELL), limits=limits)["limits"]
    assert found["RLIMIT_AS"] == 2**31
    assert found["RLIMIT_NOFILE"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_its_limits_hold_before_its_module_is_read(module):
    done = run_child(module("hog = bytes(2**30)"), timeout_s=60, limits={resource.RLIMIT_AS: 2**29})
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr


def test_a_signal_to_the_group_is_not_for_it(module):
    child = told(module(TELL))
    assert (child["ignored"], child["blocked"]) == ([True, True], [])
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])  # and we are as we were


def test_it_inherits_the_descriptors_that_are_named_and_no_other(module, tmp_path):
    program = module("import os; print(*sorted(os.listdir('/proc/self/fd'), key=int))")
    with (tmp_path / "file").open("wb") as one, (tmp_path / "other").open("wb") as other:
        for file in (one, other):
            os.set_inheritable(file.fileno(), True)
        held = run_child(program, timeout_s=60, pass_fds=(one.fileno(),)).stdout.split()
        assert str(one.fileno()).encode() in held
        assert str(other.fileno()).encode() not in held


def test_one_that_takes_too_long_or_is_not_wanted_any_more_is_killed(module, tmp_path):
    pid = tmp_path / "pid"
    forever = module(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    with pytest.raises(TimeoutError):
        run_child(forever, timeout_s=0.1)
    with pytest.raises(InterruptedError):
        run_child(forever, timeout_s=60, should_stop=lambda: bool(pid.exists() and pid.read_text()))
    assert not Path(f"/proc/{pid.read_text()}").exists()


PARENT = """
import sys, time
from speedd.common.processes import start_child
print(start_child("a_child").pid, flush=True)
time.sleep(600)
"""


def test_it_dies_with_its_parent(module, tmp_path):
    began = tmp_path / "began"
    module(f"import time; open({str(began)!r}, 'w'); time.sleep(600)")
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as parent:
        pid = int(parent.stdout.readline())
        wait_until(began.exists)
        assert running(pid)
        parent.kill()
    wait_until(lambda: not running(pid))


def running(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_one_whose_parent_is_gone_already_does_not_begin(module, tmp_path):
    module(f"open({str(tmp_path / 'began')!r}, 'w')")
    stranger = str(os.getppid())
    command = [sys.executable, "-P", "-m", "speedd.common.processes", stranger, "", "a_child"]
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 1
    assert not (tmp_path / "began").exists()


# --- what it finds ---------------------------------------------------------------------------------------------------

FIND = """
import json, sys
from speedd.common.processes import run_child
print(run_child("a_child", timeout_s=60).stdout.decode())
"""


def path_of_a_child(here, *how, pythonpath):
    """The import path of a child whose parent was started in a folder."""
    path = os.pathsep.join([*pythonpath, str(ROOT)])
    command = [sys.executable, *how]
    done = subprocess.run(
        command, cwd=here, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=True
    )
    return json.loads(done.stdout)["path"]


@pytest.mark.parametrize("how", [("-c", FIND), ("-m", "a_parent")])
@pytest.mark.parametrize("mistake", [[], [""], ["."]])
def test_it_finds_our_packages_but_nothing_in_the_working_directory(module, tmp_path, how, mistake):
    module(TELL)
    here = tmp_path / "here"
    here.mkdir()
    (here / "a_parent.py").write_text(FIND)
    path = path_of_a_child(here, *how, pythonpath=[*mistake, str(tmp_path / "modules")])
    assert str(tmp_path / "modules") in path
    assert str(ROOT) in path
    assert not {"", ".", str(here)} & set(path)


def test_a_working_directory_that_was_meant_is_found(module, tmp_path):
    module(TELL)
    path = path_of_a_child(tmp_path / "modules", "-c", FIND, pythonpath=[str(tmp_path / "modules")])
    assert str(tmp_path / "modules") in path


# --- that there is no other way --------------------------------------------------------------------------------------

STARTS = (
    *("subprocess.*", "multiprocessing.*", "pty.*", "concurrent.futures.ProcessPoolExecutor"),
    *("os.fork*", "os.exec*", "os.spawn*", "os.posix_spawn*", "os.system", "os.popen", "asyncio.create_subprocess*"),
)
HARMLESS = {
    *("subprocess.TimeoutExpired", "subprocess.DEVNULL"),
    *("multiprocessing.connection.Connection", "multiprocessing.connection.wait"),
}


def names_used(tree):
    """The dotted names that a module imports or asks modules for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, f"{alias.name}.*") for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"


def test_nothing_else_starts_a_process():
    found = [
        f"{file.relative_to(ROOT)}:{line}: {name}"
        for file in (ROOT / "speedd").rglob("*.py")
        for line, name in names_used(ast.parse(file.read_text(encoding="utf-8")))
        if name not in HARMLESS and any(fnmatch.fnmatchcase(name, start) for start in STARTS)
    ]
    assert found
    assert {entry.split(":")[0] for entry in found} == {"speedd/common/processes.py"}, found
