import hashlib
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from speedd import engines
from speedd.engines import choose, choose_voice, find, find_voice, named_voice, prepare, speaking
from speedd.engines.base import EngineInfo, EngineOptions
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.errors import EngineError, UsageError, VoiceError
from speedd.model import TextLimits, Voice

GIVEN = EngineOptions(None)
HEART, EMMA = Voice("heart", "h" * 64), Voice("Emma", "e" * 64)


def defaults(name):
    """Give each engine its defaults."""
    settings = engines.find(name).settings
    return EngineOptions(settings and settings())


def info(*, clones):
    return EngineInfo(
        name="engine",
        version="1",
        model_digest="m",
        sample_rate_hz=24_000,
        languages=("en",),
        style_fields=(),
        clones_voices=clones,
        voices=(HEART, EMMA),
        limits=TextLimits(100, 200),
    )


@pytest.fixture
def voices(tmp_path):
    folder = tmp_path / "voices"
    folder.mkdir()
    for name in ("Ada.wav", "ada.flac", "Brontë.MP3", "notes.txt", "emma.wav"):
        (folder / name).write_bytes(name.encode())
    (folder / "folder.wav").mkdir()
    return folder


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Ada", "Ada"),
        ("ada", "ada"),
        ("ADA", "Ada"),
        ("Ada.wav", "Ada"),
        ("C:\\voices\\Ada.wav", "Ada"),
        ("../../etc/Ada", "Ada"),
        ("brontë", "Brontë"),
        ("heart", "heart"),
        ("HEART", "heart"),
        ("Emma", "emma"),  # a sample in the folder goes before the engine's own
        ("default", "heart"),
        ("Default", "heart"),
        ("", "heart"),
    ],
)
def test_a_voice_is_found(voices, wanted, name):
    voice, warning = choose_voice(info(clones=True), wanted, voices)
    assert voice.name == name
    assert warning is None
    if voice.path:
        assert voice.digest == hashlib.sha256(voice.path.name.encode()).hexdigest()


@pytest.mark.parametrize("wanted", ["nobody", "notes", "folder", "..", ".", "/", "\0", "🎙" * 300])
def test_a_voice_that_is_not_there_becomes_the_default_with_one_warning(voices, wanted):
    voice, warning = choose_voice(info(clones=True), wanted, voices)
    assert voice == HEART
    if warning is not None:
        assert "heart" in warning
        assert warning.count("\n") == 0
    else:
        assert not wanted.strip("/")


def test_an_engine_that_cannot_clone_says_so(voices):
    voice, warning = choose_voice(info(clones=False), "Ada", voices)
    assert voice == HEART
    assert warning == (
        'The voice "Ada" cannot be used: engine cannot clone a voice from a sample. The voices of engine: heart, Emma.'
        ' The voice "heart" speaks instead.'
    )
    assert choose_voice(info(clones=False), "emma", voices) == (EMMA, None)
    _, warning = choose_voice(info(clones=False), "nobody", voices)
    assert "heart, Emma" in warning


@pytest.mark.parametrize(("wanted", "name"), [("Ada", "Ada"), ("{}/ada.flac", "ada"), ("{}/../voices/Ada.wav", "Ada")])
def test_a_voice_named_on_the_command_line_may_be_the_path_of_a_sample(voices, wanted, name):
    assert named_voice(info(clones=True), wanted.format(voices), voices).name == name


@pytest.mark.parametrize(
    ("wanted", "clones", "message", "hint"),
    [
        ("nobody", True, "there is no such voice in {}", "The voices of engine: heart, Emma, Ada, Brontë, ada, emma."),
        ("nobody", False, "there is no such voice in engine", "The voices of engine: heart, Emma."),
        ("Ada", False, "engine cannot clone a voice", "The voices of engine: heart, Emma."),
        ("{}/Ada.wav", False, "engine cannot clone a voice", ""),
        ("{}/../Ada.wav", True, "There is no voice sample {}/../Ada.wav.", "`speedd voices`"),
        ("./\0", True, "There is no voice sample", ""),
        ("./" + "a" * 300, True, "There is no voice sample", ""),
        ("{}/notes.txt", True, "notes.txt is none of the voice samples in {}", "Copy it there"),
        ("{}/../heart", True, "heart is none of the voice samples in {}", "Copy it there"),
    ],
)
def test_a_voice_named_on_the_command_line_is_that_voice_or_refused(voices, wanted, clones, message, hint):
    (voices.parent / "heart").touch()  # not the engine's own of that name
    with pytest.raises(UsageError) as refused:
        named_voice(info(clones=clones), wanted.format(voices), voices)
    assert message.format(voices) in refused.value.message
    assert hint in refused.value.hint


