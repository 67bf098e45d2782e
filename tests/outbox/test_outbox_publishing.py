"""A title appears whole or not at all, replaces nothing, and is readable for whom the umask says."""

import contextlib
import errno
import json
import os
import stat
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from speedd.errors import PublishError, TryAgainError
from speedd.outbox import publishing
from speedd.outbox.names import safe_name
from speedd.outbox.publishing import (
    abandon,
    find_published,
    make_staging,
    plain_errors,
    publish,
    stale_staging,
    write_json,
)
from speedd.outbox.runlog import RunLog, write_run_log

FOLDER = PurePosixPath("H. G. Wells/The Time Machine")


@pytest.fixture
def outbox(tmp_path):
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


@pytest.fixture(params=["renameat2", "no renameat2"])
def rename(request, monkeypatch):
    """With the atomic rename, and as on a share that has none."""
    if request.param == "no renameat2":
        monkeypatch.setattr(publishing, "_renameat2_noreplace", lambda *_: errno.EINVAL)


def filled(outbox, job_id, *, edition=1, text="audio"):
    """A stage with all that a finished one has."""
    staged = make_staging(outbox, job_id)
    (staged / "Book.m4b").write_text(f"{text} of {job_id}", encoding="utf-8")
    write_json(staged / "metadata.json", {"title": "É"})
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    log = RunLog.model_validate(
        {
            "job_id": job_id,
            "edition": edition,
            "speedd_version": "0",
            "started_at": moment,
            "finished_at": moment,
            "end": {"state": "published"},
            "job_attempts": 1,
            "source": {"name": "b", "digest": "0" * 64, "parts": []},
            "settings": {},
            "seed": 0,
            "hardware": {"cpu_count": 1, "platform": "x"},
        }
    )
    with (staged / "run.json").open("w", encoding="utf-8") as out:
        write_run_log(out, log, [])
    return staged


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def whole(folder, job_id):
    return names_in(folder) == ["Book.m4b", "metadata.json", "run.json"] and job_id in (folder / "Book.m4b").read_text()


def test_a_stage_moves_into_place_whole(outbox, rename):
    staged = filled(outbox, "aaa")
    assert staged.name.startswith("."), "audiobook servers pass over dot folders"
    assert publish(staged, outbox, FOLDER) == outbox / FOLDER
    assert whole(outbox / FOLDER, "aaa")
    assert not staged.exists()
    assert json.loads((outbox / FOLDER / "metadata.json").read_text(encoding="utf-8")) == {"title": "É"}


def test_nothing_is_replaced(outbox, rename):
    """Not a folder with a book, not an empty one, not a file, not a link that leads nowhere."""
    parent = outbox / FOLDER.parent
    (outbox / FOLDER).mkdir(parents=True)
    (outbox / FOLDER / "mine.txt").write_text("mine")
    (parent / f"{FOLDER.name} (2)").mkdir()
    (parent / f"{FOLDER.name} (3)").write_text("a file")
    (parent / f"{FOLDER.name} (4)").symlink_to("nowhere")
    assert publish(filled(outbox, "aaa"), outbox, FOLDER) == parent / f"{FOLDER.name} (5)"
    assert publish(filled(outbox, "bbb"), outbox, FOLDER) == parent / f"{FOLDER.name} (6)"
    assert whole(parent / f"{FOLDER.name} (5)", "aaa")
    assert names_in(outbox / FOLDER) == ["mine.txt"]
    assert names_in(parent / f"{FOLDER.name} (2)") == []
    assert (parent / f"{FOLDER.name} (3)").read_text() == "a file"


def test_what_this_job_published_is_found_and_not_published_twice(outbox):
    (outbox / FOLDER).mkdir(parents=True)
    first = publish(filled(outbox, "aaa"), outbox, FOLDER)
    assert first.name == f"{FOLDER.name} (2)"
    again = filled(outbox, "aaa", text="the same again")
    assert publish(again, outbox, FOLDER) == first
    assert not again.exists()
    assert find_published(outbox, FOLDER, "aaa") == first
    assert find_published(outbox, FOLDER, "bbb") is None
    assert find_published(outbox, FOLDER, "aaa", edition=2) is None
    assert find_published(outbox, PurePosixPath("Nobody/Nothing"), "aaa") is None
    second = publish(filled(outbox, "aaa", edition=2), outbox, FOLDER)
    assert second.name == f"{FOLDER.name} (3)"
    assert find_published(outbox, FOLDER, "aaa", edition=2) == second


