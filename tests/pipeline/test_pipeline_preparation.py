"""Reading and planning in a child: what comes back, what is refused, and what a child that breaks costs."""

import dataclasses
import json
import os
import signal
import threading
from pathlib import Path

import pytest
from any_record import any_chunk, any_summary
from hypothesis import given
from hypothesis import strategies as st
from speedd_sandbox import STORY, STORY_CHUNKS, epub, wait_until

from speedd.common.state_directory import JobFolder
from speedd.config import load_config
from speedd.errors import DamagedInputError, EngineError, InputError, TryAgainError
from speedd.model import Job, Metadata, Part, Role
from speedd.pipeline import plan_source as source
from speedd.pipeline import preparation as prepare
from speedd.pipeline.run_context import NarrationRequest

ROLES = {
    ".nfo": Role.NFO,
    ".toml": Role.SETTINGS,
    ".json": Role.CHUNKS,
    ".wav": Role.VOICE,
    ".log": Role.LOG,
    ".jpg": Role.COVER,
}


@pytest.fixture
def config(tmp_path):
    return load_config(overrides={"engine": {"name": "tone"}}, environment={"HOME": str(tmp_path)})


@pytest.fixture
def write(tmp_path):
    """Write a source's files and return the job."""

    def written(files) -> Job:
        parts = []
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            role = ROLES.get(path.suffix, Role.BOOK)
            parts.append(Part(role, name, path, "5" * 64, path.stat().st_size))
        return Job("0" * 12, "0" * 64, Path(parts[0].name).stem, parts[0].path, tmp_path, tuple(parts))

    return written


def book(settings="", **more):
    return {"Book.epub": epub("Book"), **({"Book.toml": settings} if settings else {}), **more}


# --- in the child ----------------------------------------------------------------------------------------------------


def test_the_child_leaves_what_it_found_and_the_chunks(write, config, tmp_path):
    job = write(book("[speech.pauses_ms]\nperiod = 123\n"))
    folder = JobFolder(job.spool)
    (folder.prepared / "left over").mkdir(parents=True)
    summary = prepare.prepare(job, config)
    assert summary.metadata.title == "Book"
    assert (summary.engine, summary.voice.name, summary.chunks) == ("tone", "sine", STORY_CHUNKS)
    assert summary.words == len(STORY.split()) + 1  # and the opening
    assert summary.config["speech"]["pauses_ms"]["period"] == 123
    assert not (folder.prepared / "left over").exists()
    chunks = list(prepare.load_chunks(folder))
    here = source.read_and_plan(job, config)
    assert chunks == list(here.plan.chunks)
    assert any(chunk.pause_ms == 123 for chunk in chunks)


@given(any_summary())
def test_a_summary_survives_the_ledger(summary):
    back = prepare.load_summary(json.loads(json.dumps(prepare.dump_summary(summary))))
    assert repr(back) == repr(summary)  # NaN equals nothing, not even itself


@given(st.lists(any_chunk(), max_size=3))
def test_chunks_survive_their_way_out_of_the_child(tmp_path_factory, chunks):
    folder = JobFolder(tmp_path_factory.mktemp("job"))
    folder.prepared.mkdir()
    folder.chunks.write_bytes(b"".join(map(prepare.dump_chunk, chunks)))
    assert repr(list(prepare.load_chunks(folder))) == repr(chunks)


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"Book.txt": ""}, InputError, "empty"),
        ({"Book.epub": epub("Book")[:400]}, DamagedInputError, "."),
        ({"Book.txt": "* * *\n\n* * *\n"}, InputError, "no text to read"),
        (book('[engine]\nname = "broken"\n'), InputError, "The book asks for an engine that is not here"),
        ({"Book.jpg": b"x"}, InputError, "no book and no chunk JSON"),
    ],
)
def test_a_fault_comes_back_from_the_child_as_what_it_is(write, config, tmp_path, files, kind, words):
    with pytest.raises(kind, match=words) as caught:
        prepare.prepare(write(files), config)
    assert type(caught.value) is kind


def test_an_engine_that_is_not_here_is_no_fault_of_the_book(write, config, tmp_path):
    config = config.model_copy(update={"engine": config.engine.model_copy(update={"name": "parrot"})})
    with pytest.raises(EngineError, match="no engine 'parrot'"):
        prepare.prepare(write(book()), config)


