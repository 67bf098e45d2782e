"""``speedd voices``: what can speak, why a sample cannot, and how a voice sounds."""

import json
import os
import subprocess

import numpy as np
import pytest
import soundfile
from speedd_sandbox import ROOT, SPEEDD, Sandbox

from speedd.commands.voices import SPOKEN


def test_voices_lists_what_speaks(sandbox: Sandbox):
    result = sandbox.speedd("voices")
    assert result.out.splitlines() == [
        "sine                 tone         default",
        "Cosine               tone         its own",
        f"The engine tone does not clone voices; samples in {sandbox.root}/voices are not used.",
    ]
    found = json.loads(sandbox.speedd("voices", "--json").out)
    assert [voice["name"] for voice in found["voices"]] == ["sine", "Cosine"]


@pytest.mark.parametrize("asked", ["default", "COSINE"])
def test_a_preview_lies_where_it_says_it_does(sandbox: Sandbox, asked):
    result = sandbox.speedd("voices", "--preview", asked, "-o", sandbox.root / "heard.wav")
    assert result.code == 0, result.err
    assert result.out.startswith(f"{sandbox.root}/heard.wav  (")
    wave, rate_hz = soundfile.read(sandbox.root / "heard.wav")
    assert 0.06 < np.sqrt(np.mean(wave**2)) < 0.08  # a sine of 0.1
    assert len(wave) / rate_hz == pytest.approx(0.06 * len(SPOKEN), abs=0.01)
    assert not sandbox.state.exists()


def test_a_preview_goes_to_the_current_folder_and_never_over_a_sample(sandbox: Sandbox):
    command = [*SPEEDD, "voices", "--config", str(sandbox.config), "--preview", "Cosine", "--json"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    done = subprocess.run(command, capture_output=True, cwd=sandbox.root, env=environment, check=True)
    found = json.loads(done.stdout)
    assert found["path"] == str(sandbox.root / "preview-Cosine.wav")
    assert (found["voice"], found["engine"], found["fault"]) == ("Cosine", "tone", "")
    assert soundfile.info(found["path"]).duration == pytest.approx(found["duration_s"], abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--preview", "nobody"], 2, "there is no such voice in tone.\n        The voices of tone: sine, Cosine."),
        (["--preview", "./me.wav"], 2, "There is no voice sample ./me.wav."),
        (["--preview", "sine", "-o", "/nowhere/x.wav"], 2, "/nowhere/x.wav cannot be written"),
        (["-o", "x.wav"], 2, "--preview NAME"),
        (["--preview", "sine", "-e", "broken_load"], 1, "The model is not there."),
        (["--preview", "unloadable", "-e", "parrot"], 1, "There is no engine 'parrot'"),
    ],
)
def test_what_cannot_be_previewed_is_said_in_a_line(sandbox: Sandbox, arguments, code, words):
    result = sandbox.speedd("voices", *arguments)
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert "Traceback" not in result.err


def test_a_voice_that_says_nothing_is_told(sandbox: Sandbox):
    result = sandbox.speedd("voices", "--preview", "sine", "-e", "silent", "-o", sandbox.root / "heard.wav")
    assert result.code == 0
    assert "a book would turn this down: the audio is silent" in result.err


def test_the_bundled_voice_can_be_heard(sandbox: Sandbox):
    result = sandbox.speedd("voices", "--preview", "heart", "-e", "hibari", "-o", sandbox.root / "heart.wav")
    assert result.code == 0, result.err
    wave, rate_hz = soundfile.read(sandbox.root / "heart.wav")
    assert 5 < len(wave) / rate_hz < 10
    level_dbfs = 20 * np.log10(np.sqrt(np.mean(wave**2)))
    assert -35 < level_dbfs < -12
    # Speech: loud and quiet by turns, and most of it below 4 kHz.
    cells = np.abs(wave[: len(wave) // 480 * 480].reshape(-1, 480)).max(1)
    assert np.mean(cells < 0.1 * cells.max()) > 0.1
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    assert spectrum[: int(4000 * len(wave) / rate_hz)].sum() > 0.9 * spectrum.sum()
