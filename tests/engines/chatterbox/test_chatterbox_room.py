"""Room on a card: how it is shared out when the model is loaded, and what the scheduler makes of what is left."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.config import Config, engine_options
from speedd.engines.chatterbox.factory import GPU_ROWS, LIMITS, rows_on_gpu
from speedd.engines.chatterbox.memory.budget import (
    CONTEXT_BYTES,
    ENGLISH,
    GPU_S3GEN_ROWS,
    MARGIN_BYTES,
    NANO,
    TURBO,
    CardMemory,
    Needs,
    s3gen_bytes,
)
from speedd.engines.chatterbox.settings import ChatterboxSettings
from speedd.execution.scheduler import QueuedRow, choose

GIB = 2**30
PATHS = {name: f"/{name}" for name in ("inbox", "outbox", "state", "voices", "pronunciations")}
RESERVE_BYTES = engine_options(Config.model_validate({"paths": PATHS}))("chatterbox").reserve_bytes
REFERENCE_S = 10.0


@dataclass
class Card:
    """A card on which English is loaded, as the engine loads it; its arithmetic, and no more."""

    total_bytes: int
    numbers: int = 2
    others_bytes: int = 0

    def __post_init__(self):
        precision = "bf16" if self.numbers == 2 else "fp32"
        self.width = rows_on_gpu(self.total_bytes, ChatterboxSettings(reference_s=REFERENCE_S), precision)
        weights = ENGLISH.weight_bytes * self.numbers // 2 + s3gen_bytes(self.numbers)
        self.free_at_load_bytes = self.total_bytes - CONTEXT_BYTES - weights - self.others_bytes
        self.needs = Needs(ENGLISH, REFERENCE_S, self.numbers)
        room = self.free_at_load_bytes - RESERVE_BYTES - MARGIN_BYTES
        self.share = self.needs.share_out(room, most=self.width)
        self.workspace_bytes = self.needs.workspace_bytes(self.share.s3gen_rows)
        self.cache_bytes = self.needs.cache_bytes(self.share.slots)
        self.used_bytes = weights + self.cache_bytes

    def budget(self, kept_bytes=0, more_bytes=0):
        """Say what the engine says while torch keeps so much that is idle, and others have taken so much more."""
        card = CardMemory(
            free_bytes=self.free_at_load_bytes - self.cache_bytes - kept_bytes - more_bytes,
            reserved_bytes=self.used_bytes + kept_bytes,
            allocated_bytes=self.used_bytes,
        )
        return self.needs.budget(self.share, card, reserve_bytes=RESERVE_BYTES, tokens=0)


def started(budget, running=()):
    """How many texts of the best length the scheduler lets start."""
    waiting = [QueuedRow(LIMITS.best_chars) for _ in range(200)]
    return len(
        choose(
            waiting,
            running,
            max_rows=200,
            rows_cap=budget.rows,
            budget=budget,
            limits=LIMITS,
            reserve_bytes=RESERVE_BYTES,
        )
    )


@pytest.mark.parametrize("numbers", [2, 4], ids=["bf16", "fp32"])
@pytest.mark.parametrize("card_gib", [6, 8, 12, 24])
def test_there_is_room_for_all_slots_at_load_and_after_torch_has_kept_the_workspace(card_gib, numbers):
    card = Card(card_gib * GIB, numbers)
    assert card.share.slots > 1
    for kept_bytes in (0, card.workspace_bytes // 2, card.workspace_bytes):
        budget = card.budget(kept_bytes)
        assert budget.workspace_bytes == card.workspace_bytes
        assert budget.free_bytes >= RESERVE_BYTES
        assert budget.free_bytes + budget.idle_bytes - budget.workspace_bytes >= RESERVE_BYTES + MARGIN_BYTES
        assert started(budget) == budget.rows >= card.share.slots
        assert started(budget, (LIMITS.best_chars,)) == budget.rows - 1


@pytest.mark.parametrize(("card_gib", "slots", "s3gen_rows"), [(6, 4, 4), (8, 8, 8), (12, 20, 8), (24, 49, 16)])
def test_what_a_card_that_is_free_comes_to(card_gib, slots, s3gen_rows):
    share = Card(card_gib * GIB).share
    assert (share.slots, share.s3gen_rows) == (slots, s3gen_rows)


@pytest.mark.parametrize("card_gib", [6, 24])
def test_in_fp32_there_is_room_for_one_row_of_s3gen_and_the_more_for_slots(card_gib):
    card = Card(card_gib * GIB, numbers=4)
    assert card.share.s3gen_rows == 1
    assert card.workspace_bytes == card.needs.workspace_bytes(1)
    assert card.share.rows == card.share.slots  # nobody waits for company


def test_others_on_the_card_cost_slots_when_it_is_loaded():
    alone, beside = Card(8 * GIB), Card(8 * GIB, others_bytes=2 * GIB)
    assert beside.width == alone.width  # the bits are the same
    assert 1 < beside.share.slots < alone.share.slots
    assert started(beside.budget()) == beside.share.rows


@pytest.mark.parametrize("card_gib", [6, 8, 12, 24])
@pytest.mark.parametrize("kept", [0, 1])
def test_what_others_take_later_costs_rows_of_s3gen_and_then_all_but_one(card_gib, kept):
    card = Card(card_gib * GIB)
    # What is idle here is no room for others: they can have what is free, and that alone.
    kept_bytes = kept * card.needs.workspace_bytes(1)
    works = []
    for more_bytes in range(0, card.budget(kept_bytes).free_bytes, 100_000_000):
        budget = card.budget(kept_bytes, more_bytes)
        works.append(budget.workspace_bytes)
        if budget.free_bytes + budget.idle_bytes - RESERVE_BYTES > card.needs.workspace_bytes(1):
            assert budget.free_bytes + budget.idle_bytes - budget.workspace_bytes > RESERVE_BYTES
            assert started(budget) == budget.rows
        else:
            assert started(budget) == 1  # the slots are taken; one goes on at a time
    assert works == sorted(works, reverse=True)
    assert (works[0], works[-1]) == (card.workspace_bytes, card.needs.workspace_bytes(1))
    assert len(set(works)) == card.share.s3gen_rows.bit_length()


@given(
    st.sampled_from([ENGLISH, TURBO, NANO]),
    st.integers(0, 80 * 10**9),
    st.integers(1, 512),
    st.floats(1, 10),
    st.sampled_from([2, 4]),
)
def test_what_is_shared_out_fits_and_no_slot_more_would(t3, free_bytes, most, reference_s, numbers):
    needs = Needs(t3, reference_s, numbers)
    share = needs.share_out(free_bytes, most=most)
    work = needs.workspace_bytes(share.s3gen_rows)
    assert needs.cache_bytes(share.slots) + work <= free_bytes or (share.slots, share.s3gen_rows) == (1, 1)
    assert share.slots == most or needs.cache_bytes(share.slots + 1) + work > free_bytes
    assert share.s3gen_rows & (share.s3gen_rows - 1) == 0
    assert 1 <= share.s3gen_rows <= min(share.slots, GPU_S3GEN_ROWS if numbers == 2 else 1)


def test_the_reserve_of_the_configuration_reaches_the_engine():
    config = Config.model_validate({"paths": PATHS, "gpu": {"reserve_mb": 100}})
    assert engine_options(config)("chatterbox").reserve_bytes == 100 << 20
    assert RESERVE_BYTES == 512 << 20


@pytest.mark.parametrize("finished_rows", [1, 32, 100])
def test_as_many_wait_to_be_rendered_together_as_the_configuration_allows(finished_rows):
    config = Config.model_validate({"paths": PATHS, "engines": {"chatterbox": {"finished_rows": finished_rows}}})
    assert engine_options(config)("chatterbox").settings.finished_rows == finished_rows
    needs = Needs(ENGLISH, REFERENCE_S, 2, finished_rows)
    many, half, one = (needs.share_out(free_gb * 10**9, most=64) for free_gb in (20, 10, 1))
    assert many.s3gen_rows > 1
    assert (many.rows, half.rows) == (many.slots + finished_rows, half.slots + finished_rows)
    assert many.half.rows == many.half.slots + finished_rows
    assert (one.s3gen_rows, one.rows) == (1, 1)


def test_a_whole_card_decides_the_width_and_no_more_than_is_useful():
    widths = [Card(gib * GIB).width for gib in (2, 6, 8, 12, 24, 80)]
    assert widths == sorted(widths)
    assert (widths[0], widths[-1]) == (1, GPU_ROWS)
    assert all(Card(gib * GIB).share.slots <= Card(gib * GIB).width for gib in (6, 8, 12, 24))