def test_no_voices_folder_is_no_fault(tmp_path):
    assert choose_voice(info(clones=True), "heart", tmp_path / "missing") == (HEART, None)


class Ranked:
    """A factory of which ``auto`` may think something."""

    settings = None

    def __init__(self, name, rank, *, drawback="", error=None, languages=("en",), fetched=None):
        self.name, self.rank, self.drawback, self.error, self.languages = name, rank, drawback, error, languages
        if fetched is not None:
            self.prepare = lambda options: f"{self.describe(options).name} fetched {fetched}"

    def describe(self, options):
        if self.error is not None:
            raise self.error
        return replace(info(clones=False), name=self.name, languages=self.languages, drawback=self.drawback)

    def load(self, options):
        raise AssertionError("choosing an engine loads none")


@pytest.fixture
def install(monkeypatch):
    """Let these be the engines that are installed."""

    def install(*factories):
        by_name = {factory.name: factory for factory in factories}
        monkeypatch.setattr(engines, "available", lambda: tuple(sorted(by_name)))
        monkeypatch.setattr(engines, "find", by_name.__getitem__)

    return install


MISSING = EngineError("The engine opera needs torch. " + "It is large. " * 20, hint="Get it.", brief="is not installed")


def test_auto_is_hibari_without_chatterbox_and_says_why_in_short():
    if find_spec("torch"):
        pytest.skip("torch is installed, so Chatterbox may be chosen")
    chosen = choose("auto", defaults)
    assert (chosen.name, chosen.info.name) == ("hibari", "hibari")
    assert chosen.why == "hibari, because chatterbox is not installed"
    (full,) = chosen.passed_over
    assert "needs the package torch, which is missing. Install it in speedd's source folder" in full
    assert choose("tone", defaults).why == "tone, as configured"


@pytest.mark.parametrize(
    ("factories", "name", "why"),
    [
        ([("b", 1), ("c", 9)], "c", "c, because it can run here"),
        ([("b", 1), ("a", 1)], "a", "a, because it can run here"),
        ([("b", 1), ("c", 0)], "b", "b, because it can run here"),
        ([("b", 1), ("c", 9, {"error": MISSING})], "b", "b, because c is not installed"),
        ([("b", 1), ("c", 9, {"drawback": "finds no GPU"})], "b", "b, because c finds no GPU"),
        (
            [("b", 1), ("c", 9, {"drawback": "finds no GPU"}), ("d", 99, {"error": EngineError("It is broken.")})],
            "b",
            "b, because d cannot be used and c finds no GPU",
        ),
    ],
)
def test_auto_takes_the_highest_rank_that_can_run_here(install, factories, name, why):
    install(*(Ranked(named, rank, **(more[0] if more else {})) for named, rank, *more in factories))
    chosen = choose("auto", defaults)
    assert (chosen.name, chosen.why) == (name, why)


def test_the_reason_for_a_choice_is_short_whatever_engines_say_and_the_full_one_is_kept(install):
    install(Ranked("b", 1), *(Ranked(f"opera-{n}", 9, error=MISSING) for n in range(9)))
    chosen = choose("auto", defaults)
    assert len(chosen.why) < 120
    assert chosen.why.startswith("b, because opera-0 is not installed and opera-1 is not")
    assert chosen.passed_over == (str(MISSING),) * 9


