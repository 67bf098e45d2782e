"""What people drop, through the program itself on tiny weights: what is bad has its reason, and the rest goes on."""

import importlib.util
import json

import numpy as np
import pytest
import soundfile
from PIL import Image
from speedd_sandbox import Sandbox

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

SENTENCE = "The harbour lay so still that evening that the lamps along the quay seemed to stand."
RATE_HZ = 24_000


@pytest.fixture
def sandbox(sandbox: Sandbox, checkpoint) -> Sandbox:
    sandbox.configure(
        engine={"name": "tiny_chatterbox"},
        speech={"opening": False},
        **{
            "engines.tiny_chatterbox": {
                "weights": str(checkpoint("english", mean_tokens=90)),
                "precision": "fp32",
                "device": "cpu",
                "watermark": False,
            }
        },
    )
    voices = sandbox.root / "voices"
    voices.mkdir()
    times_s = np.arange(RATE_HZ * 3) / RATE_HZ
    hum = 0.1 * (0.6 + 0.4 * np.sin(20 * times_s)) * np.sin(900 * times_s)
    soundfile.write(voices / "ann.wav", hum, RATE_HZ)
    soundfile.write(voices / "ann.wav.flac", hum, RATE_HZ)
    soundfile.write(voices / "short.flac", hum[: RATE_HZ // 3], RATE_HZ)
    soundfile.write(voices / "loud.wav", np.clip(hum * 90, -1, 1), RATE_HZ)
    soundfile.write(voices / "mute.wav", hum * 0, RATE_HZ)
    Image.new("RGB", (8, 8)).save(voices / "picture.wav", format="JPEG")
    Image.new("RGB", (8, 8)).save(voices / "ann.jpg")
    return sandbox


def test_voices_says_what_is_of_use_and_why_the_rest_is_not_and_one_can_be_heard(sandbox: Sandbox):
    found = {voice["origin"]: voice["fault"] for voice in json.loads(sandbox.speedd("voices", "--json").out)["voices"]}
    faults = {origin.rpartition("/")[2]: fault for origin, fault in found.items()}
    for name, fault in {
        "default": "",
        "ann.wav": "",
        "ann.wav.flac": "",
        "ann.jpg": "no voice sample: those are sound files",
        "short.flac": "too short: it holds 0.3 s of voice",
        "loud.wav": "clipped",
        "mute.wav": "silent",
        "picture.wav": "holds no sound",
    }.items():
        assert fault in faults[name]
        assert bool(fault) == bool(faults[name])

    refused = sandbox.speedd("voices", "--preview", "loud")
    assert (refused.code, refused.out) == (2, "")
    assert 'The voice "loud" cannot be used: The voice sample loud.wav is clipped' in refused.err
    heard = sandbox.speedd("voices", "--preview", "ann.wav", "-o", sandbox.root / "heard.wav")
    assert heard.code == 0, heard.err
    assert heard.out.startswith(f"{sandbox.root}/heard.wav  (ann of tiny_chatterbox, ")
    wave, rate_hz = soundfile.read(sandbox.root / "heard.wav")
    assert rate_hz == RATE_HZ
    assert len(wave) > RATE_HZ
    assert np.abs(wave).max() > 0.01


def test_one_bad_book_does_not_keep_the_others(sandbox: Sandbox):
    sandbox.drop("Kanji.txt", f"{SENTENCE}\n\nこれは本です。とても古い本です。\n")
    sandbox.drop("Long.txt", f"A\n\n{'a' * 2000}\n")
    sandbox.drop("Long.toml", '[book]\nlanguage = "en"\n')  # what such letters are taken for is another matter
    sandbox.drop("Picture.txt", SENTENCE)
    sandbox.drop("Picture.toml", '[engine]\nvoice = "picture"\n')
    sandbox.drop("Sampled/Sampled.txt", SENTENCE + " Then it was night.")
    sandbox.drop("Sampled/voice.wav", (sandbox.root / "voices" / "picture.wav").read_bytes())
    result = sandbox.once()
    assert result.code == 1
    assert "Chatterbox english does not know 16 of the text's 17 characters." in sandbox.reason("Kanji")
    assert "`speedd plan` writes it down" in sandbox.reason("Kanji")
    assert {event["book"] for event in result.events if event["event"] == "job.published"} == {
        "Long",
        "Picture",
        "Sampled",
    }
    warned = {event["book"]: event["reason"] for event in result.events if event["event"] == "job.warned"}
    assert 'The voice "picture" cannot be used: The voice sample picture.wav holds no sound.' in warned["Picture"]
    assert "The voice sample voice.wav holds no sound." in warned["Sampled"]
    assert sandbox.left() == []


@pytest.mark.parametrize("missing", ["a tensor", "every file"])
def test_weights_that_lack_something_are_named(sandbox: Sandbox, checkpoint, tmp_path, missing):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    folder = tmp_path / "weights"
    folder.mkdir()
    says = f"conds.pt not found in {folder}"
    if missing == "a tensor":
        for path in checkpoint("english", mean_tokens=90).iterdir():
            (folder / path.name).symlink_to(path)
        tensors = load_file(folder / "s3gen.safetensors")
        del tensors["flow.encoder_proj.weight"]
        (folder / "s3gen.safetensors").unlink()
        save_file(tensors, folder / "s3gen.safetensors")
        says = f"{folder}/s3gen.safetensors holds no tensor flow.encoder_proj.weight"
    sandbox.configure(**{"engines.tiny_chatterbox": {"weights": str(folder)}})
    sandbox.drop("Good.txt", SENTENCE)
    result = sandbox.once()
    assert result.code == 1
    assert says in sandbox.reason("Good")
    assert "Traceback" not in result.err
