"""A home server's folders with a speedd in them: drop a book, run the program, look at what came out."""

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av

ROOT = Path(__file__).resolve().parent.parent
SPEEDD = [sys.executable, "-m", "speedd"]
PATIENCE_S = 60
"""How long a test waits for what must come; never for a duration to pass."""

STORY = """The clock stood in the hall. It had stood there for a hundred years, and nobody wound it.

“Who winds it?” she asked. Nobody answered her.

The end came quietly in the night. It was over soon.
"""
STORY_CHUNKS = 7
"""Its sentences and the opening that says its title."""


def long_story(sentences: int) -> str:
    """A text of so many sentences, no two alike, in paragraphs of four."""
    numbered = [f"Sentence {number} of the long story went on for a while." for number in range(1, sentences + 1)]
    return "\n\n".join(" ".join(numbered[at : at + 4]) for at in range(0, sentences, 4))


def epub(title: str, text: str = STORY, *, language: str = "en") -> bytes:
    """An EPUB of one untitled chapter; unlike a text file it says its language, which need not be guessed then."""
    paragraphs = "".join(f"<p>{paragraph}</p>" for paragraph in text.split("\n\n"))
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": (
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
        ),
        "book.opf": (
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
            f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">{title}</dc:identifier>'
            f"<dc:title>{title}</dc:title><dc:language>{language}</dc:language></metadata>"
            '<manifest><item id="one" href="one.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="one"/></spine></package>'
        ),
        "one.xhtml": (
            f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{paragraphs}</body></html>'
        ),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time: the same book, the same bytes
    return packed.getvalue()


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it logged on stderr."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any]:
        """The one event of this name."""
        (found,) = [event for event in self.events if event["event"] == name]
        return found


