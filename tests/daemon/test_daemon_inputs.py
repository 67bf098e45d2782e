"""Bad books among good ones: each is set aside with a reason its owner understands, and the good ones are published."""

import json
import os
import re
import shutil

import jsonschema
import pytest
from speedd_sandbox import ROOT, STORY, Sandbox, epub

GERMAN = (
    "Die alte Uhr stand seit hundert Jahren im Flur, und niemand hatte sie je aufgezogen. Sie ging trotzdem weiter,"
    " Tag für Tag, und wer sie hörte, der blieb stehen und lauschte, bis der letzte Schlag verklungen war.\n"
)
EMOJI = "📚" * 62 + "abc"
"""251 bytes, and its suffix makes it 255."""
LONG_TITLE = "A Very Long Title " * 16 + "Ends Here."
OTHER_USER = 61_234
SCHEMA = json.loads((ROOT / "speedd" / "outbox" / "run-log.schema.json").read_text())

REASONS = {
    "silent": "Chunk 0 .“silent.”. cannot be spoken: the audio is silent",
    "empty": "empty|nothing in it",
    "cut": "cut short|incomplete|not all there",
    "recipes": "The chunk JSON is refused: chunk 1",
    "cut chunks": "cut short|ends",
    "surrogate": "surrogate|no characters|Unicode",
    "Die Uhr": "in the language “de.*”, and the engine tone speaks only en",
    "song": "xyz",
    "letter": "PDF|pdf",
    "settings": r"2 settings are wrong in settings\.toml|book\.titel: there is no such setting",
    "no toml": r"no toml\.toml is no TOML",
    "no engine": "There is no engine 'parrot'",
    "unreadable": r"cannot be read by the user .*permissions are ----------(.|\n)*chmod a\+r",
    "link": "symbolic link",
    "pipe": "named pipe",
}
"""What the reason says, by the name of the source."""


def drop_all(sandbox: Sandbox) -> None:
    cut = epub("Cut")
    sandbox.drop("silent.epub", epub("silent"))
    sandbox.drop("silent.toml", '[engine]\nname = "silent"\n')
    sandbox.drop("empty.txt", "")
    sandbox.drop("cut.epub", cut[: len(cut) // 2])
    sandbox.drop("recipes.json", '{"recipes": ["pancakes"]}')
    sandbox.drop("cut chunks.json", '[{"index": 0, "text": "It was la')
    sandbox.drop("surrogate.json", '[{"index": 0, "text": "It \\ud800 was late."}]')
    sandbox.drop("Die Uhr.txt", GERMAN)
    sandbox.drop("song.xyz", b"\x00\x01\x02")
    sandbox.drop("letter.pdf", b"%PDF-1.4\n%\xe2\xe3")
    sandbox.drop("settings.epub", epub("settings"))
    sandbox.drop("settings.toml", '[book]\ntitel = "x"\n[limits]\nopen_books = 9\n')
    sandbox.drop("no toml.epub", epub("no toml"))
    sandbox.drop("no toml.toml", "this is no toml")
    sandbox.drop("no engine.epub", epub("no engine"))
    sandbox.drop("no engine.toml", '[engine]\nname = "parrot"\n')
    unreadable = sandbox.drop("unreadable.txt")
    unreadable.chmod(0)
    if os.geteuid() == 0:
        os.chown(unreadable, OTHER_USER, OTHER_USER)
    (sandbox.inbox / "link.txt").symlink_to("/etc/passwd")
    os.mkfifo(sandbox.inbox / "pipe.txt")

    sandbox.drop("Flaky.epub", epub("Moody", "All is well here. This SILENT sentence is not. All is well again."))
    sandbox.drop("Flaky.toml", '[engine]\nname = "flaky"\n')
    sandbox.drop(f"{EMOJI}.txt", STORY)
    sandbox.drop("long title.epub", epub(LONG_TITLE))
    sandbox.drop("Good.epub", epub("Good"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """All of them in one inbox, run over once by a user who may not read everything; with what status says then."""
    sandbox = Sandbox(tmp_path_factory.mktemp("mixed") / "sandbox")
    sandbox.configure(engine={"workers": 1})
    drop_all(sandbox)
    wrap = None
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root may read every file, and there is no setpriv to give that right up")
        wrap = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    fault_folder = tmp_path_factory.mktemp("fault_folder")
    return sandbox, sandbox.once(wrap=wrap, env={"SPEEDD_TEST_FAULTS": str(fault_folder)})


@pytest.mark.parametrize("name", REASONS)
def test_a_book_that_cannot_be_narrated_is_set_aside_with_a_reason(mixed, name):
    sandbox, result = mixed
    reason = sandbox.reason(name)
    assert re.search(REASONS[name], reason), reason
    assert "What to do: " in reason
    assert "Traceback" not in reason
    assert "speedd itself failed" not in reason
    ends = [event["event"] for event in result.events if event.get("book") == name and event["level"] != "info"]
    assert ends == ["job.failed" if name == "silent" else "job.refused"]


def test_the_good_books_among_them_are_published(mixed):
    sandbox, _ = mixed
    assert {book.run["book"]["title"] for book in sandbox.books} == {"Good", "Moody", EMOJI, LONG_TITLE}
    for book in sandbox.books:
        jsonschema.validate(book.run, SCHEMA)
        assert all(len(os.fsencode(path.name)) <= 255 for path in [book.folder, *book.folder.iterdir()])


def test_nothing_is_left_and_the_exit_code_says_that_something_failed(mixed):
    sandbox, result = mixed
    assert result.code == 1
    assert sandbox.left() == []
    assert sorted(path.name for path in (sandbox.inbox / "_failed").iterdir()) == sorted(REASONS)
    for name in REASONS:
        assert f"{name}: {'failed' if name == 'silent' else 'refused'}: " in result.out


def test_a_file_that_is_cut_short_is_tried_once_more_before_it_is_refused(mixed):
    _, result = mixed
    told = [event["event"] for event in result.events if event.get("book") == "cut"]
    assert told == ["job.accepted", "job.started", "source.waiting", "job.started", "job.refused", "source.archived"]


def test_a_take_that_is_turned_down_is_rendered_again_with_the_next_seed(mixed):
    sandbox, result = mixed
    book = sandbox.titled("Moody")
    attempts = {text: chunk["attempts"] for text, chunk in zip(book.texts, book.run["chunks"], strict=True)}
    assert attempts.pop("This SILENT sentence is not.") == 2
    assert set(attempts.values()) == {1}
    told = [event for event in result.events if event["event"] == "chunk.retried" and event["attempt"] == 1]
    assert any("silent" in event["reason"] for event in told)
