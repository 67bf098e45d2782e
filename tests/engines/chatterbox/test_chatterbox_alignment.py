"""Where the voice is in its text, as three heads tell it, is what eager attention of whole layers tells."""

from dataclasses import replace

import pytest

from speedd.engines.chatterbox.families import FAMILIES, STOP_SPEECH
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.model import Style

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_bench.generated import Size  # noqa: E402
from chatterbox_stock import requests_for, small_stock, spoken  # noqa: E402

from speedd.engines.chatterbox.library_output import quietly  # noqa: E402
from speedd.engines.chatterbox.t3.decoder import Decoder, row_length  # noqa: E402
from speedd.engines.chatterbox.t3.model import T3  # noqa: E402
from speedd.engines.chatterbox.weights.tensor_file import TensorFile  # noqa: E402

DEEP = Size("tiny", 256, 3, 128)
HEADS = ((1, 3), (2, 2), (0, 1))
FAMILY = replace(FAMILIES["english"], guards=replace(FAMILIES["english"].guards, heads=HEADS))
TEXTS = ("The quick brown fox jumps over the lazy dog.", "Rain on the roof, and nobody at home.")
CAP = 40


@pytest.fixture(scope="module")
def deep(checkpoint):
    folder = checkpoint("english", DEEP, mean_tokens=25)
    weights = find_weights(FAMILY, folder, "", {})
    tensors = TensorFile(weights.path("t3_cfg.safetensors"))
    model = T3(tensors, FAMILY, length=row_length(FAMILY), precision="fp32", device="cpu")
    return folder, model, requests_for(weights, TEXTS, [Style(), Style()], cap=CAP)


def eager_attention(folder, request, tokens):
    """The three heads' mean attention of each step over the text, from whole layers."""
    from chatterbox.tts import ChatterboxTTS  # noqa: PLC0415

    with small_stock(DEEP, folder), quietly(), torch.no_grad():
        stock = ChatterboxTTS.from_local(folder, "cpu")
        t3 = stock.t3
        t3.tfmr.set_attn_implementation("eager")
        text = torch.tensor([request.text] * 2)
        start = torch.full((2, 1), 6561)
        embedded, before = t3.prepare_input_embeds(
            t3_cond=stock.conds.t3, text_tokens=text, speech_tokens=start, cfg_weight=0.5
        )
        speech = torch.tensor([[6561, *tokens]])
        said = t3.speech_emb(speech) + t3.speech_pos_emb(speech)
        out = t3.tfmr(inputs_embeds=torch.cat([embedded[:1], said], 1), output_attentions=True)
    heads = [out.attentions[layer][0, head] for layer, head in HEADS]
    steps = len(request.text) + before + 1
    return torch.stack(heads).mean(0)[steps:, before : before + len(request.text)]


def followed(attention):
    """Positions as stock's analyzer follows them."""
    place, places = 0, []
    for step, row in enumerate(attention):
        now = int(row[: step + 1].argmax())
        place = now if -4 < now - place < 7 else place
        places.append(place)
    return places


def test_positions_are_those_of_eager_attention(deep):
    folder, model, requests = deep
    decoder = Decoder(model, 2)
    said = {one.request.key: one for one in spoken(decoder, requests)}
    for request in requests:
        one = said[request.key]
        assert one.positions
        expected = followed(eager_attention(folder, request, one.tokens))
        assert list(one.positions) == expected[: len(one.positions)]
        assert len(set(one.positions)) > 1


def test_the_end_is_refused_before_the_text_is_done(deep, monkeypatch):
    _, model, requests = deep
    head = model.head
    eager_to_end = torch.zeros(model.vocabulary).index_fill(0, torch.tensor([STOP_SPEECH]), 50.0)
    monkeypatch.setattr(model, "head", lambda hidden: head(hidden) + eager_to_end)
    assert {(one.reason, one.tokens) for one in spoken(Decoder(model, 2, guarded=False), requests)} == {("end", ())}
    for one in spoken(Decoder(model, 2), requests):
        reach = len(one.request.text) - FAMILY.guards.end_reach
        assert all(position < reach for position in one.positions)
        assert one.tokens
