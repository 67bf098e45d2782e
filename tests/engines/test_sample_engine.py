"""An engine from somebody else's package: installed, it has settings, is fetched, is chosen, and narrates a book."""

import json
import os

import av
import numpy as np
import pytest
from speedd_sandbox import STORY, Audiobook, Sandbox

pytestmark = pytest.mark.usefixtures("sample_installed")


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.configure(engine={"name": "auto", "workers": 1})
    return sandbox


def finding(sandbox: Sandbox, what: str, *arguments: str) -> str:
    result = sandbox.speedd("check", "--json", *arguments)
    (found,) = [each for each in json.loads(result.out)["findings"] if each["what"] == what]
    return found["says"]


def pitch_hz(book: Audiobook) -> float:
    """The strongest frequency in what is heard."""
    with av.open(str(book.m4b)) as container:
        rate_hz = container.streams.audio[0].rate
        wave = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    spectrum = np.abs(np.fft.rfft(wave))
    return float(spectrum.argmax() * rate_hz / len(wave))


def test_it_is_fetched_chosen_and_narrates_as_it_is_set(sandbox: Sandbox):
    assert "hibari, because sample has no voice yet and chatterbox " in finding(sandbox, "engine")
    assert "The voice of the sample engine is not in" in finding(sandbox, "engine")
    fetched = sandbox.speedd("check", "--download")
    assert fetched.code == 0
    assert fetched.err == "the voice of the sample engine, version 1.0\n"
    assert (sandbox.state / "engines" / "sample" / "voice.txt").is_file()
    assert finding(sandbox, "engine") == "sample 1.0: sample, because it can run here"

    sandbox.configure(**{"engines.sample": {"pitch_hz": 660}})
    book = sandbox.root / "book.txt"
    book.write_text(STORY, encoding="utf-8")
    result = sandbox.speedd("narrate", str(book), "--outbox", str(sandbox.outbox), "--state", str(sandbox.state))
    assert result.code == 0, result.err
    assert sandbox.book.run["engine"]["name"] == "sample"
    assert sandbox.book.run["engine"]["numerics"]["pitch_hz"] == "660.0"
    assert sandbox.book.run["voice"]["name"] == "fork"
    assert pitch_hz(sandbox.book) == pytest.approx(660, abs=1)


def test_the_environment_sets_it_and_what_is_wrong_is_named(sandbox: Sandbox):
    sandbox.speedd("check", "--download")
    assert sandbox.speedd("check", env={"SPEEDD_ENGINES__SAMPLE__PITCH_HZ": "330"}).code == 0
    sandbox.configure(**{"engines.sample": {"edge": "round", "tempo": 1}})
    refused = sandbox.speedd("check", env={"SPEEDD_ENGINES__SAMPLE__PITCH_HZ": "3"})
    assert refused.code == 78
    assert "  engines.sample.pitch_hz: input should be greater than or equal to 50 (it is '3')" in refused.err
    assert "  engines.sample.edge: input should be 'soft' or 'hard' (it is 'round')" in refused.err
    assert "  engines.sample.tempo: there is no such setting" in refused.err  # though its model does not forbid it


def test_its_table_without_it_names_what_is_missing(sandbox: Sandbox, sample_site):
    sandbox.configure(**{"engines.sample": {"pitch_hz": 330}})
    path = os.pathsep.join(each for each in os.environ["PYTHONPATH"].split(os.pathsep) if each != str(sample_site))
    refused = sandbox.speedd("check", env={"PYTHONPATH": path})
    assert refused.code == 78
    assert "  engines.sample: no engine of this name is installed (there are " in refused.err


def test_a_take_that_it_calls_bad_is_spoken_again(sandbox: Sandbox):
    sandbox.speedd("check", "--download")
    book = sandbox.root / "book.txt"
    book.write_text("\n\n".join(f"Nobody called it hoarse but the one of row {n}." for n in range(2, 10)))
    result = sandbox.speedd("narrate", str(book), "--outbox", str(sandbox.outbox), "--state", str(sandbox.state))
    assert result.code == 0, result.err
    chunks = sandbox.book.run["chunks"]
    assert max(chunk["attempts"] for chunk in chunks) > 1
    spoken = [
        take
        for text, chunk in zip(sandbox.book.texts, chunks, strict=True)
        for take in chunk["takes"]
        if "hoarse" in text
    ]
    assert len(spoken) == 8
    assert all(take["seed"] % 4 for take in spoken)