def limited(config, **limits):
    return config.model_copy(update={"limits": config.limits.model_copy(update=limits)})


def test_a_book_that_needs_more_memory_than_it_may_have_is_refused(write, config, tmp_path):
    job = write({"Book.txt": "It was late, and the sandbox was still. " * 500_000})
    with pytest.raises(InputError, match=r"more memory|ended the reader") as caught:
        prepare.prepare(job, limited(config, reader_memory_mb=256))
    assert "limits.reader_memory_mb" in caught.value.hint


def test_a_book_that_takes_too_long_is_refused(write, config, tmp_path):
    with pytest.raises(InputError, match=r"longer than 0 s") as caught:
        prepare.prepare(write(book()), limited(config, reader_timeout_s=0.01))
    assert "limits.reader_timeout_s" in caught.value.hint


def test_a_reader_told_to_give_up_does_and_is_gone(write, config, tmp_path):
    before = children()
    with pytest.raises(TryAgainError, match="interrupted"):
        prepare.prepare(write(book()), config, should_stop=lambda: True)
    assert children() == before


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_reader_is_deaf_to_what_means_the_main_process_from_its_birth(write, config, tmp_path, signum):
    outcome = []
    before = children()

    def read():
        outcome.append(prepare.prepare(write(book()), config))

    thread = threading.Thread(target=read)
    thread.start()
    (child,) = wait_until(lambda: children() - before)
    while thread.is_alive() and child in children():
        os.kill(child, signum)
        thread.join(0.02)
    thread.join()
    assert outcome[0].chunks == STORY_CHUNKS
    assert signum not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_a_reader_that_is_killed_refuses_its_book(write, config, tmp_path):
    faults = []
    before = children()

    def read():
        try:
            prepare.prepare(write(book()), config)
        except InputError as error:
            faults.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    (child,) = wait_until(lambda: children() - before)
    os.kill(child, signal.SIGKILL)
    thread.join()
    assert "ended the reader (exit code -9)" in faults[0].message


