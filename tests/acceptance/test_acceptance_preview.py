"""What ``speedd voices --preview`` writes can be listened to."""

import subprocess
import sys

import pytest
import soundfile
from acceptance_daemon import environment

from speedd.commands.voices import SPOKEN


@pytest.mark.asr
def test_a_preview_says_its_sentence(ear, tmp_path):
    from acceptance_ear import likeness_error  # noqa: PLC0415  may be missing

    out = tmp_path / "heart.wav"
    command = [sys.executable, "-m", "speedd", "voices", "--engine", "hibari", "--preview", "heart", "-o", str(out)]
    subprocess.run(command, env=environment(tmp_path), check=True)
    assert likeness_error(SPOKEN, ear.hear(*soundfile.read(out, dtype="int16"))) <= 0.15
