"""Whatever somebody drops as a voice is read, or refused with the reason; and the model hears what stock hears."""

import numpy as np
import pytest
import soundfile

from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.voices.sample import RATE_HZ, read_sample
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.errors import VoiceError

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_bench.generated import TINY  # noqa: E402
from chatterbox_stock import small_stock  # noqa: E402

from speedd.engines.chatterbox.library_output import quietly  # noqa: E402
from speedd.engines.chatterbox.voices.conditioning import Listener, listen  # noqa: E402
from speedd.engines.chatterbox.weights.loading import load_s3gen, load_voice_encoder  # noqa: E402


def voice(seconds=7.0, rate_hz=RATE_HZ, level=0.1):
    """A buzz with a melody: not silent, not clipped."""
    times_s = np.arange(int(seconds * rate_hz)) / rate_hz
    pitch = 150 + 30 * np.sin(2 * np.pi * times_s)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * times_s)
    return (level * swell * sum(np.sin(k * phase) / k for k in (1, 2, 3, 4))).astype(np.float32)


def encoded(path, wave, rate_hz, codec):
    import av  # noqa: PLC0415

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [("a.wav", 24_000, 1), ("a.wav", 44_100, 2), ("a.flac", 16_000, 1), ("a.mp3", 44_100, 2), ("a.ogg", 48_000, 1)],
)
def test_formats_rates_and_channels_are_all_one(tmp_path, name, rate_hz, channels):
    soundfile.write(tmp_path / name, np.stack([voice(rate_hz=rate_hz)] * channels, 1), rate_hz)
    wave = read_sample(tmp_path / name, least_s=5)
    assert wave.dtype == np.float32
    assert len(wave) / RATE_HZ == pytest.approx(7, abs=0.1)
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(np.sqrt(np.mean(voice() ** 2)), rel=0.05)


def test_what_libsndfile_does_not_know_is_decoded_too(tmp_path):
    encoded(tmp_path / "a.m4a", voice(rate_hz=44_100), 44_100, "aac")
    assert len(read_sample(tmp_path / "a.m4a", least_s=5)) / RATE_HZ == pytest.approx(7, abs=0.2)


def test_silence_at_the_edges_goes_and_far_off_levels_are_set(tmp_path):
    quiet = np.zeros(RATE_HZ * 3, np.float32)
    soundfile.write(tmp_path / "a.wav", np.concatenate([quiet, voice(level=0.004), quiet]), RATE_HZ, subtype="FLOAT")
    wave = read_sample(tmp_path / "a.wav", least_s=5)
    assert len(wave) / RATE_HZ == pytest.approx(7.2, abs=0.1)
    assert 0.02 < np.abs(wave).max() < 0.5
    soundfile.write(tmp_path / "b.wav", voice(), RATE_HZ, subtype="FLOAT")
    assert np.array_equal(read_sample(tmp_path / "b.wav", least_s=5), voice())


def clipped(wave):
    return np.clip(wave * 40, -1, 1)


@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (voice(0.4), "too short: it holds 0.4 s"),
        (np.concatenate([voice(2.0), np.zeros(RATE_HZ * 20, np.float32)]), "too short: it holds 2.1 s"),
        (np.zeros(RATE_HZ * 9, np.float32), "is silent"),
        (clipped(voice()), "is clipped"),
        (np.full(RATE_HZ * 9, np.nan, np.float32), "no numbers"),
        (np.zeros(0, np.float32), "is silent"),
    ],
)
def test_what_is_no_voice_is_refused_with_the_reason(tmp_path, wave, reason):
    soundfile.write(tmp_path / "ann.wav", wave, RATE_HZ, subtype="FLOAT")
    with pytest.raises(VoiceError, match=rf"ann\.wav {reason}|ann\.wav.*{reason}"):
        read_sample(tmp_path / "ann.wav", least_s=5)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\xff\xd8\xff\xe0 a picture", b"not a sound at all" * 99])
def test_what_is_no_audio_is_refused_by_its_name(tmp_path, content):
    (tmp_path / "ann.wav").write_bytes(content)
    with pytest.raises(VoiceError, match=r"ann\.wav"):
        read_sample(tmp_path / "ann.wav", least_s=1)


@pytest.mark.parametrize("model", ["english", "turbo"])
def test_conditioning_is_what_stock_prepares_of_the_same_file(checkpoint, tmp_path, monkeypatch, model):
    folder = checkpoint(model, mean_tokens=40)
    family = FAMILIES[model]
    path = tmp_path / "ann.wav"
    soundfile.write(path, voice(), RATE_HZ, subtype="FLOAT")
    weights = find_weights(family, folder, "", {})
    wave = read_sample(path, least_s=5, target_lufs=family.target_lufs)
    ours = listen(wave, "d", family, Listener(load_voice_encoder(weights), load_s3gen(weights, listens=True)))
    with small_stock(TINY, folder), quietly():
        if model == "english":
            from chatterbox.tts import ChatterboxTTS as Stock  # noqa: PLC0415
        else:
            from chatterbox.tts_turbo import ChatterboxTurboTTS as Stock  # noqa: PLC0415

            # With numpy 2 stock's own levelling makes float64, which its tokenizer refuses; numpy 1 kept to float32.
            level = Stock.norm_loudness
            monkeypatch.setattr(Stock, "norm_loudness", lambda *given: level(*given).astype(np.float32))
            levelled = Stock.norm_loudness(None, voice(), RATE_HZ)
            assert not np.allclose(levelled, voice(), rtol=0.05)
            # The same meter and the same formula: what is left is one rounding more, of the gain to float32.
            np.testing.assert_allclose(wave, levelled, rtol=2**-22, atol=0)
        stock = Stock.from_local(folder, "cpu")
        stock.prepare_conditionals(path)
    exact = 0.0 if model == "english" else 1e-4
    assert torch.equal(ours.prompt_tokens, stock.conds.t3.cond_prompt_speech_tokens)
    torch.testing.assert_close(ours.speaker, stock.conds.t3.speaker_emb, rtol=exact, atol=exact)
    for name, tensor in ours.reference.items():
        theirs = stock.conds.gen[name]
        if name == "prompt_feat":  # a logarithm: what is next to silence has no digits that count
            torch.testing.assert_close(tensor.exp(), theirs.exp(), rtol=exact, atol=exact / 100)
        else:
            torch.testing.assert_close(tensor, theirs, rtol=exact, atol=exact, msg=name)
