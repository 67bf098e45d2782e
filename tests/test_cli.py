"""The command line, as a person or a script meets it."""

import json
import os
import subprocess
import sys

import pytest
from speedd_sandbox import ROOT, SPEEDD, STORY, STORY_CHUNKS, Result, Sandbox, epub

HEAVY = ("numpy", "pydantic", "av", "lxml", "onnxruntime", "soundfile", "structlog", "watchdog", "rich.progress")


def run(*arguments, env=None, cwd=ROOT) -> Result:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}", **(env or {})}
    done = subprocess.run(
        [*SPEEDD, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


# --- at once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments):
    program = (
        "import sys, speedd.cli\n"
        f"sys.argv = ['speedd', *{arguments!r}]\n"
        "try:\n    speedd.cli.main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    said, _, loaded = done.stdout.partition("LOADED")
    assert "speedd" in said
    assert set(loaded.split()).isdisjoint(HEAVY)


def test_help_names_every_command_and_each_has_its_own():
    said = run("--help").out
    for command in ("run", "narrate", "plan", "status", "retry", "cancel", "voices", "check", "bench"):
        assert f" {command} " in said


@pytest.mark.parametrize("arguments", [["sing"], ["run", "--twice"], ["narrate"], ["retry"]])
def test_wrong_usage_ends_with_2(arguments):
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Usage:" in result.err


# --- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run", "--once"], ["check"], ["plan", "x.txt"]])
def test_a_wrong_configuration_ends_with_78_and_names_every_fault(tmp_path, command):
    file = tmp_path / "speedd.toml"
    file.write_text("[inbox]\nsettle = 1\n[engine]\nworkers = -1\nnam = 'x'\n")
    result = run(*command, "--config", file, env={"HOME": str(tmp_path)})
    assert (result.code, result.out) == (78, "")
    for fault in ("inbox.settle: there is no such setting", "engine.nam: there", "engine.workers: input should be"):
        assert fault in result.err
    assert "Traceback" not in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["speedd.toml"]


def test_a_folder_that_cannot_be_made_ends_with_78(tmp_path):
    (tmp_path / "file").touch()
    result = run("run", "--once", "--inbox", tmp_path / "file" / "inbox", "--state", tmp_path, "--outbox", tmp_path)
    assert (result.code, result.out) == (78, "")
    assert f"The folder paths.inbox, {tmp_path}/file/inbox, cannot be made: Not a directory." in result.err


def test_what_the_command_line_sets_wins_over_the_environment(sandbox: Sandbox):
    result = sandbox.speedd("voices", "--engine", "slow", "--json", env={"SPEEDD_ENGINE__NAME": "hibari"})
    assert json.loads(result.out)["engine"] == "slow"
    assert json.loads(sandbox.speedd("voices", "--json", env={"SPEEDD_ENGINE__NAME": "slow"}).out)["engine"] == "slow"


# --- narrate ---------------------------------------------------------------------------------------------------------

BOOK = """# The Clock

## One

The first chapter is short. It ends here.

## Two

The second chapter is longer. It has a middle. It ends here too.

## Three

The third chapter is the last one.
"""


def test_narrate_makes_one_book_without_touching_it_or_the_inbox(sandbox: Sandbox):
    book = sandbox.root / "The Clock.txt"
    book.write_text(STORY)
    sandbox.inbox.rmdir()
    result = sandbox.speedd("narrate", book, "-o", sandbox.root / "here")
    assert result.code == 0, result.err
    folder = sandbox.root / "here" / "Unknown" / "The Clock"
    assert f"\n{folder}  (in " in result.out
    run_log = json.loads((folder / "run.json").read_text())
    assert (run_log["chunks_rendered"], run_log["edition"]) == (STORY_CHUNKS, 1)
    assert book.read_text() == STORY
    assert not sandbox.inbox.exists()
    assert not sandbox.outbox.exists()

    again = sandbox.speedd("narrate", book, "-o", sandbox.root / "here", env={"SPEEDD_OUTPUT__BITRATE_KBPS": "96"})
    assert again.code == 0
    second = json.loads((folder.with_name("The Clock (2)") / "run.json").read_text())
    assert (second["chunks_rendered"], second["edition"]) == (0, 2)
    assert second["settings"]["output"]["bitrate_kbps"] == 96


def test_narrate_some_chapters_as_a_preview(sandbox: Sandbox):
    book = sandbox.root / "The Clock.md"
    book.write_text(BOOK)
    result = sandbox.speedd("narrate", book, "--chapters", "2-99999999999", "-o", sandbox.outbox)
    assert result.code == 0, result.err
    run_log = sandbox.book.run
    assert [chapter["title"] for chapter in run_log["book"]["chapters"]] == ["Two", "Three"]
    assert sandbox.book.texts[-1] == "The third chapter is the last one."
    assert not any("first chapter" in text for text in sandbox.book.texts)
    nothing = sandbox.speedd("narrate", book, "--chapters", "7", "-o", sandbox.outbox)
    assert (nothing.code, "The book has 3 chapters" in nothing.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no such book.epub"], 1, "There is no no such book.epub."),
        (["book.txt", "--chapters", "0-2"], 2, "“0-2” names no chapters."),
        (["book.txt", "--engine", "parrot"], 1, "There is no engine 'parrot'"),
        (["book.txt", "--engine", "broken_load"], 1, "The model is not there."),
        (["empty.txt"], 1, "empty"),
        (["shelf"], 1, "holds 2 books: name one of"),
        (["void"], 1, "holds no book"),
    ],
)
def test_what_cannot_be_narrated_is_said_in_a_line(sandbox: Sandbox, arguments, code, words):
    (sandbox.root / "book.txt").write_text(STORY)
    (sandbox.root / "empty.txt").touch()
    (sandbox.root / "void").mkdir()
    (sandbox.root / "shelf").mkdir()
    for name in ("one", "two"):
        (sandbox.root / "shelf" / f"{name}.epub").write_bytes(epub(name))
    environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    done = subprocess.run(
        [*SPEEDD, "narrate", *arguments, "--config", sandbox.config, "-o", sandbox.outbox],
        capture_output=True,
        text=True,
        cwd=sandbox.root,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert done.stderr.splitlines()[-1].startswith(("speedd: ", "        "))
    assert "Traceback" not in done.stderr


NAMED = [
    (
        "nobody",
        'The voice "nobody" cannot be used: there is no such voice in tone.\n        The voices of tone: sine, Cosine.',
    ),
    ("ann", 'The voice "ann" cannot be used: tone cannot clone a voice from a sample.'),
    ("./me.wav", "There is no voice sample ./me.wav."),
]


@pytest.mark.parametrize(("voice", "words"), NAMED)
@pytest.mark.parametrize("command", ["narrate", "run"])
def test_a_voice_named_on_the_command_line_is_never_replaced(sandbox: Sandbox, command, voice, words):
    (sandbox.root / "voices").mkdir()
    (sandbox.root / "voices" / "ann.wav").write_bytes(b"RIFF")
    book = sandbox.drop("The Clock.txt", STORY)
    what = book if command == "narrate" else "--once"
    refused = sandbox.speedd(command, what, "--voice", voice, "-o", sandbox.outbox)
    assert refused.code == 2
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert not list(sandbox.outbox.rglob("*.m4b"))
    assert book.exists()


def test_the_engine_that_a_book_asks_for_must_have_the_voice_that_the_command_line_names(sandbox: Sandbox):
    sandbox.configure(engine={"name": "hibari"})
    book = sandbox.drop("The Clock/The Clock.txt", STORY)
    sandbox.drop("The Clock/The Clock.toml", '[engine]\nname = "tone"\nvoice = "sine"\n')
    sandbox.drop("The Clock/voice.wav", b"RIFF")
    refused = sandbox.speedd("narrate", book.parent, "-v", "heart", "-o", sandbox.outbox)
    assert (refused.code, "The voices of tone: sine, Cosine." in refused.err) == (2, True)
    spoken = sandbox.speedd("narrate", book.parent, "-v", "cosine", "-o", sandbox.outbox)
    assert spoken.code == 0, spoken.err
    assert sandbox.book.run["voice"]["name"] == "Cosine"
    assert not sandbox.book.run["warnings"]


@pytest.mark.parametrize("place", ["configuration", "environment", "book"])
def test_a_voice_that_is_missing_elsewhere_is_replaced_with_a_warning(sandbox: Sandbox, place):
    book = sandbox.drop("The Clock/The Clock.txt", STORY)
    if place == "configuration":
        sandbox.configure(engine={"name": "tone", "voice": "nobody"})
    if place == "book":
        sandbox.drop("The Clock/The Clock.toml", '[engine]\nvoice = "nobody"\n')
    named = {"SPEEDD_ENGINE__VOICE": "nobody"} if place == "environment" else {}
    done = sandbox.speedd("narrate", book.parent, "-o", sandbox.outbox, env=named)
    assert done.code == 0, done.err
    assert sandbox.book.run["voice"]["name"] == "sine"
    (warning,) = sandbox.book.run["warnings"]
    assert warning.startswith('The voice "nobody" cannot be used')
    assert warning.endswith('The voice "sine" speaks instead.')


# --- plan ------------------------------------------------------------------------------------------------------------


def test_plan_writes_the_chunk_json_to_a_file_or_to_stdout(sandbox: Sandbox):
    book = sandbox.root / "The Clock.txt"
    book.write_text(STORY)
    out = sandbox.root / "plan.json"
    to_file = sandbox.speedd("plan", book, "-o", out)
    assert (to_file.code, to_file.out) == (0, "")
    assert f"{out}: {STORY_CHUNKS} chunks in 1 chapters" in to_file.err
    to_stdout = sandbox.speedd("plan", book)
    header, *chunks = json.loads(to_stdout.out)
    assert (header["title"], header["voice_used"]) == ("The Clock", "sine")
    assert chunks == json.loads(out.read_text())[1:]
    assert sorted(path.name for path in sandbox.root.iterdir() if path.suffix in {".json", ".part"}) == ["plan.json"]
    nowhere = sandbox.speedd("plan", book, "-o", sandbox.root / "nowhere" / "plan.json")
    assert nowhere.code == 2
    assert "cannot be written: No such file or directory." in nowhere.err


def test_who_reads_only_the_beginning_breaks_nothing(sandbox: Sandbox):
    book = sandbox.root / "The Clock.txt"
    book.write_text(STORY * 400)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    with subprocess.Popen(
        [*SPEEDD, "plan", book, "--config", sandbox.config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    ) as plan:
        try:
            plan.stdout.readline()
            plan.stdout.close()
            said = plan.stderr.read()
        except BaseException:
            plan.kill()  # else it would be waited for
            raise
    assert plan.returncode == 1
    assert said == b""


# --- looking ---------------------------------------------------------------------------------------------------------


def test_status_of_nothing_says_so(sandbox: Sandbox):
    result = sandbox.speedd("status")
    assert (result.code, result.out) == (78, "")
    assert f"There is no speedd state in {sandbox.state}." in result.err


def test_check_says_what_is_fit_and_what_is_not(sandbox: Sandbox):
    fit = sandbox.speedd("check", "--json")
    report = json.loads(fit.out)
    assert (fit.code, report["ok"]) == (0, True)
    found = {finding["what"]: finding["says"] for finding in report["findings"]}
    assert found["configuration"] == f"{sandbox.config}, no faults"
    assert found["engine"] == "tone 1.0: tone, as configured"
    assert found["outbox"] == f"{sandbox.outbox} will be made"
    assert not sandbox.outbox.exists()

    sandbox.configure(engine={"name": "parrot"}, limits={"disk_reserve_mb": 10**9})
    unfit = sandbox.speedd("check")
    assert unfit.code == 1
    failed = [line for line in unfit.out.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0] for line in failed] == ["FAIL  free space", "FAIL  engine"]


def test_check_names_the_file_that_it_found_by_itself(tmp_path):
    file = tmp_path / ".config" / "speedd" / "speedd.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[engine]\nname = 'tone'\n")
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}
    result = run("check", "--json", env=environment)
    found = {finding["what"]: finding["says"] for finding in json.loads(result.out)["findings"]}
    assert found["configuration"] == f"{file}, no faults"
    words = file.with_name("pronunciations.toml")
    assert found["pronunciations"] == f"none ({words})"
    words.write_text("Nguyen = '/ŋwiən/'\nharbour = 'HAR-ber'\n")
    assert f"2 words in {words}" in run("check", env=environment).out
    words.write_text("Nguyen = 3\n")
    wrong = run("check", env=environment)
    assert wrong.code == 1
    assert "'Nguyen' is given no text" in wrong.out
