"""What the decoder makes of where its rows look: attention is planted, the guards' verdicts come from `advance`."""

from dataclasses import replace

import pytest

from speedd.engines.chatterbox.families import FAMILIES, STOP_SPEECH
from speedd.engines.chatterbox.t3.guards import CAP, END, LONG_TAIL, REPETITION, STALL
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.model import Style

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_stock import spoken  # noqa: E402

from speedd.engines.chatterbox.t3.decoder import Decoder, row_length  # noqa: E402
from speedd.engines.chatterbox.t3.model import T3  # noqa: E402
from speedd.engines.chatterbox.t3.request import Request  # noqa: E402
from speedd.engines.chatterbox.voices.conditioning import read_conditioning  # noqa: E402
from speedd.engines.chatterbox.weights.tensor_file import TensorFile  # noqa: E402

GUARDS = replace(FAMILIES["english"].guards, heads=((1, 1),))
TEXT_TOKENS = 20
LAST = TEXT_TOKENS - 1
FINISHED = TEXT_TOKENS - GUARDS.end_reach
"""From this position on the text counts as finished."""
CAP_TOKENS = 160


def reads(until, then=None):
    """Look at one token of the text after the other up to one, and then there, or at what is said."""
    return lambda step: {step: 1.0} if step <= until else then or {until: 1.0}


LOOKS = {
    1: reads(LAST - 1),
    2: reads(LAST, then={2: 0.9}),
    3: reads(7),
    4: reads(LAST, then={LAST - 3: 1.0}),
}
"""By seed: at each step, the tokens of the text that are looked at, and how much."""


class Planted:
    """Stands where a `HeadWatch` stands, and sees what each utterance's seed says."""

    def __init__(self, decoder, looks):
        self.state, self.looks, self.span = decoder._state, looks, 0

    def see(self, layer, query, keys, hidden):
        self.span = keys.size(2)

    def attention(self):
        attention = torch.zeros(len(self.state.seed), self.span)
        told = (self.state.seed, self.state.taken, self.state.text_at, self.state.text_tokens)
        for row, (seed, step, begin, count) in enumerate(zip(*(one.tolist() for one in told), strict=True)):
            if seed < 0:
                continue
            attention[row, begin - 1] = attention[row, begin + count] = 9.0  # what lies beside the text is not asked
            for place, weight in self.looks[seed](step).items():
                attention[row, begin + place] = weight
        return attention


@pytest.fixture(scope="module")
def folder(checkpoint):
    return checkpoint("english", mean_tokens=0)  # it never stops by itself


@pytest.fixture
def model(folder):
    family = replace(FAMILIES["english"], guards=GUARDS)
    tensors = TensorFile(folder / family.files.t3)
    return T3(tensors, family, length=row_length(family), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def request_for(folder):
    voice = read_conditioning(find_weights(FAMILIES["english"], folder, "", {}).path("conds.pt"), "built-in")

    def make(seed, text_tokens=TEXT_TOKENS, cap=CAP_TOKENS):
        return Request(str(seed), range(300, 300 + text_tokens), voice, Style(), seed, cap)

    return make


def watched(model, slots, looks, steps=1):
    decoder = Decoder(model, slots)
    decoder._steps = steps  # between two looks of the host: 8 on a GPU
    assert decoder._watch is not None
    decoder._watch = Planted(decoder, looks)
    return decoder


def reading(until, steps):
    """Positions of somebody who reads evenly and then stays."""
    return tuple(min(step, until) for step in range(steps))


@pytest.mark.parametrize(("slots", "steps"), [(4, 1), (2, 1), (1, 1), (4, 8), (2, 7)])
def test_each_row_is_stopped_for_what_it_looks_at_whenever_the_host_asks(model, request_for, slots, steps):
    requests = [request_for(seed) for seed in LOOKS]
    for order in (requests, requests[::-1]):
        said = {one.request.seed: one for one in spoken(watched(model, slots, LOOKS, steps), order)}
        outcomes = {seed: (one.reason, len(one.tokens)) for seed, one in said.items()}
        assert outcomes == {
            1: (LONG_TAIL, LAST + 4),  # 5 steps at one token of the last three
            2: (REPETITION, TEXT_TOKENS + 6),  # 6 times 0.9 on what was read before
            3: (STALL, 8 + GUARDS.stall_steps),
            4: (CAP, CAP_TOKENS),  # so near the end it is neither tail nor repetition
        }
        assert said[1].positions == reading(LAST - 1, LAST + 4)
        assert said[2].positions == reading(LAST, TEXT_TOKENS + 6)  # so far back is no step of reading
        assert said[3].positions == reading(7, 8 + GUARDS.stall_steps)
        assert said[4].positions == reading(LAST, TEXT_TOKENS) + (LAST - 3,) * (CAP_TOKENS - TEXT_TOKENS)


def test_the_end_is_refused_until_the_text_is_read(model, request_for, monkeypatch):
    head = model.head
    eager_to_end = torch.zeros(model.vocabulary).index_fill(0, torch.tensor([STOP_SPEECH]), 50.0)
    monkeypatch.setattr(model, "head", lambda hidden: head(hidden) + eager_to_end)
    short = GUARDS.end_reach + 2
    looks = {**LOOKS, 5: lambda _: {}}
    requests = [request_for(1), request_for(3), request_for(5, text_tokens=short)]
    said = {one.request.seed: one for one in spoken(watched(model, 3, looks), requests)}
    assert (said[1].reason, said[1].positions) == (END, reading(LAST, FINISHED))
    assert len(said[1].tokens) == FINISHED
    assert said[3].reason == STALL
    assert (said[5].reason, said[5].tokens) == (END, ())  # of so short a text nobody knows where it is read


def test_a_position_moves_only_as_far_as_somebody_reads(model, request_for):
    looked_at = [0, 1, 2, 8, 4, 1, 6, 2, 6, 6, 6, 6, 6, 6, 6, 6, 13, 12, 9, 12]
    #  there are:           ^ not spoken yet  ^ 4 back                ^ 7 ahead
    position = [0, 1, 2, 2, 4, 1, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 12, 9, 12]
    looks = {1: lambda step: {looked_at[step]: 1.0}}
    (one,) = spoken(watched(model, 2, looks), [request_for(1, cap=len(looked_at))])
    assert one.positions == tuple(position)
