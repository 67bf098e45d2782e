"""What is written stays: through a crash, and through a power cut.

One policy. A file's content is synced before its name is made or moved, and the folder after, because the name lives in
it. An error of a sync is the caller's to tell, with one exception: CIFS and some FUSE file systems cannot sync folders,
and there nothing more can be done.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO, Any, Final

_CANNOT_SYNC_FOLDERS: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES})


def sync_file(file: IO[Any]) -> None:
    """Make what was written to an open file survive a power cut.

    Raises:
        OSError: if the disk does not take it.
    """
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed or removed in a folder survive a power cut, where the file system can.

    Raises:
        OSError: if the disk does not take it.
    """
    try:
        _sync(folder, os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise


def sync_tree(folder: Path) -> None:
    """Make a folder and all that is in it survive a power cut. The folder's own name is its parent's.

    Raises:
        OSError: if the disk does not take it.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():
            continue
        if path.is_dir():
            sync_folder(path)
        else:
            _sync(path)
    sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make a folder that survives a power cut, if it is not there; those above it are made too.

    Raises:
        OSError: if it cannot be made; FileExistsError if a file is in its way.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def write_whole(path: Path, data: bytes | memoryview, *, partial: Path | None = None) -> None:
    """Write a file so that all of it is there or nothing. When this returns it survives a power cut.

    Args:
        path: where to; what is there is replaced.
        data: all of it.
        partial: where it is written first, on the same file system; by default beside it.

    Raises:
        OSError: if the disk does not take it; then nothing half written is left behind.
    """
    partial = partial or path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            sync_file(file)
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
