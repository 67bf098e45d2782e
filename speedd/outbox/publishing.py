"""Put a finished audiobook into the outbox: all at once or not at all, and never over something else.

A title is built in a dot folder of the outbox, ``.speedd-<job id>``, so on the same file system and unseen by audiobook
servers. Everything in it is made durable, then one rename puts it in place, and the rename is made durable. Whatever
the point of a crash, there is either no title folder or a whole one; `find_published` tells which.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from functools import cache
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from speedd.common.durable import make_folder, sync_folder, sync_tree
from speedd.errors import PASSING, PublishError, TryAgainError
from speedd.outbox.layout import RUN_LOG_NAME
from speedd.outbox.runlog import read_header

STAGING_PREFIX = ".speedd-"

_JOB_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_RENAME_NOREPLACE = 1  # linux/fs.h
_AT_FDCWD = -100  # linux/fcntl.h

_NO_RENAMEAT2 = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""An old kernel, or a file system (NFS, CIFS, FUSE) that cannot promise not to replace."""
_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR})


@contextlib.contextmanager
def plain_errors(doing: str) -> Iterator[None]:
    """Say in plain words what the outbox's file system refused.

    Args:
        doing: what could not be done: "write into /srv/audiobooks".
    Raises:
        TryAgainError: if the cause passes: a full or read-only disk, a share that is gone.
        PublishError: for any other `OSError`.
    """
    try:
        yield
    except OSError as error:
        if reason := PASSING.get(error.errno or 0):
            raise TryAgainError(
                f"Cannot {doing}: {reason}.", hint="It goes on by itself when that is mended."
            ) from error
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM):
            hint = "Give the user that speedd runs as the right to write there."
        elif error.errno == errno.EXDEV:
            hint = "The outbox must lie on one disk, without mounts or links to others inside it."
        raise PublishError(f"Cannot {doing}: {os.strerror(error.errno or 0)}.", hint=hint) from error


def make_staging(outbox: Path, job_id: str) -> Path:
    """Make an empty folder to build a title in. What an earlier attempt of the job left there is removed.

    Raises:
        TryAgainError: if the outbox is not there or cannot be written for now. It is not made here: where a disk is
            not mounted, the book would land under its mount point.
        PublishError: if it cannot be written at all.
    """
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError(f"{job_id!r} is no id of a job")
    if not outbox.is_dir():
        raise TryAgainError(f"There is no outbox at {outbox}.", hint="Is its disk mounted? Else make the folder.")
    staged = outbox / f"{STAGING_PREFIX}{job_id}"
    abandon(staged)
    with plain_errors(f"write into the outbox {outbox}"):
        staged.mkdir()
    return staged


def publish(staged: Path, outbox: Path, folder: PurePosixPath) -> Path:
    """Move a finished staging folder into place.

    If the folder exists, `` (2)``, `` (3)`` … is added to its name, unless it holds the output of this very job and
    edition, which is then the result: an earlier attempt had already come this far.

    Args:
        staged: from `make_staging`, holding at least a run log.
        outbox: where it was staged.
        folder: where it goes, relative to the outbox (see `title_folder`).
    Returns:
        The published folder.
    Raises:
        TryAgainError: if the cause passes; the staging folder is still there.
        PublishError: if the outbox will not take it.
    """
    if folder.is_absolute() or ".." in folder.parts or not folder.name:
        raise ValueError(f"{folder} leads out of the outbox")
    head = read_header(staged / RUN_LOG_NAME)
    if head is None:
        raise PublishError(f"{staged} holds no run log, so it is not finished.")
    if published := find_published(outbox, folder, str(head["job_id"]), edition=int(head["edition"])):
        abandon(staged)
        return published
    with plain_errors(f"put the audiobook into {outbox / folder}"):
        _set_modes(staged)
        sync_tree(staged)
        parent = _make_folders(outbox, folder.parent)
        names = chain((folder.name,), (f"{folder.name} ({number})" for number in count(2)))
        target = next(target for name in names if _rename_to_new(staged, target := parent / name))
        sync_folder(parent)
        sync_folder(outbox)
    return target


