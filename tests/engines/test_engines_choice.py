import hashlib
import sys
from importlib.util import find_spec

import pytest

from speedd.engines import choose, choose_voice, find, find_voice, named_voice
from speedd.engines.base import EngineInfo
from speedd.engines.chatterbox import ChatterboxFactory
from speedd.errors import EngineError, UsageError, VoiceError
from speedd.model import TextLimits, Voice

HEART, EMMA = Voice("heart", "h" * 64), Voice("Emma", "e" * 64)


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


def test_auto_is_hibari_without_chatterbox_and_says_why():
    name, chosen, why = choose("auto", {})
    assert (name, chosen.name) == ("hibari", "hibari")
    assert "chatterbox cannot be used" in why
    assert choose("tone", {})[0] == "tone"


def test_an_engine_that_is_not_there_is_told_from_one_that_needs_an_extra():
    with pytest.raises(EngineError, match=r"installed: .*hibari.*Set \[engine\] name"):
        find("festival")
    if not find_spec("torch"):
        with pytest.raises(EngineError, match=r"pip install '\.\[chatterbox\]'"):
            ChatterboxFactory().describe({})


def test_an_engine_whose_package_is_gone_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "hibari.dsp", None)
    with pytest.raises(EngineError, match="pip install hibari-tts"):
        find("hibari").describe({})


def test_hibari_offers_what_is_in_its_cache_and_only_if_it_is_whole(monkeypatch, tmp_path):
    import hibari.voices as registry  # noqa: PLC0415

    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    assert [voice.name for voice in find("hibari").describe({}).voices] == ["heart"]
    whole, torn = b"a voice", b"a voi"
    registered = {name: {**voice} for name, voice in registry.VOICES.items()}
    registered["emma"]["sha256"] = registered["fable"]["sha256"] = hashlib.sha256(whole).hexdigest()
    monkeypatch.setattr(registry, "VOICES", registered)
    (tmp_path / registered["emma"]["file"]).write_bytes(whole)
    (tmp_path / registered["fable"]["file"]).write_bytes(torn)
    assert [voice.name for voice in find("hibari").describe({}).voices] == ["heart", "emma"]


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