def test_an_engine_with_a_drawback_speaks_when_it_is_named_or_no_other_knows_the_language(install):
    slow = Ranked("slow", 9, drawback="finds no GPU", languages=("en", "de"))
    install(Ranked("b", 1), slow, Ranked("unranked", 0, languages=("de",)), Ranked("polyglot", 5, languages=("de",)))
    assert choose("slow", defaults).name == "slow"
    assert list(speaking("de", defaults)) == ["polyglot", "unranked", "slow"]
    assert list(speaking("en", defaults)) == ["b", "slow"]


def test_where_nothing_can_run_every_reason_is_told(install):
    install(Ranked("a", 1, error=MISSING), Ranked("b", 2, error=EngineError("It is broken.")), Ranked("c", 0))
    with pytest.raises(EngineError, match=r"No engine can run here\. It is broken\. The engine opera .* Get it\."):
        choose("auto", defaults)


def test_an_engine_that_cannot_be_imported_does_not_keep_auto_from_the_others(monkeypatch, tmp_path):
    package = tmp_path / "broken-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[speedd.engines]\naaa = speedd_no_such_module:FACTORY\nold = speedd.engines:available\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = choose("auto", defaults)
    assert chosen.why.startswith(f"{chosen.name}, because aaa cannot be imported and old was made for another version")
    assert "No module named 'speedd_no_such_module'" in chosen.passed_over[0]
    with pytest.raises(EngineError, match="'old' was made for another version of speedd"):
        find("old")


def test_what_is_fetched_is_that_of_the_engine_that_is_named_or_of_the_best_that_can(install):
    best, last = Ranked("best", 9, error=MISSING, fetched="this"), Ranked("last", 1)
    install(best, Ranked("next", 5, fetched="that"), last)
    assert prepare("auto", defaults) == "next fetched that"
    assert prepare("last", defaults) == "last needs nothing but its package."
    with pytest.raises(EngineError, match="needs torch"):
        prepare("best", defaults)
    install(best, last)
    with pytest.raises(EngineError, match="needs torch"):
        prepare("auto", defaults)
    install(last)
    assert prepare("auto", defaults) == "No engine here needs anything but its package."


def test_an_engine_that_is_not_there_is_told_from_one_that_needs_an_extra():
    with pytest.raises(EngineError, match=r"installed: .*hibari.*Set \[engine\] name"):
        find("festival")
    if not find_spec("torch"):
        with pytest.raises(EngineError, match=r"pip install '\.\[chatterbox\]'"):
            ChatterboxFactory().describe(EngineOptions(ChatterboxSettings()))
        with pytest.raises(EngineError, match="needs the package torch"):  # and no gigabytes are fetched for it
            ChatterboxFactory().prepare(EngineOptions(ChatterboxSettings()))


def test_an_engine_whose_package_is_gone_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "hibari.dsp", None)
    with pytest.raises(EngineError, match="pip install hibari-tts"):
        find("hibari").describe(GIVEN)


def test_hibari_offers_what_is_in_its_cache_and_only_if_it_is_whole(monkeypatch, tmp_path):
    import hibari.voices as registry  # noqa: PLC0415

    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    assert [voice.name for voice in find("hibari").describe(GIVEN).voices] == ["heart"]
    whole, torn = b"a voice", b"a voi"
    registered = {name: {**voice} for name, voice in registry.VOICES.items()}
    registered["emma"]["sha256"] = registered["fable"]["sha256"] = hashlib.sha256(whole).hexdigest()
    monkeypatch.setattr(registry, "VOICES", registered)
    (tmp_path / registered["emma"]["file"]).write_bytes(whole)
    (tmp_path / registered["fable"]["file"]).write_bytes(torn)
    assert [voice.name for voice in find("hibari").describe(GIVEN).voices] == ["heart", "emma"]


def test_a_sample_that_will_not_do_is_not_taken_and_the_reason_is_told(voices):
    def check(path):
        raise VoiceError(f"The voice sample {path.name} is clipped.")

    voice, warning = choose_voice(info(clones=True), "Ada", voices, check)
    assert voice == HEART
    assert "is clipped." in warning
    assert warning.endswith('The voice "heart" speaks instead.')
    assert choose_voice(info(clones=True), "HEART", voices, check) == (HEART, None)
    with pytest.raises(VoiceError, match="cannot be used: The voice sample"):
        find_voice(info(clones=True), "Ada", voices, check)
