"""Where settings come from, and what is said of those that are wrong."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

from speedd.config import (
    BookSettings,
    Config,
    OutputSettings,
    SpeechSettings,
    default_file,
    engine_options,
    load_config,
    pinned_values,
    with_book_settings,
)
from speedd.config.loading import default_paths
from speedd.engines import choose, find
from speedd.errors import ConfigError, EngineError

COMMENTED = Path(__file__).resolve().parent.parent.parent / "config" / "speedd.toml"
SETTING = re.compile(r"# ([a-z_]+ = .+)")
HOME = {"HOME": "/home/ann"}
OWN_ENGINES = ("chatterbox", "hibari")


def load(tmp_path, text="", *, overrides=None, environment=None):
    file = tmp_path / "speedd.toml"
    file.write_text(text)
    return load_config(file, overrides=overrides, environment=HOME | (environment or {}))


def faults(tmp_path, text, **more):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **more)
    assert caught.value.exit_code == 78
    return caught.value.message


# --- the commented file ----------------------------------------------------------------------------------------------


def documented():
    """What the commented file says, its settings uncommented."""
    return tomllib.loads("\n".join(SETTING.sub(r"\1", line) for line in COMMENTED.read_text().splitlines()))


def dotted(values, above=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def known(tmp_path):
    """Every setting and its default; those of the engines that come with speedd too."""
    own = {name: settings().model_dump(mode="json") for name in OWN_ENGINES if (settings := find(name).settings)}
    return dict(dotted(load(tmp_path).model_dump(mode="json") | {"engines": own}))


def test_the_commented_file_lists_every_setting_and_no_other(tmp_path):
    assert sorted(key for key, _ in dotted(documented())) == sorted(known(tmp_path))


def test_the_commented_file_says_the_defaults(tmp_path):
    said, defaults = dict(dotted(documented())), known(tmp_path)
    assert (said.pop("speech.vader"), defaults.pop("speech.vader")) == (True, None)  # TOML knows no "as the preset"
    assert (said.pop("engines.chatterbox.weights"), defaults.pop("engines.chatterbox.weights")) == ("", None)
    preset = {"exaggeration": 0.5, "cfg_weight": 0.5, "temperature": 0.85, "min_p": 0.05, "top_p": 1.0}
    for name, base in (preset | {"repetition_penalty": 1.2, "top_k": 0}).items():
        assert (said.pop(f"speech.style.{name}"), defaults.pop(f"speech.style.{name}")) == (base, None)
    for key in [key for key in said if key.startswith("paths.")]:
        assert said.pop(key).replace("~", HOME["HOME"]) == defaults.pop(key)
    assert said == defaults


def test_the_commented_file_changes_nothing_as_it_is(tmp_path):
    as_it_is, without = load_config(COMMENTED, environment=HOME), load(tmp_path)
    assert engine_options(as_it_is)("chatterbox") == engine_options(without)("chatterbox")
    assert as_it_is.model_dump(exclude={"engines"}) == without.model_dump(exclude={"engines"})


def test_every_setting_has_a_sentence_above_it():
    lines = COMMENTED.read_text().splitlines()
    one_by_one = [*lines[: lines.index("[speech.pauses_ms]")], *lines[lines.index("[output]") :]]
    settings = [(above, line) for above, line in pairwise(one_by_one) if SETTING.fullmatch(line)]
    assert len(settings) > 20
    assert [line for above, line in settings if SETTING.fullmatch(above) or not above.endswith(".")] == []


# --- what is wrong is all told at once -------------------------------------------------------------------------------


def test_unknown_settings_are_all_reported_at_once_with_their_paths(tmp_path):
    told = faults(
        tmp_path,
        "top = 1\n[inbox]\nsettle = 3\n[speech.pauses_ms]\nsigh = 3\n[output]\ncoder = 'slow'\nbitrate_kbps = 9\n",
    )
    assert told.startswith("5 settings are wrong in ")
    for path in ("top: there is no such setting", "inbox.settle: there is no such", "speech.pauses_ms.sigh"):
        assert path in told
    assert "output.coder: input should be 'fast' or 'twoloop' (it is 'slow')" in told
    assert "output.bitrate_kbps: input should be greater than or equal to 24 (it is 9)" in told


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("paths = 3", "paths"),
        ("[paths]\ninbox = 3", "paths.inbox"),
        ("[inbox]\nsettle_s = -1", "inbox.settle_s"),
        ("[inbox]\nsettle_s = nan", "inbox.settle_s"),
        ("[output]\nloudness_lufs = -inf", "output.loudness_lufs"),
        ("[engine]\nworkers = 1.5", "engine.workers"),
        ("[engine]\nseed = 4294967296", "engine.seed"),
        ("[workers]\nquiet_hours = '22-7'", "workers.quiet_hours"),
        ("[workers]\nquiet_hours = '24:00-07:00'", "workers.quiet_hours"),
    ],
)
def test_values_out_of_range_are_refused(tmp_path, text, path):
    assert f"  {path}: " in faults(tmp_path, text)


def test_quiet_hours_that_end_as_they_begin_are_refused_and_those_past_midnight_are_not(tmp_path):
    told = faults(tmp_path, "[workers]\nquiet_hours = '22:00-22:00'")
    assert "  workers.quiet_hours: it begins and ends at the same time; leave it empty to have none" in told
    assert load(tmp_path, "[workers]\nquiet_hours = '22:00-07:00'").workers.quiet_hours == "22:00-07:00"


def test_a_file_that_is_no_toml_says_where(tmp_path):
    assert "is no TOML" in faults(tmp_path, "[inbox\n")
    (tmp_path / "speedd.toml").write_bytes(b"\xff\xfe[\x00")
    with pytest.raises(ConfigError, match="is no TOML"):
        load_config(tmp_path / "speedd.toml", environment=HOME)


def test_a_file_that_is_not_there_is_a_fault():
    with pytest.raises(ConfigError, match=r"/nowhere/speedd\.toml cannot be read: No such file"):
        load_config(Path("/nowhere/speedd.toml"), environment=HOME)


# --- the tables of engines -------------------------------------------------------------------------------------------


class Demanding(BaseModel):
    """Settings of an engine whose author forgot to forbid what is unknown, with one that has no default."""

    key: str
    tuning: Path | None = None
    choir: dict[str, int] = {}


@pytest.fixture
def demanding(monkeypatch):
    monkeypatch.setattr(type(find("tone")), "settings", Demanding)


def test_an_engine_reads_its_own_table_and_the_environment_stands_above_it(tmp_path):
    file = "[engines.chatterbox]\nrows = 4\nmodel = 'nano'\n"
    config = load(tmp_path, file, environment={"SPEEDD_ENGINES__CHATTERBOX__ROWS": "7"})
    settings = engine_options(config)("chatterbox").settings
    assert (settings.rows, settings.model, settings.finished_rows) == (7, "nano", 32)
    assert engine_options(load(tmp_path))("chatterbox").settings == find("chatterbox").settings()
    assert engine_options(config)("hibari").settings is None


def test_what_is_wrong_in_the_tables_of_engines_is_told_with_everything_else(tmp_path):
    told = faults(
        tmp_path,
        "[inbox]\nsettle = 3\n[engines.chatterbox]\nrows = -1\nmodel = 'latin'\nroes = 3\n[engines.hibari]\nx = 1\n"
        "[engines.festival]\npitch = 3\n",
    )
    assert told.startswith("6 settings are wrong in ")
    assert "  engines.chatterbox.rows: input should be greater than or equal to 0 (it is -1)" in told
    assert "  engines.chatterbox.model: there are english, multilingual, " in told
    assert "  engines.chatterbox.roes: there is no such setting" in told
    assert "  engines.hibari.x: there is no such setting" in told
    assert re.search(
        r"  engines\.festival: no engine of this name is installed \(there are .*hibari.*\): install the package that"
        r" brings it, or remove its table$",
        told,
        re.MULTILINE,
    )


def test_a_table_that_moved_is_refused_with_its_new_name(tmp_path):
    told = faults(tmp_path, "[chatterbox]\nrows = 4\n")
    assert "  chatterbox: the settings of an engine stand in [engines.chatterbox]" in told
    told = faults(tmp_path, "", environment={"SPEEDD_CHATTERBOX__ROWS": "4"})
    assert "  chatterbox: the settings of an engine stand in [engines.chatterbox]" in told


@pytest.mark.parametrize("text", ["engines = 3", "[engines]\nhibari = 3", "[engines]\nchatterbox = 'fast'"])
def test_what_is_no_table_of_an_engine_is_refused(tmp_path, text):
    assert "  engines" in faults(tmp_path, text)


def test_unknown_settings_are_refused_and_paths_are_relative_to_the_file_whatever_the_engine_says(tmp_path, demanding):
    file = "[engines.tone]\nkey = '{key}'\n"
    assert "  engines.tone.kee: there is no such setting" in faults(tmp_path, file + "kee = 3\n")
    assert "  engines.tone.choir.alto: input should be" in faults(tmp_path, file + "choir = {alto = '{many}'}\n")
    assert "  engines.tone.key: it has to be set" in faults(tmp_path, "[engines.tone]\ntuning = 'a'\n")
    settings = engine_options(load(tmp_path, file + "tuning = '../forks/a.toml'\n"))("tone").settings
    assert (settings.tuning, settings.key) == (tmp_path.parent / "forks" / "a.toml", "{key}")
    book = BookSettings.model_validate({"speech": {"speed": 1.3}})
    of_book = with_book_settings(load(tmp_path, file), book)
    assert engine_options(of_book)("tone").settings.key == "{key}"


def test_an_engine_whose_settings_are_not_complete_cannot_run(tmp_path, demanding):
    options = engine_options(load(tmp_path))
    with pytest.raises(EngineError, match=r"needs settings that are not set: key\. Set them in \[engines\.tone\]"):
        choose("tone", options)


def test_each_engine_has_a_folder_of_its_own_in_the_state_directory(tmp_path):
    options = engine_options(load(tmp_path, "[paths]\nstate = 'state'\n[gpu]\nreserve_mb = 100\n"))
    assert {options(name).folder for name in OWN_ENGINES} == {tmp_path / "state" / "engines" / n for n in OWN_ENGINES}
    assert options("chatterbox").reserve_bytes == 100 << 20


# --- precedence ------------------------------------------------------------------------------------------------------


def test_precedence_is_command_line_environment_book_file_default(tmp_path):
    file = "[engine]\nvoice = 'file'\nseed = 1\n[speech]\nspeed = 1.1\n[output]\nbitrate_kbps = 32\n"
    environment = {"SPEEDD_ENGINE__SEED": "2", "SPEEDD_SPEECH__SPEED": "1.2", "SPEEDD_ENGINE__VOICE": "environment"}
    overrides = {"engine": {"voice": "command line"}}
    of_all = load(tmp_path, file, overrides=overrides, environment=environment)
    assert (of_all.engine.voice, of_all.engine.seed, of_all.speech.speed) == ("command line", 2, 1.2)
    assert of_all.output.bitrate_kbps == 32
    assert of_all.engine.workers == 0

    book = BookSettings.model_validate(
        {"engine": {"voice": "book", "seed": 3}, "speech": {"speed": 1.3}, "output": {"bitrate_kbps": 96}}
    )
    of_book = with_book_settings(of_all, book, pinned=pinned_values(overrides, environment))
    assert (of_book.engine.voice, of_book.engine.seed, of_book.speech.speed) == ("command line", 2, 1.2)
    assert of_book.output.bitrate_kbps == 96
    over_file = with_book_settings(load(tmp_path, file), book)
    assert (over_file.engine.voice, over_file.engine.seed, over_file.speech.speed) == ("book", 3, 1.3)


def test_one_pause_of_a_book_leaves_the_others_as_the_file_has_them(tmp_path):
    of_all = load(tmp_path, "[speech.pauses_ms]\nperiod = 400\n", environment={"SPEEDD_SPEECH__PAUSES_MS__COMMA": "50"})
    book = BookSettings.model_validate({"speech": {"pauses_ms": {"ellipsis": 99}}})
    pauses = with_book_settings(of_all, book).speech.pauses_ms
    assert (pauses["period"], pauses["comma"], pauses["ellipsis"], pauses["colon"]) == (400, 50, 99, 150)


def test_a_wrong_value_in_the_environment_is_named(tmp_path):
    told = faults(tmp_path, "", environment={"SPEEDD_INBOX__SETTLE_S": "soon", "SPEEDD_INBOX__NOPE": "1"})
    assert "inbox.settle_s" in told
    assert "inbox.nope: there is no such setting" in told
    assert "SPEEDD_" in told


@pytest.mark.parametrize(
    "settings",
    [
        {"paths": {"inbox": "/"}},
        {"inbox": {"after_publish": "delete"}},
        {"limits": {"reader_memory_mb": 9999}},
        {"engine": {"workers": 99}},
        {"engine": {"name": "../../x"}},
        {"book": {"cover": "/etc/passwd"}},
        {"hooks": {"after": "rm"}},
    ],
)
def test_a_book_may_not_set_what_is_the_owners(settings):
    with pytest.raises(ValueError, match=r"Extra inputs|should match"):
        BookSettings.model_validate(settings)


def test_what_a_book_sets_wrong_is_named(tmp_path):
    book = BookSettings.model_validate({"output": {"bitrate_kbps": 1, "path": "/"}, "speech": {"speed": 9}})
    with pytest.raises(ConfigError, match=r"3 settings are wrong in the book's settings") as caught:
        with_book_settings(load(tmp_path), book)
    assert "output.path: there is no such setting" in caught.value.message


# --- paths -----------------------------------------------------------------------------------------------------------


def test_relative_paths_of_a_file_are_relative_to_it(tmp_path):
    paths = load(tmp_path, "[paths]\ninbox = 'in'\noutbox = '../out'\nvoices = '~nobody-of-this-name/v'\n").paths
    assert paths.inbox == tmp_path / "in"
    assert paths.outbox.resolve() == tmp_path.parent / "out"
    assert paths.state == Path("/home/ann/.local/state/speedd")
    assert paths.voices == tmp_path / "~nobody-of-this-name/v"


def test_paths_of_the_environment_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    paths = load(tmp_path, environment={"SPEEDD_PATHS__INBOX": "in", "SPEEDD_PATHS__OUTBOX": "~/out"}).paths
    assert paths.inbox == tmp_path / "in"
    assert paths.outbox == Path("/home/ann/out")


def test_a_service_lives_in_its_state_directory():
    assert default_paths({"STATE_DIRECTORY": "/var/lib/speedd"}) == {
        "inbox": Path("/var/lib/speedd/inbox"),
        "outbox": Path("/var/lib/speedd/outbox"),
        "voices": Path("/var/lib/speedd/voices"),
        "state": Path("/var/lib/speedd/state"),
        "pronunciations": Path("/var/lib/speedd/pronunciations.toml"),
    }


def test_pronunciations_lie_beside_the_configuration_unless_it_says_where_else(tmp_path):
    service = default_paths({"STATE_DIRECTORY": "/var/lib/speedd", "CONFIGURATION_DIRECTORY": "/etc/speedd"})
    assert service["pronunciations"] == Path("/etc/speedd/pronunciations.toml")
    assert load(tmp_path, '[paths]\npronunciations = "words/mine.toml"\n').paths.pronunciations == (
        tmp_path / "words" / "mine.toml"
    )
    home = load_config(environment={"HOME": str(tmp_path)})
    assert home.paths.pronunciations == tmp_path / ".config" / "speedd" / "pronunciations.toml"


def test_presets_may_be_written_as_the_older_tools_write_them(tmp_path):
    assert load(tmp_path, '[speech]\npreset = "Expressive Mod"\n').speech.preset == "expressive-mod"


def test_what_is_skipped_is_a_list_of_titles_and_numbers(tmp_path):
    assert load(tmp_path, '[speech]\nskip = ["Foreword", 3]\n').speech.skip == ("Foreword", 3)
    assert load(tmp_path, environment={"SPEEDD_SPEECH__SKIP": "Foreword; 3;"}).speech.skip == ("Foreword", 3)
    for wrong in ("[0]", "[true]", "[1.5]", '[""]'):
        with pytest.raises(ConfigError, match=r"speech\.skip"):
            load(tmp_path, f"[speech]\nskip = {wrong}\n")


def test_the_usual_places_are_looked_at_in_turn(tmp_path):
    service, user = tmp_path / "etc", tmp_path / "home" / ".config" / "speedd"
    for folder in (service, user):
        folder.mkdir(parents=True)
        (folder / "speedd.toml").touch()
    home = {"HOME": str(tmp_path / "home")}
    assert default_file(home | {"CONFIGURATION_DIRECTORY": str(service)}) == service / "speedd.toml"
    assert default_file(home) == user / "speedd.toml"
    (user / "speedd.toml").unlink()
    assert default_file(home) in {None, Path("/etc/speedd/speedd.toml")}


def test_settings_are_frozen_all_the_way_down():
    for model in (Config, SpeechSettings, OutputSettings):
        assert issubclass(model, BaseModel)
        assert model.model_config["frozen"]
        assert model.model_config["extra"] == "forbid"
