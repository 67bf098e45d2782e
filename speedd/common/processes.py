"""The one way to start a child process.

A child is a module of ours in a fresh interpreter. It finds the packages that we find, and nothing that lies in the
working directory by chance: its files may come from anyone. It gets the few variables that it needs, so no secret of
our environment reaches what reads hostile books. It inherits no file but those named. It ignores Ctrl-C and SIGTERM,
which reach the whole process group, because its parent decides; and it dies with its parent. All this, and its resource
limits, is in force before its module is imported: this module starts first and then runs that one.
"""

from __future__ import annotations

import ctypes
import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
POLL_S: Final = 0.2
"""How often `run_child` asks whether to give up."""

_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_SOURCE: Final = str(Path(__file__).parents[2])
"""The folder that holds the package."""

_VARIABLES: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LANGUAGE", "GLIBC_TUNABLES", "PKUSEG_HOME"),
        # The same interpreter with the same packages, text handling and bytecode files. Left out are those that make it
        # do something else (PYTHONSTARTUP, PYTHONINSPECT, PYTHONWARNINGS, which imports, …). PYTHONPATH is made anew.
        *("PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONUTF8", "PYTHONHASHSEED"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONFAULTHANDLER", "PYTHON_CPU_COUNT", "PYTHON_GIL"),
    }
)
_PREFIXES: Final = (
    *("LC_", "LD_", "XDG_", "SPEEDD_"),
    *("ORT_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "DNNL_", "ONEDNN_", "MALLOC_"),
    *("CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "MIOPEN_"),
    *("TORCH", "PYTORCH_", "TRITON_", "TRANSFORMERS_", "HF_"),
)
_SECRETS: Final = frozenset({"HF_TOKEN"})
"""Whoever downloads is no child."""


def start_child(
    module: str,
    *arguments: object,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    pass_fds: Collection[int] = (),
    environment: Mapping[str, str] | None = None,
    limits: Mapping[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module as ``python -m`` would. The calling thread must outlive it: its end kills the child.

    Args:
        module: its full name.
        arguments: what it finds in ``sys.argv``.
        stdin: as of `subprocess.Popen`, like the other two. None is our own.
        stdout: as above.
        stderr: as above.
        pass_fds: the descriptors that it inherits.
        environment: variables on top of those that every child gets.
        limits: the most that it may use, by ``resource.RLIMIT_…``. A lower limit of ours stands.

    Raises:
        OSError: if the machine starts no more processes.
    """
    limited = " ".join(f"{kind}={most}" for kind, most in (limits or {}).items())
    # Until it ignores them, a signal to the process group would end it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        return subprocess.Popen(  # noqa: S603 - our own modules, no shell
            [sys.executable, "-P", "-m", "speedd.common.processes", str(os.getpid()), limited, module]
            + [str(argument) for argument in arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            env=_environment() | dict(environment or {}),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_child(
    module: str,
    *arguments: object,
    data: bytes = b"",
    timeout_s: float,
    should_stop: Callable[[], bool] = lambda: False,
    output: int = subprocess.PIPE,
    **how: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run a child to its end; whatever happens, it is gone when this returns.

    Args:
        module: as of `start_child`, like ``arguments`` and ``how``.
        arguments: as above.
        data: its standard input.
        timeout_s: how long it may take.
        should_stop: asked several times a second whether to give up.
        output: where its two outputs go; by default they are returned.
        how: as above.

    Raises:
        TimeoutError: if it takes longer.
        InterruptedError: if it was given up.
        OSError: if the machine starts no more processes.
    """
    deadline = time.monotonic() + timeout_s
    # In memory and whole: `communicate` loses the rest of what it writes to a pipe when it times out.
    with os.fdopen(os.memfd_create("input"), "w+b") as stdin:
        stdin.write(data)
        stdin.seek(0)
        child = start_child(module, *arguments, stdin=stdin, stdout=output, stderr=output, **how)
    with child:
        try:
            while True:
                try:
                    said = child.communicate(timeout=POLL_S)
                except subprocess.TimeoutExpired:
                    if should_stop():
                        raise InterruptedError(f"{module} was given up") from None
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{module} took longer than {timeout_s:.0f} s") from None
                else:
                    return subprocess.CompletedProcess(child.args, child.returncode, *said)
        finally:
            child.kill()


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if (name in _VARIABLES or name.startswith(_PREFIXES)) and name not in _SECRETS
    }
    return kept | {"PYTHONPATH": os.pathsep.join(_import_path())}


def _import_path() -> Iterator[str]:
    """Yield where we find packages, but for the working directory.

    It is among them where Python was started with ``-m`` or ``-c``, and where PYTHONPATH has an empty entry by mistake.
    It stays if PYTHONPATH names it in full or if we lie in it.
    """
    meant = {_SOURCE, *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    return (entry for entry in sys.path if os.path.isabs(entry) and (entry in meant or not _is_here(entry)))  # noqa: PTH117


def _is_here(folder: str) -> bool:
    try:
        return os.path.samefile(folder, ".")  # noqa: PTH121 - the entries are text
    except OSError:
        return False


def main(arguments: Sequence[str]) -> None:
    """Be the child: tie and limit this process, then run the module."""
    parent, limits, module, *rest = arguments
    for stop in _STOPS:
        signal.signal(stop, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != int(parent):
        os._exit(1)  # it died before we asked
    for limit in limits.split():
        kind, most = map(int, limit.split("="))
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(kind, (most, most))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