def find_published(outbox: Path, folder: PurePosixPath, job_id: str, *, edition: int = 1) -> Path | None:
    """Find what a job has published under this folder's name or a numbered one, if it has.

    The attempt that put it there may have ended before its rename was durable, so that is made up for.

    Raises:
        TryAgainError: if the outbox cannot be read for now.
        PublishError: if it cannot be read at all.
    """
    wanted = re.compile(re.escape(folder.name) + r"(?: \(\d+\))?")
    with plain_errors(f"read the outbox {outbox}"):
        try:
            entries = sorted(os.listdir(outbox / folder.parent))  # noqa: PTH208 - names are enough
        except (FileNotFoundError, NotADirectoryError):
            return None
        for name in filter(wanted.fullmatch, entries):
            candidate = outbox / folder.parent / name
            head = read_header(candidate / RUN_LOG_NAME)
            if head and (head.get("job_id"), head.get("edition")) == (job_id, edition):
                for above in folder.parents:
                    sync_folder(outbox / above)
                return candidate
    return None


def abandon(staged: Path) -> None:
    """Remove a staging folder, if it is there.

    Raises:
        TryAgainError: if it cannot be removed for now.
        PublishError: if it cannot be removed at all.
    """
    if not staged.name.startswith(STAGING_PREFIX):
        raise ValueError(f"{staged} is no staging folder")
    with plain_errors(f"remove {staged}"), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(staged)


def stale_staging(outbox: Path, live: set[str]) -> list[Path]:
    """List the stages whose job is not among the ``live`` ones: left by a crash, to be abandoned.

    Another speedd that shares the outbox has stages too: count its jobs among the live, or do not clean.
    """
    with plain_errors(f"read the outbox {outbox}"):
        found = sorted(outbox.glob(f"{STAGING_PREFIX}*"))
    return [path for path in found if path.is_dir() and path.name.removeprefix(STAGING_PREFIX) not in live]


def _set_modes(staged: Path) -> None:
    """Give every file the mode that the umask grants, whatever it was made with (temporary files come as 0600).

    The staging folder was made by a plain mkdir, so its own mode shows what umask and default ACLs grant; asking for
    the umask would mean setting it, for all threads.
    """
    granted = stat.S_IMODE(staged.stat().st_mode) & 0o777
    for path in staged.rglob("*"):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        mode = granted if stat.S_ISDIR(status.st_mode) else granted & 0o666
        if status.st_mode & 0o777 != mode:
            try:
                path.chmod(stat.S_IMODE(status.st_mode) & ~0o777 | mode)
            except OSError as error:  # exFAT and many shares have no modes to set
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                    raise


def _make_folders(outbox: Path, folder: PurePosixPath) -> Path:
    """Make the folders above a title, durably."""
    path = outbox
    for part in folder.parts:
        path /= part
        try:
            make_folder(path)
        except FileExistsError:
            raise PublishError(f"Cannot make the folder {path}: a file of that name is in the way.") from None
    return path


def _rename_to_new(source: Path, target: Path) -> bool:
    """Rename a folder to a name that is not taken; False if it is."""
    code = _renameat2_noreplace(source, target)
    if code in _NO_RENAMEAT2:
        # A plain rename would replace an empty folder, so look first. What comes between can cost no content: a
        # folder with something in it, and so one of ours, is never replaced.
        if os.path.lexists(target):
            return False
        try:
            source.rename(target)
        except OSError as error:
            code = error.errno or errno.EIO
        else:
            code = 0
    if code in _TAKEN:
        return False
    if code:
        raise OSError(code, os.strerror(code), str(target))
    return True


def _renameat2_noreplace(source: Path, target: Path) -> int:
    """Rename atomically unless the target exists; return 0 or an errno."""
    function = _renameat2()
    if function is None:
        return errno.ENOSYS
    result = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    return ctypes.get_errno() if result else 0


@cache
def _renameat2() -> Any | None:
    """The C library's function (glibc ≥ 2.28, musl ≥ 1.2.4)."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file into a staging folder, indented and in UTF-8; `publish` makes it durable."""
    with path.open("w", encoding="utf-8") as out:
        json.dump(content, out, ensure_ascii=False, indent=2, allow_nan=False)
        out.write("\n")
