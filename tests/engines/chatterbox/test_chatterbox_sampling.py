"""How many of the likeliest tokens a row keeps is its own affair: of the logits, of a decoder's rows, of a book."""

from dataclasses import replace

import pytest

from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.model import Style

torch = pytest.importorskip("torch", reason="the chatterbox extra is not installed")
pytest.importorskip("chatterbox", reason="the chatterbox extra is not installed")

from chatterbox_stock import requests_for, spoken  # noqa: E402

from speedd.engines.chatterbox.t3 import sampling  # noqa: E402
from speedd.engines.chatterbox.t3.decoder import Decoder  # noqa: E402
from speedd.engines.chatterbox.t3.sampling import ALL_TOKENS, kept_by_top_k, reach_of_top_k  # noqa: E402
from speedd.engines.chatterbox.weights.loading import load_t3  # noqa: E402

TOKENS = 300
TEXTS = ("Of three who speak", "only one is bound", "to say what is likeliest.")


@pytest.fixture
def logits():
    return torch.randn(5, TOKENS, generator=torch.Generator().manual_seed(7))


def column(*ks):
    return torch.tensor(ks)[:, None]


@pytest.mark.parametrize("widest", [1, 7, 64, 65, TOKENS - 1])
def test_each_row_keeps_as_many_of_the_likeliest_as_it_asks_for(logits, widest):
    ks = (1, widest, ALL_TOKENS, TOKENS, TOKENS + 1)
    kept = kept_by_top_k(logits, column(*ks), reach_of_top_k(ks, TOKENS))
    assert kept.isfinite().sum(1).tolist() == [1, widest, TOKENS, TOKENS, TOKENS]
    for row, k in enumerate(ks):
        best = logits[row].topk(min(k, TOKENS)).indices
        assert torch.equal(kept[row, best], logits[row, best])


def test_a_row_is_what_it_is_alone_whatever_the_others_keep(logits):
    alone = kept_by_top_k(logits[:1], column(20), reach_of_top_k([20], TOKENS))
    for others in (1, 250, ALL_TOKENS):
        ks = (20, others, others, others, others)
        assert torch.equal(kept_by_top_k(logits, column(*ks), reach_of_top_k(ks, TOKENS))[:1], alone)


def test_tokens_that_are_ruled_out_stay_so_where_fewer_are_left_than_are_kept(logits):
    ruled_out = logits.masked_fill(torch.arange(TOKENS) >= 3, -torch.inf)
    kept = kept_by_top_k(ruled_out, column(5, 3, 2, 1, ALL_TOKENS), 8)
    assert kept.isfinite().sum(1).tolist() == [3, 3, 2, 1, 3]


@pytest.mark.parametrize(
    ("ks", "reach"),
    [
        ([], 0),
        ([ALL_TOKENS], 0),
        ([TOKENS, TOKENS + 1], 0),
        ([1], 1),
        ([1, ALL_TOKENS], 1),
        ([5, 3], 8),
        ([64], 64),
        ([65], 128),
        ([TOKENS - 1], TOKENS),
    ],
)
def test_the_steps_of_a_batch_come_in_few_kinds(ks, reach):
    assert reach_of_top_k(ks, TOKENS) == reach


@pytest.fixture(scope="module", params=["english", "turbo"])
def model(request, checkpoint):
    weights = find_weights(FAMILIES[request.param], checkpoint(request.param, mean_tokens=40), "", {})
    return load_t3(weights, precision="fp32", device="cpu"), requests_for(weights, TEXTS, [Style()] * 3, cap=60)


def test_a_row_that_keeps_one_token_is_greedy_and_its_neighbours_are_untouched(model):
    t3, asked = model
    usual = {one.request.key: one.tokens for one in spoken(Decoder(t3, 3), asked)}
    greedy = replace(asked[1], style=Style(top_k=1))
    said = {one.request.key: one.tokens for one in spoken(Decoder(t3, 3), [asked[0], greedy, asked[2]])}
    assert said.pop(greedy.key) != usual.pop(greedy.key)
    assert said == usual
    others = {spoken(Decoder(t3, 1), [replace(greedy, seed=seed)])[0].tokens for seed in (1, 2)}
    assert len(others) == 1
    assert len({spoken(Decoder(t3, 1), [replace(asked[1], seed=seed)])[0].tokens for seed in (1, 2)}) == 2


def test_a_model_draws_from_as_many_as_it_was_made_for_unless_the_style_says_otherwise(model):
    t3, asked = model
    own = t3.family.top_k or t3.vocabulary
    usual = [one.tokens for one in spoken(Decoder(t3, 1), asked)]
    assert [one.tokens for one in spoken(Decoder(t3, 1), [with_top_k(one, own) for one in asked])] == usual
    more = [with_top_k(one, t3.vocabulary) for one in asked]
    assert ([one.tokens for one in spoken(Decoder(t3, 1), more)] == usual) is (t3.family.top_k == 0)


def test_nothing_is_sorted_where_no_row_keeps_fewer(model, monkeypatch):
    t3, asked = model
    sorted_ = []
    monkeypatch.setattr(sampling, "kept_by_top_k", lambda x, *_: sorted_.append(1) or x)
    spoken(Decoder(t3, 1), [with_top_k(asked[0], t3.vocabulary)])
    assert not sorted_
    spoken(Decoder(t3, 1), [with_top_k(asked[0], t3.vocabulary - 1)])
    assert sorted_


def with_top_k(request, top_k):
    return replace(request, style=Style(top_k=top_k))
