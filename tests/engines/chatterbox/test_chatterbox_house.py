"""What people drop, through the program itself on tiny weights: what is bad has its reason, and the rest goes on."""

import importlib.util
import json

import numpy as np
import pytest
import soundfile
from PIL import Image
from speedd_house import House

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

SENTENCE = "The harbour lay so still that evening that the lamps along the quay seemed to stand."
RATE_HZ = 24_000


@pytest.fixture
def house(house: House, checkpoint) -> House:
    house.configure(
        engine={"name": "chatterbox"},
        chatterbox={
            "weights": str(checkpoint("english", mean_tokens=90)),
            "precision": "fp32",
            "device": "cpu",
            "watermark": False,
        },
        speech={"opening": False},
    )
    voices = house.root / "voices"
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
    return house


def test_voices_says_what_is_of_use_and_why_the_rest_is_not_and_one_can_be_heard(house: House):
    found = {voice["origin"]: voice["fault"] for voice in json.loads(house.speedd("voices", "--json").out)["voices"]}
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

    refused = house.speedd("voices", "--preview", "loud")
    assert (refused.code, refused.out) == (2, "")
    assert 'The voice "loud" cannot be used: The voice sample loud.wav is clipped' in refused.err
    heard = house.speedd("voices", "--preview", "ann.wav", "-o", house.root / "heard.wav")
    assert heard.code == 0, heard.err
    assert heard.out.startswith(f"{house.root}/heard.wav  (ann of chatterbox, ")
    wave, rate_hz = soundfile.read(house.root / "heard.wav")
    assert rate_hz == RATE_HZ
    assert len(wave) > RATE_HZ
    assert np.abs(wave).max() > 0.01


def test_one_bad_book_does_not_keep_the_others(house: House):
    house.drop("Kanji.txt", f"{SENTENCE}\n\nこれは本です。とても古い本です。\n")
    house.drop("Long.txt", f"A\n\n{'a' * 2000}\n")
    house.drop("Long.toml", '[book]\nlanguage = "en"\n')  # what such letters are taken for is another matter
    house.drop("Picture.txt", SENTENCE)
    house.drop("Picture.toml", '[engine]\nvoice = "picture"\n')
    house.drop("Sampled/Sampled.txt", SENTENCE + " Then it was night.")
    house.drop("Sampled/voice.wav", (house.root / "voices" / "picture.wav").read_bytes())
    result = house.once()
    assert result.code == 1
    assert "Chatterbox english does not know 16 of the text's 17 characters." in house.reason("Kanji")
    assert "`speedd plan` writes it down" in house.reason("Kanji")
    assert {event["book"] for event in result.events if event["event"] == "job.published"} == {
        "Long",
        "Picture",
        "Sampled",
    }
    warned = {event["book"]: event["reason"] for event in result.events if event["event"] == "job.warned"}
    assert 'The voice "picture" cannot be used: The voice sample picture.wav holds no sound.' in warned["Picture"]
    assert "The voice sample voice.wav holds no sound." in warned["Sampled"]
    assert house.left() == []


@pytest.mark.parametrize("missing", ["a tensor", "every file"])
def test_weights_that_lack_something_are_named(house: House, checkpoint, tmp_path, missing):
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
    house.configure(chatterbox={"weights": str(folder)})
    house.drop("Good.txt", SENTENCE)
    result = house.once()
    assert result.code == 1
    assert says in house.reason("Good")
    assert "Traceback" not in result.err