def test_a_title_is_not_mistaken_for_a_pattern_or_for_a_longer_one(outbox):
    publish(filled(outbox, "aaa"), outbox, PurePosixPath("A/Title (2) extra"))
    publish(filled(outbox, "aaa"), outbox, PurePosixPath("A/C++ [x]"))
    assert find_published(outbox, PurePosixPath("A/Title"), "aaa") is None
    assert find_published(outbox, PurePosixPath("A/C++ [x]"), "aaa") is not None


def test_publishers_side_by_side_all_find_a_place(outbox, rename):
    jobs = [f"job{number}" for number in range(12)]
    stages = [filled(outbox, job) for job in jobs]
    together = threading.Barrier(len(jobs))
    places = {}

    def go(job, staged):
        together.wait()
        places[job] = publish(staged, outbox, FOLDER)

    threads = [threading.Thread(target=go, args=pair) for pair in zip(jobs, stages, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(places.values())) == len(jobs)
    assert all(whole(place, job) for job, place in places.items())


class Crash(BaseException):
    """The program ends here."""


def test_a_crash_at_any_step_leaves_all_or_nothing(tmp_path, monkeypatch):
    """Every fsync, mkdir and rename in turn does not happen, and nothing after it; then the job is taken up again."""
    steps_seen = 0
    for crash_at in range(100):
        outbox = tmp_path / str(crash_at)
        outbox.mkdir()
        staged = filled(outbox, "aaa")
        steps = 0

        def counted(step, crash_at=crash_at):
            def instead(*args, **kwargs):
                nonlocal steps
                steps += 1
                if steps > crash_at:
                    raise Crash
                return step(*args, **kwargs)

            return instead

        with monkeypatch.context() as patch:
            patch.setattr(publishing.os, "fsync", counted(os.fsync))
            patch.setattr(publishing.Path, "mkdir", counted(publishing.Path.mkdir))
            patch.setattr(publishing, "_rename_to_new", counted(publishing._rename_to_new))
            try:
                publish(staged, outbox, FOLDER)
            except Crash:
                crashed = True
            else:
                crashed = False
        assert not (outbox / FOLDER).exists() or whole(outbox / FOLDER, "aaa")
        found = find_published(outbox, FOLDER, "aaa")
        assert found or staged.exists()
        assert publish(filled(outbox, "aaa"), outbox, FOLDER) == outbox / FOLDER
        assert whole(outbox / FOLDER, "aaa")
        assert names_in(outbox) == [FOLDER.parts[0]]
        if not crashed:
            steps_seen = steps
            break
    assert steps_seen >= 8  # three files, the stage, the author's folder and its parent, the rename, and both again


def test_everything_is_durable_before_the_rename(outbox, monkeypatch):
    synced = []
    real = os.fsync

    def noted(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    def renamed(source, target):
        synced.append("rename")
        source.rename(target)
        return True

    monkeypatch.setattr(publishing.os, "fsync", noted)
    monkeypatch.setattr(publishing, "_rename_to_new", renamed)
    staged = filled(outbox, "aaa")
    content = {str(staged / name) for name in names_in(staged)}
    publish(staged, outbox, FOLDER)
    before, after = synced[: synced.index("rename")], synced[synced.index("rename") + 1 :]
    assert content | {str(staged), str(outbox)} == set(before)
    assert before.index(str(staged)) > max(before.index(name) for name in content)
    assert str(outbox / FOLDER.parent) in after


@pytest.mark.parametrize(("umask", "file_mode", "folder_mode"), [(0o002, 0o664, 0o775), (0o027, 0o640, 0o750)])
def test_modes_follow_the_umask_and_the_group_of_the_outbox(outbox, umask, file_mode, folder_mode):
    group = 54321 if os.geteuid() == 0 else os.getegid()
    os.chown(outbox, -1, group)
    outbox.chmod(0o2775)
    before = os.umask(umask)
    try:
        staged = filled(outbox, "aaa")
        (staged / "Book.m4b").chmod(0o600)  # as tempfile makes it
        (staged / "run.json").chmod(0o755)
        published = publish(staged, outbox, FOLDER)
    finally:
        os.umask(before)
    for folder in (published, published.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o2000 | folder_mode
        assert folder.stat().st_gid == group
    for file in published.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == file_mode
        assert file.stat().st_gid == group


@pytest.mark.parametrize("title", ["ü" * 300, "🐉" * 300, "con", "סֵפֶר", "...", ""])
def test_titles_of_any_kind(outbox, title):
    folder = PurePosixPath("A", safe_name(title, 223))
    (outbox / folder).mkdir(parents=True)
    published = publish(filled(outbox, "aaa"), outbox, folder)
    assert published.name == f"{folder.name} (2)"
    assert whole(published, "aaa")


def test_a_stage_without_a_run_log_is_not_finished(outbox):
    staged = make_staging(outbox, "aaa")
    with pytest.raises(PublishError, match="not finished"):
        publish(staged, outbox, FOLDER)
    assert staged.exists()


@pytest.mark.parametrize("folder", ["/etc", "../x", "a/../../x", "."])
def test_a_folder_outside_the_outbox_is_a_mistake_of_ours(outbox, folder):
    with pytest.raises(ValueError, match="leads out"):
        publish(filled(outbox, "aaa"), outbox, PurePosixPath(folder))


@pytest.mark.parametrize("job_id", ["", "..", "a/b", ".a"])
def test_an_id_of_a_job_is_no_path(outbox, job_id):
    with pytest.raises(ValueError, match="no id"):
        make_staging(outbox, job_id)


def test_a_stage_starts_empty_and_goes_without_a_trace(outbox):
    filled(outbox, "aaa")
    staged = make_staging(outbox, "aaa")
    assert list(staged.iterdir()) == []
    abandon(staged)
    abandon(staged)
    assert list(outbox.iterdir()) == []
    with pytest.raises(ValueError, match="no staging folder"):
        abandon(outbox)


def test_stages_left_by_a_crash_are_told_from_live_ones(outbox):
    live, stale = filled(outbox, "aaa"), filled(outbox, "bbb-2")
    (outbox / ".stfolder").mkdir()
    assert stale_staging(outbox, {"aaa"}) == [stale]
    assert stale_staging(outbox, {"aaa", "bbb-2"}) == []
    assert live.exists()


def test_no_outbox_means_wait(tmp_path):
    with pytest.raises(TryAgainError, match="mounted"):
        make_staging(tmp_path / "gone", "aaa")
    assert not (tmp_path / "gone").exists()


def test_a_file_in_the_way_of_the_author_is_named(outbox):
    (outbox / FOLDER.parent).write_text("not a folder")
    with pytest.raises(PublishError, match=r"H\. G\. Wells.*in the way"):
        publish(filled(outbox, "aaa"), outbox, FOLDER)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_what_passes_is_tried_again(outbox, monkeypatch, code):
    staged = filled(outbox, "aaa")

    def failing(_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(publishing.os, "fsync", failing)
        with pytest.raises(TryAgainError):
            publish(staged, outbox, FOLDER)
    assert not (outbox / FOLDER).exists()
    assert publish(staged, outbox, FOLDER) == outbox / FOLDER


def test_what_does_not_pass_is_said_with_advice():
    with pytest.raises(PublishError, match="right to write"), plain_errors("write into /x"):
        raise PermissionError(errno.EACCES, "no")
    with pytest.raises(PublishError, match="one disk"), plain_errors("write into /x"):
        raise OSError(errno.EXDEV, "no")
    with pytest.raises(ZeroDivisionError), plain_errors("write into /x"):
        _ = 1 / 0


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=12", "none", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.fault
def test_a_full_disk_loses_nothing(tiny_disk):
    staged = filled(tiny_disk, "aaa")
    with pytest.raises(TryAgainError, match="full"), plain_errors("write"):
        (staged / "more").write_bytes(bytes(2**20))
    (staged / "more").unlink()
    ballast = []
    with contextlib.suppress(OSError):
        for number in range(100):
            (tiny_disk / str(number)).touch()
            ballast.append(tiny_disk / str(number))
    assert len(ballast) < 100  # no inode is left for the author's folder
    with pytest.raises(TryAgainError, match="full"):
        publish(staged, tiny_disk, FOLDER)
    with pytest.raises(TryAgainError, match="full"):
        make_staging(tiny_disk, "bbb")
    for file in ballast:
        file.unlink()
    assert whole(publish(staged, tiny_disk, FOLDER), "aaa")


@pytest.mark.fault
def test_a_disk_gone_read_only_loses_nothing(tiny_disk):
    staged = filled(tiny_disk, "aaa")
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(TryAgainError, match="read-only"):
        publish(staged, tiny_disk, FOLDER)
    with pytest.raises(TryAgainError, match="read-only"):
        abandon(staged)
    subprocess.run(["mount", "-o", "remount,rw", tiny_disk], check=True)
    assert whole(publish(staged, tiny_disk, FOLDER), "aaa")
