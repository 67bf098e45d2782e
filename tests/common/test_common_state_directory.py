"""The paths in a state directory: every file there is one of them, and nothing else in speedd spells them."""

import ast
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from speedd_sandbox import Sandbox, epub

import speedd
from speedd import inbox
from speedd.common.state_directory import JobFolder, StateDirectory
from speedd.execution.takes import take_path

PACKAGE = Path(speedd.__file__).parent
SPELLED_IN = PACKAGE / "common" / "state_directory.py"


@pytest.fixture
def used(tmp_path: Path) -> Sandbox:
    """A sandbox in which a daemon and `speedd narrate` published a book with a cover, and a ledger was rebuilt."""
    sandbox = Sandbox(tmp_path / "sandbox")
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "JPEG")
    sandbox.drop("Clock/Clock.epub", epub("Clock"))
    sandbox.drop("Clock/cover.jpg", picture.getvalue())
    assert sandbox.once().code == 0
    assert sandbox.speedd("narrate", sandbox.inbox / "_done" / "Clock", "-o", sandbox.outbox).code == 0
    StateDirectory(sandbox.state).ledger.write_bytes(b"\xa5" * 8192)
    assert sandbox.once().code == 0
    return sandbox


def described(state: StateDirectory) -> set[Path]:
    """The files that may lie there, as far as that can be said beforehand."""
    paths = {state.lock, state.status, *state.takes.rglob("*.flac")}
    assert all(take_path(state.takes, path.stem) == path for path in state.takes.rglob("*.flac"))
    for ledger in (state.ledger, state.rebuilding_ledger, *state.root.glob(state.damaged_ledger("*").name)):
        paths |= {ledger.with_name(ledger.name + ending) for ending in ("", "-wal", "-shm")}
    for root in state.spool.iterdir():
        paths |= {path for path in vars(JobFolder(root)).values() if path != root}
        paths |= {part.path for part in inbox.load_job(root).parts}
    return paths


def test_every_file_in_a_used_state_directory_is_described(used):
    state = StateDirectory(used.state)
    narrate = StateDirectory(state.narrate)
    files = {path for path in state.root.rglob("*") if path.is_file()}
    assert files - described(state) - described(narrate) == set()
    (folder,) = map(JobFolder, state.spool.iterdir())
    expected = {state.lock, state.status, state.ledger, folder.manifest, folder.summary, folder.cover, narrate.ledger}
    assert expected <= files
    assert list(state.root.glob(state.damaged_ledger("*").name))


def test_nothing_else_in_speedd_spells_a_path_of_the_state_directory():
    known = [*vars(StateDirectory(Path("root"))).values(), *vars(JobFolder(Path("root"))).values()]
    names = {path.name for path in known} - {"root"}
    assert {"lock", "ledger.sqlite", "takes", "spool", "prepared", "cover.jpg"} <= names
    spelled = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {name}"
        for path in PACKAGE.rglob("*.py")
        if path != SPELLED_IN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        for name in re.findall(r"'([^']*)'", ast.unparse(node.right))
        if name in names
    ]
    assert spelled == []