def children() -> set[int]:
    """The pids of this process's children that are alive."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


# --- what a book says of itself --------------------------------------------------------------------------------------


def test_a_books_settings_have_the_last_word_on_what_it_is(write, config):
    settings = (
        '[book]\ntitle = "Other"\nauthor = "Ann Lee; Bo Ek;"\nnarrator = "Cy, Di"\ngenre = "Tales"\nseries = "S"\n'
        'series_index = 2.5\npublished = 1895\nlanguage = "en-GB"\n'
    )
    metadata = source.read_and_plan(write(book(settings)), config).plan.metadata
    assert metadata == dataclasses.replace(
        Metadata(),
        title="Other",
        authors=("Ann Lee", "Bo Ek"),
        narrators=("Cy", "Di"),
        genres=("Tales",),
        series="S",
        series_index="2.5",
        published="1895",
        language="en-GB",
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("no toml", r"Book\.toml is no TOML"),
        (b"\xff\xfe", r"Book\.toml is no TOML"),
        (
            "[book]\ntitel = 1\n[hooks]\nrun = 'x'\n",
            "2 settings are wrong in Book.toml",
        ),
        (
            "[speech]\nspeed = 9\nsped = 1\n",
            "2 settings are wrong in the book's settings",
        ),
        ("x = " + "[" * 5000, r"Book\.toml is no TOML"),
        ("#" * 300_000, "too large for settings"),
    ],
)
def test_wrong_settings_refuse_the_book_naming_all_faults(write, config, settings, words):
    with pytest.raises(InputError, match=words) as caught:
        source.read_and_plan(write(book(settings)), config)
    assert "drop" in caught.value.hint


def test_what_is_pinned_stands_above_the_book(write, config):
    job = write(book('[engine]\nname = "slow"\nvoice = "Cosine"\n[output]\nbitrate_kbps = 96\n'))
    asked = source.read_and_plan(job, config)
    assert (asked.engine, asked.voice.name, asked.config.output.bitrate_kbps) == ("slow", "Cosine", 96)
    pinned = source.read_and_plan(job, config, NarrationRequest({"engine": {"name": "tone", "voice": "sine"}}))
    assert (pinned.engine, pinned.voice.name, pinned.config.output.bitrate_kbps) == ("tone", "sine", 96)


VOICED = '[{"_metadata": true, "voice_used": "cosine"}, {"index": 0, "text": "It was late."}]'


@pytest.mark.parametrize(
    ("files", "voice"),
    [
        ({}, "sine"),
        ({"run.log": "Started\nVoice used: Cosine\n"}, "Cosine"),
        ({"Book.json": VOICED}, "Cosine"),
        ({"Book.json": VOICED, "run.log": "Voice: sine\n"}, "Cosine"),
        ({"run.log": "Started\n", "voice-before.log": "Voice: Cosine\n"}, "Cosine"),
        ({"run.log": "Voice: Cosine\n", "voice-before.log": "Voice: sine\n"}, "Cosine"),
        ({"Book.json": VOICED, "Book.toml": '[engine]\nvoice = "sine"\n'}, "sine"),
    ],
)
def test_the_voice_is_the_settings_else_the_jsons_else_the_logs_else_the_configurations(write, config, files, voice):
    assert source.read_and_plan(write(book(**files)), config).voice.name == voice


def test_a_sample_for_an_engine_that_cannot_clone_is_a_warning(write, config):
    found = source.read_and_plan(write(book(**{"voice.wav": b"RIFF"})), config)
    assert found.voice.name == "sine"
    assert "The voice sample voice.wav is not used: tone does not clone voices." in found.warnings


PRONOUNCED = "[pronunciations]\nlantern = 'LAN-turn'\n"


def spoken(prepared):
    return " ".join(segment.text for chunk in prepared.plan.chunks for segment in chunk.segments)


def test_pronunciations_of_the_book_stand_over_those_of_all_books(write, config):
    shared = config.paths.pronunciations
    shared.parent.mkdir(parents=True)
    shared.write_text('lantern = "LEN-tern"\nharbour = "HAR-ber"\n')
    text = {"Book.txt": "Tide\n\nThe Lanterns stood by the harbour, and the lantern stood too."}
    assert "The LEN-terns stood by the HAR-ber, and the LEN-tern stood too." in spoken(
        source.read_and_plan(write(text), config)
    )
    found = source.read_and_plan(write(text | {"Book.toml": PRONOUNCED}), config)
    assert "The LAN-turns stood by the HAR-ber, and the LAN-turn stood too." in spoken(found)
    assert found.warnings == []


def test_they_hold_in_a_chunk_json_and_leave_the_text_of_record_as_it_is(write, config):
    chunks = {"Book.json": '[{"text": "A lantern."}]', "Book.toml": PRONOUNCED}
    (chunk,) = source.read_and_plan(write(chunks), config).plan.chunks
    assert (chunk.text, chunk.segments[0].text) == ("A lantern.", "A LAN-turn.")


def test_wrong_pronunciations_of_a_book_refuse_it_and_those_of_all_books_are_a_warning(write, config):
    with pytest.raises(InputError, match="'lantern' is given no text"):
        source.read_and_plan(write(book("[pronunciations]\nlantern = 3\n")), config)
    config.paths.pronunciations.parent.mkdir(parents=True)
    config.paths.pronunciations.write_text("lantern = [")
    (warning,) = source.read_and_plan(write(book()), config).warnings
    assert "are no TOML" in warning
    assert warning.endswith("They are not used.")


def test_chapters_that_the_settings_skip_are_listed(write, config):
    text = "# Book\n\n## Foreword\n\nWhy I wrote it.\n\n## One\n\nIt was late.\n\n## Two\n\nIt was later.\n"
    found = source.read_and_plan(
        write({"Book.md": text, "Book.toml": '[speech]\nskip = ["foreword", 3, "Index"]\n'}), config
    )
    assert found.plan.chapters == ("One",)
    assert [(one.title, one.reason) for one in found.skipped] == [
        ("Foreword", "skipped by the settings"),
        ("Two", "skipped by the settings"),
    ]
    assert "There is no chapter “Index” to skip." in found.warnings


def test_what_all_books_skip_need_not_be_in_each(write, config):
    text = "# Book\n\n## Foreword\n\nWhy I wrote it.\n\n## One\n\nIt was late.\n"
    skipping = config.speech.model_copy(update={"skip": ("Foreword", "Index")})
    found = source.read_and_plan(write({"Book.md": text}), config.model_copy(update={"speech": skipping}))
    assert found.plan.chapters == ("One",)
    assert found.warnings == []
    pinned = {"speech": {"skip": "Index"}}
    over = source.read_and_plan(
        write({"Book.md": text, "Book.toml": '[speech]\nskip = ["Notes"]\n'}), config, NarrationRequest(pinned)
    )
    assert over.plan.chapters == ("Foreword", "One")
    assert over.warnings == []


def test_an_nfo_may_ask_for_what_the_settings_may(write, config):
    nfo = "title: Named\nvoice: COSINE\npreset: Expressive Mod\nspeed: 1.2x\nskip: One, 2\nengine: Slow\n"
    found = source.read_and_plan(write(book(**{"book.nfo": nfo})), config)
    assert (found.engine, found.voice.name, found.plan.metadata.title) == ("slow", "Cosine", "Named")
    assert (found.config.speech.preset, found.config.speech.speed) == ("expressive-mod", 1.2)
    assert found.config.speech.skip == ("One", 2)
    over = source.read_and_plan(
        write(book("[speech]\nspeed = 0.9\n[engine]\nname = 'tone'\n", **{"book.nfo": nfo})), config
    )
    assert (over.engine, over.config.speech.speed, over.config.speech.preset) == ("tone", 0.9, "expressive-mod")


def test_a_wish_of_an_nfo_that_cannot_be_met_is_a_warning(write, config):
    nfo = "speed: fast\npreset: mumbling\nengine: not/an engine\n"
    found = source.read_and_plan(write(book(**{"book.nfo": nfo})), config)
    assert [warning.split(" is not used")[0] for warning in found.warnings] == [
        "book.nfo: speed = fast",
        "book.nfo: preset = mumbling",
        "book.nfo: engine = not/an engine",
    ]


def test_an_nfo_and_a_cover_beside_a_chunk_json_alone_are_used(write, config):
    nfo = "title: Named\nauthor: Ann Lee\nseries: Lights #2\nlanguage: English\n"
    found = source.read_and_plan(
        write({"chunks.json": '[{"text": "Hi."}]', "book.nfo": nfo, "cover.jpg": b"\xff\xd8\xff\xe0" + bytes(9)}),
        config,
    )
    metadata = found.plan.metadata
    assert (metadata.title, metadata.authors, metadata.series, metadata.series_index) == (
        "Named", ("Ann Lee",), "Lights", "2",
    )  # fmt: skip
    assert metadata.language == "en"
    assert found.cover is not None


GERMAN = "Sie zündete die Laterne an und stellte sie ins Fenster, wie an jedem Abend seit elf Jahren. "


def test_a_language_that_nothing_names_is_detected_in_a_chunk_json_too(write, config):
    chunks = '[{"text": "' + GERMAN * 3 + '"}]'
    with pytest.raises(InputError, match="in the language “de”, and the engine tone speaks only en") as caught:
        source.read_and_plan(write({"Book.json": chunks}), config)
    assert 'polyglot does: [engine] name = "polyglot"' in caught.value.message
    insisted = source.read_and_plan(write({"Book.json": chunks, "Book.toml": '[book]\nlanguage = "English"\n'}), config)
    assert insisted.plan.metadata.language == "en"


def test_where_any_engine_may_speak_one_that_speaks_the_language_does(write, config):
    config = config.model_copy(update={"engine": config.engine.model_copy(update={"name": "auto"})})
    found = source.read_and_plan(write({"Book.txt": GERMAN * 3}), config)
    assert (found.engine, found.engine_why) == ("polyglot", "polyglot, because it speaks de and hibari does not")
    assert found.plan.metadata.language == "de"
    with pytest.raises(InputError, match="No engine that can run here speaks it"):
        source.read_and_plan(write(book('[book]\nlanguage = "cy"\n')), config)


def test_a_foreign_book_is_refused_naming_the_languages_and_can_be_insisted_on(write, config):
    foreign = {"Book.epub": epub("Book", language="de-AT")}
    with pytest.raises(InputError, match="in the language “de-AT”, and the engine tone speaks only en") as caught:
        source.read_and_plan(write(foreign), config)
    assert '[book] language = "en"' in caught.value.hint
    insisted = source.read_and_plan(write(foreign | {"Book.toml": '[book]\nlanguage = "en"\n'}), config)
    assert insisted.plan.metadata.language == "en"
