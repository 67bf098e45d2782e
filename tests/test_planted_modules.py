"""Whoever writes into the working directory writes no code that runs: `speedd narrate` in a download folder, say.

Each way in is gone twice. First a spy notes every name that our processes import. Then a file of each name lies in the
working directory, and leaves a mark if it is run.
"""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from speedd_sandbox import epub

from speedd.commands.bench.machine import measure_idle, run_alone
from speedd.commands.bench.naive import write_speaker
from speedd.common.processes import run_child
from speedd.engines.base import EngineOptions, find
from speedd.model import Style, Utterance

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("speedd")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><rect width="2" height="1" fill="#408020"/></svg>'
SPY = """
import os, sys

folder = os.environ["SPEEDD_TEST_IMPORTS"]
way = sys.orig_argv
who = way[way.index("speedd.common.processes") + 3] if "speedd.common.processes" in way else "parent"

def note(event, arguments, told=set()):
    if event == "import" and (name := arguments[0].partition(".")[0]) not in told:
        told.add(name)
        with open(os.path.join(folder, who), "a") as out:
            out.write(name + "\\n")

for name in list(sys.modules):
    note("import", [name])
sys.addaudithook(note)
"""
PLANTED = "open({mark!r}, 'w').close()\nraise ImportError('this was planted')\n"


class Ground:
    """A working directory that anyone may write into, and what our processes import."""

    def __init__(self, base, monkeypatch):
        self.here, self._marks = base / "here", base / "marks"
        self._imports, spy, trace = base / "imports", base / "spy", base / "trace"
        for folder in (self.here, self._marks, self._imports, spy, trace):
            folder.mkdir()
        (spy / "sitecustomize.py").write_text(SPY)
        monkeypatch.syspath_prepend(spy)
        monkeypatch.setenv("PYTHONPATH", str(spy), prepend=os.pathsep)
        monkeypatch.setenv("SPEEDD_TEST_TRACE", str(trace))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        monkeypatch.setenv("SPEEDD_TEST_IMPORTS", str(self._imports))

    def spied(self):
        """The modules of the children that ran (and "parent" for what started them) since it was asked last.

        Returns:
            The names that each imported, or tried to.
        """
        found = {path.name: set(path.read_text().split()) for path in self._imports.iterdir()}
        for path in self._imports.iterdir():
            path.unlink()
        return found

    def plant(self, names):
        """Lay a file of each name into the working directory."""
        for name in names:
            (self.here / f"{name}.py").write_text(PLANTED.format(mark=str(self._marks / name)))

    @property
    def marks(self):
        """The names of the files that were run."""
        return {path.name for path in self._marks.iterdir()}


@pytest.fixture
def ground(tmp_path, monkeypatch):
    return Ground(tmp_path, monkeypatch)


def drawn(title):
    """A book whose cover is a drawing."""
    with zipfile.ZipFile(io.BytesIO(epub(title))) as plain:
        files = {name: plain.read(name).decode() for name in plain.namelist()}
    item = '<manifest><item id="cover" href="cover.svg" media-type="image/svg+xml" properties="cover-image"/>'
    files["book.opf"] = files["book.opf"].replace("<manifest>", item)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as book:
        for name, content in {**files, "cover.svg": SVG}.items():
            book.writestr(name, content)
    return packed.getvalue()


def narrate(sandbox, title):
    book = sandbox.root / f"{title}.epub"
    book.write_bytes(drawn(title))
    return [COMMAND, "narrate", book, "--config", sandbox.config, "-o", sandbox.outbox]


def run_once(sandbox, title):
    sandbox.drop(f"{title}.epub", drawn(title))
    return [sys.executable, "-m", "speedd", "run", "--once", "--config", sandbox.config]


def of_python(ground):
    """What is out of our hands: what -m names, and what Python imports before it runs that."""
    (ground.here / "nothing.py").touch()
    subprocess.run([sys.executable, "-m", "nothing"], cwd=ground.here, check=True)
    return ground.spied()["parent"] | {"speedd"}


@pytest.mark.parametrize(("way", "engine"), [(narrate, "hibari"), (run_once, "tone")])
def test_no_command_runs_what_lies_in_the_working_directory(sandbox, ground, way, engine):
    sandbox.configure(engine={"name": engine, "workers": 1})
    for title in ("Clean", "Planted"):
        done = subprocess.run(way(sandbox, title), cwd=ground.here, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        imported = ground.spied()
        assert set(imported) == {
            *("parent", "speedd.pipeline.preparation", "speedd.outbox.svg", "speedd.execution.worker.main")
        }
        if title == "Clean":
            ground.plant(set().union(*imported.values()) - (of_python(ground) if way is run_once else set()))
    assert (ground.here / "resvg_py.py").exists()
    assert (ground.here / "soundfile.py").exists()
    assert not ground.marks
    assert len(sandbox.books) == 2


# --- children that a user starts more seldom --------------------------------------------------------------------------


def one_text(engine, folder):
    options = EngineOptions(None)
    (voice, *_) = find(engine).describe(options).voices
    return write_speaker((engine, options, [Utterance("0", "Nobody.", voice, Style(), 0)]), folder)


def speak_one_by_one(folder):
    order = one_text("hibari", folder) | {"what": "speak"}
    run_alone("speedd.commands.bench.naive", order, folder)


def speak_by_workers(folder):
    order = one_text("tone", folder) | {"folder": folder, "workers": 1, "cores": 1}
    run_alone("speedd.commands.bench.workers", order, folder)


def narrate_whole(folder):
    source = folder / "Small.epub"
    source.write_bytes(drawn("Small"))
    file = folder / "speedd.toml"
    file.touch()
    order = {"folder": folder, "source": source, "file": file, "engine": "tone", "coder": "fast", "chapters": 0}
    run_alone("speedd.commands.bench.whole", order, folder)


def watch_an_idle_daemon(folder):
    measure_idle(0.1, folder)


def start_every_module(folder):
    """Every module that can be started, with arguments that mean nothing: it imports what it needs, and fails."""
    for file in sorted((ROOT / "speedd").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if "__main__" in file.read_text(encoding="utf-8") and module not in NO_CHILDREN:
            run_child(module, "cpu", folder / "none", timeout_s=120)


NO_CHILDREN = {"speedd.__main__", "speedd.common.processes", "speedd.outbox.runlog"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "child"),
    [
        (speak_one_by_one, "speedd.commands.bench.naive"),
        (speak_by_workers, "speedd.commands.bench.workers"),
        (narrate_whole, "speedd.commands.bench.whole"),
        (watch_an_idle_daemon, "speedd"),
        (start_every_module, "speedd.engines.chatterbox.probe"),
    ],
)
def test_no_child_runs_what_lies_in_the_working_directory(tmp_path, ground, monkeypatch, way, child):
    monkeypatch.chdir(ground.here)
    for name in ("clean", "planted"):
        (tmp_path / name).mkdir()
        way(tmp_path / name)
        imported = ground.spied()
        assert "json" in imported[child]
        if name == "clean":
            ground.plant(set().union(*imported.values()))
    assert not ground.marks


@pytest.mark.parametrize("name", ["json", "speedd"])
def test_a_planted_module_is_run_where_nothing_keeps_it_out(ground, name):
    """The danger is real, and a mark is left."""
    ground.plant({name})
    program = f"import {name}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ground.here, capture_output=True, check=False)
    assert b"this was planted" in done.stderr
    assert ground.marks == {name}