class Audiobook:
    """A published folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def m4b(self) -> Path:
        (path,) = self.folder.glob("*.m4b")
        return path

    @property
    def captions(self) -> str:
        (path,) = self.folder.glob("*.vtt")
        return path.read_text(encoding="utf-8")

    @cached_property
    def run(self) -> dict[str, Any]:
        return json.loads((self.folder / "run.json").read_text(encoding="utf-8"))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return json.loads((self.folder / "metadata.json").read_text(encoding="utf-8"))

    @cached_property
    def plan(self) -> list[dict[str, Any]]:
        """The published chunk JSON, its header first."""
        return json.loads((self.folder / "chunks_info.json").read_text(encoding="utf-8"))

    @property
    def texts(self) -> list[str]:
        return [chunk["text"] for chunk in self.plan if "_metadata" not in chunk]

    @cached_property
    def sound(self) -> str:
        """A digest of the decoded samples."""
        digest = hashlib.sha256()
        with av.open(str(self.m4b)) as container:
            for frame in container.decode(audio=0):
                digest.update(frame.to_ndarray().tobytes())
        return digest.hexdigest()


class Daemon:
    """A speedd in the background, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self._log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait_for(self, event: str, *, times: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait until it has logged an event with these fields so many times; return the last."""

        def found() -> dict[str, Any] | None:
            ended = self.process.poll() is not None
            told = [each for each in self.events if each["event"] == event and fields.items() <= each.items()]
            assert len(told) >= times or not ended, self._log.read_text()
            return told[-1] if len(told) >= times else None

        return wait_until(found)

    def kill(self) -> None:
        """Kill -9 it and all that it started, at one moment, and wait until they are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        wait_until(lambda: not group(self.process.pid))

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


class Sandbox:
    """Inbox, outbox, state and configuration below one folder.

    The engine is `tone` with two workers unless the settings say otherwise.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox, self.outbox, self.state = root / "inbox", root / "outbox", root / "state"
        self.trace = root / "trace"
        for folder in (self.inbox, self.trace):
            folder.mkdir(parents=True)
        self.config = root / "speedd.toml"
        self._settings: dict[str, dict[str, Any]] = {
            "paths": {"inbox": "inbox", "outbox": "outbox", "state": "state", "voices": "voices"},
            "inbox": {"settle_s": 0.1, "scan_s": 0.5},
            "engine": {"name": "tone", "workers": 2},
            "limits": {"disk_reserve_mb": 0},
        }
        self.configure()

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Change settings, section by section."""
        for section, values in sections.items():
            self._settings.setdefault(section, {}).update(values)
        write_toml(self.config, self._settings)

    def drop(self, name: str, content: str | bytes = STORY) -> Path:
        """Put a file into the inbox at once and whole."""
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.root / "unfinished"
        unfinished.write_bytes(content if isinstance(content, bytes) else content.encode())
        unfinished.rename(path)
        return path

    def speedd(
        self,
        *arguments: object,
        env: Mapping[str, str] | None = None,
        wrap: list[str] | None = None,
        within_s: float = 120,
    ) -> Result:
        """Run a command of speedd with this sandbox's configuration."""
        command = [*(wrap or []), *SPEEDD, str(arguments[0]), "--config", str(self.config), *map(str, arguments[1:])]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environment(env), cwd=ROOT, timeout=within_s, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def once(self, *, env: Mapping[str, str] | None = None, wrap: list[str] | None = None) -> Result:
        """Run the daemon once over the inbox."""
        return self.speedd("run", "--once", env=env, wrap=wrap)

    @contextlib.contextmanager
    def daemon(self, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Daemon]:
        """Run the daemon in the background, from when it is ready; at the end nothing of it is left."""
        with self.running(*arguments, env=env) as daemon:
            daemon.wait_for("service.ready")
            yield daemon

    @contextlib.contextmanager
    def running(
        self, *arguments: str, env: Mapping[str, str] | None = None, wrap: list[str] | None = None
    ) -> Iterator[Daemon]:
        """Run the daemon in the background, without waiting until it is ready; at the end nothing of it is left."""
        log = self.root / f"daemon-{time.monotonic_ns()}.log"
        with log.open("w") as err:
            process = subprocess.Popen(
                [*(wrap or []), *SPEEDD, "run", "--config", str(self.config), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                text=True,
                env=self._environment(env),
                cwd=ROOT,
                start_new_session=True,
            )
        daemon = Daemon(process, log)
        try:
            yield daemon
        finally:
            daemon.kill()

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SPEEDD_")}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {**inherited, "PYTHONPATH": path, "SPEEDD_TEST_TRACE": str(self.trace), **(more or {})}

    @property
    def books(self) -> list[Audiobook]:
        """What was published, by folder."""
        return [Audiobook(path.parent) for path in sorted(self.outbox.glob("[!.]*/**/run.json"))]

    @property
    def book(self) -> Audiobook:
        """The one audiobook in the outbox."""
        (book,) = self.books
        return book

    def titled(self, title: str) -> Audiobook:
        """The one audiobook of this title."""
        (book,) = [book for book in self.books if book.run["book"]["title"] == title]
        return book

    @property
    def spoken(self) -> list[str]:
        """The keys of all utterances that an engine began to speak, repetitions included."""
        return [key for path in self.trace.iterdir() for key in path.read_text().splitlines()]

    @property
    def status(self) -> dict[str, Any]:
        result = self.speedd("status", "--json")
        assert result.code == 0, result.err
        return json.loads(result.out)

    def reason(self, name: str) -> str:
        """What was written beside a source that was turned down."""
        return (self.inbox / "_failed" / name / "REASON.txt").read_text(encoding="utf-8")

    def left(self) -> list[str]:
        """What still lies in the inbox itself."""
        return sorted(path.name for path in self.inbox.iterdir() if path.name not in {"_done", "_failed"})


def write_toml(path: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Write sections of plain values; JSON writes those as TOML does."""
    lines = []
    for section, values in settings.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def group(leader: int) -> dict[int, str]:
    """The processes of a group that are alive: their command lines by pid."""
    alive = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, pgrp = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == leader and state not in "ZX":
                alive[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return alive


def wait_until(true: Callable[[], Any], *, within_s: float | None = None) -> Any:
    """Ask until the answer is yes, and return it."""
    deadline = time.monotonic() + (within_s or PATIENCE_S)
    while time.monotonic() < deadline:
        if answer := true():
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not happen")
