"""What is written stays, and where it cannot, that is told."""

import errno
import os
import stat

import pytest

from speedd.common.durable import make_folder, sync_folder, sync_tree, write_whole


def refuse(monkeypatch, code, *, folders=True):
    """Let every fsync of folders, or of files, fail."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == folders:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_sync_folders_is_no_reason_to_stop(tmp_path, monkeypatch, code):
    refuse(monkeypatch, code)
    make_folder(tmp_path / "a" / "b")
    write_whole(tmp_path / "a" / "b" / "file", b"whole")
    sync_tree(tmp_path)
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"whole"


def test_a_failing_disk_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    refuse(monkeypatch, errno.EIO)
    for step in (sync_folder, sync_tree, lambda folder: make_folder(folder / "new")):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            step(tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"old")
    refuse(monkeypatch, errno.ENOSPC, folders=False)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}
