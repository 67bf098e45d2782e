"""On a real card: what it computes, what that takes of its memory against what `budget` says, and room beside others.

Full-size generated weights. `pytest -s -m gpu` prints the figures.
"""

# ruff: noqa: T201 - the figures are what it is run for

import gc
import importlib.util
import random
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest

from speedd.engines.chatterbox.families import FAMILIES
from speedd.engines.chatterbox.memory.budget import ENGLISH, S3GenWork, s3gen_bytes
from speedd.engines.chatterbox.weights.files import find_weights
from speedd.errors import TryAgainError
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.pool.pool import WorkerPool
from speedd.execution.pool.settings import PoolSettings
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import chunk_seed, take_key
from speedd.model import Rendered, Style, Utterance

if any(importlib.util.find_spec(module) is None for module in ("torch", "chatterbox")):
    pytest.skip("the chatterbox extra is not installed", allow_module_level=True)

import torch
from chatterbox_bench.generated import FULL
from chatterbox_stock import requests_for
from chatterbox_stock import spoken as said_by
from chatterbox_tiny_engine import digests, load, options
from chatterbox_tiny_engine import spoken as said_through
from chatterbox_tiny_engine import utterances as texts_for
from chatterbox_tiny_s3gen import snr_db, spoken, voice

from speedd.engines.chatterbox.s3gen.model import S3Gen
from speedd.engines.chatterbox.t3.decoder import Decoder, row_length
from speedd.engines.chatterbox.weights.loading import load_s3gen, load_t3

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="nvidia-smi, which reads the card, is missing"),
]

LEFT_MB = 6 * 1024
"""What is left of the card for us and for the neighbour."""
TAKEN_MB = 2 * 1024
"""What the neighbour takes of that now and then."""
ROWS = 8
UTTERANCES = 200
CALIBRATION = 2.0
"""The budget counts on no less than what S3Gen takes divided by this, and on no more than so many times as much."""
STYLES = (Style(), Style(temperature=0.6, cfg_weight=0.3, top_p=0.9), Style(top_k=40), Style(cfg_weight=0.0))
TEXTS = (
    "The lamps along the harbour were lit one after the other.",
    "Nobody came.",
    "He wrote it down twice, once for himself and once for whoever might ask.",
    "And in the morning all of it was gone.",
)

NEIGHBOUR = f"""
import random, sys, time
import torch
dice = random.Random(1)
def take(mb):
    return torch.empty(mb << 20, dtype=torch.uint8, device="cuda")
base = take(max(1, (torch.cuda.mem_get_info()[0] >> 20) - {LEFT_MB}))
print("there", flush=True)
while True:
    try:
        more = take({TAKEN_MB})
        print("took", flush=True)
    except torch.OutOfMemoryError:
        print("found no room", flush=True)
    time.sleep(dice.uniform(0.2, 3.0))
    more = None
    torch.cuda.empty_cache()
    time.sleep(dice.uniform(0.2, 3.0))
"""


def used_mb():
    """What all programs use of the first card."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


@contextmanager
def neighbour(log):
    """Another program on the card; its doings are in the log."""
    with log.open("w") as out:
        program = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], stdout=out)
    try:
        while "there" not in log.read_text():
            assert program.poll() is None
            time.sleep(0.1)
        yield
    finally:
        program.kill()
        program.wait()


def pool(weights, takes, *, idle_s=600.0):
    return WorkerPool(
        PoolSettings(
            "chatterbox",
            takes,
            options(weights, device="cuda", rows=ROWS),
            workers=1,
            times=PoolTimes(idle_release_s=idle_s),
            limits=WorkerLimits(reserve_bytes=512 << 20, regrow_after_s=5.0, ahead=8),
        )
    )


def utterances(info, count):
    dice = random.Random(1)
    for number in range(count):
        text = " ".join(f"Sentence {number} went on." for _ in range(dice.randint(2, 10)))
        seed = chunk_seed(0, text, 0, 0)
        key = take_key(info, text=text, voice=info.voices[0], style=Style(), seed=seed, language="en")
        yield Utterance(key, text, info.voices[0], Style(), seed)


def narrate(narrators, work):
    """Speak all of it, as a book is spoken: without room it waits and goes on; return the answers and the waits."""
    answers, waits = [], 0
    while len(answers) < len(work):
        done = {answer.utterance_key for answer in answers}
        try:
            for batch in narrators.run([one for one in work if one.key not in done]):
                answers += batch
        except TryAgainError:
            waits += 1
            time.sleep(5)
    return answers, waits


@pytest.fixture(scope="module")
def weights(checkpoint):
    return checkpoint("english", FULL["english"], mean_tokens=150, reference_s=10.0)


@pytest.fixture
def files(weights):
    return find_weights(FAMILIES["english"], weights, "", {})


def held_bytes():
    """What this process's tensors hold of the card, and no longer what is only waiting to be collected."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


# --- what it computes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_steps_that_are_replayed_give_the_tokens_of_steps_that_are_taken(files, precision):
    t3 = load_t3(files, precision=precision, device="cuda")
    asked = requests_for(files, TEXTS, STYLES, cap=200)  # through several spans
    # Two rows for four texts: a recorded step also serves whoever has the row next.
    replayed, taken = (
        {one.request.key: one for one in said_by(Decoder(t3, 2, graphs=graphs), asked)} for graphs in (True, False)
    )
    for request in asked:
        assert len(replayed[request.key].tokens) > 8
        assert replayed[request.key] == taken[request.key]


def test_rows_that_are_rendered_together_sound_as_alone(files):
    model = load_s3gen(files, listens=False)
    ann, ben = voice(250, seed=1), voice(250, seed=2)
    rows = [spoken(40, ann, seed=1), spoken(47, ben, seed=2), spoken(60, ann, seed=3), spoken(64, ben, seed=4)]
    one, four = (S3Gen.from_model(model, device="cuda", estimator_dtype=torch.float32, rows=count) for count in (1, 4))
    assert len({four.bucket(row) for row in rows}) == 1
    alone, together = one.render(rows), four.render(rows)
    assert [len(wave) for wave in together] == [len(wave) for wave in alone] == [960 * len(row.tokens) for row in rows]
    found_db = [snr_db(torch.from_numpy(a), b) for a, b in zip(alone, together, strict=True)]
    print(f"\nrows together against rows alone: {', '.join(f'{db:.0f}' for db in found_db)} dB")
    assert min(found_db) >= 80


@pytest.mark.parametrize("model", ["english", "turbo"])
def test_in_fp32_a_text_has_the_same_audio_in_any_company(checkpoint, model):
    engine = load(checkpoint(model, FULL[model], mean_tokens=60), model=model, device="cuda", precision="fp32", rows=4)
    work = texts_for(engine)
    together = digests(said_through(engine, work))
    assert len(set(together.values())) == len(work)
    assert digests(said_through(engine, work[::-1])) == together
    for one in work:
        assert digests(said_through(engine, [one])) == {one.key: together[one.key]}
    engine.close()


def test_in_bf16_a_row_has_the_same_bits_in_its_place_of_a_full_batch(files):
    four = S3Gen.from_model(load_s3gen(files, listens=False), device="cuda", estimator_dtype=torch.bfloat16, rows=4)
    ann = voice(250, seed=1)
    chunk, *mates = (spoken(tokens, ann, seed=tokens) for tokens in (140, 130, 160, 151, 145, 129))
    assert len({four.bucket(row) for row in (chunk, *mates)}) == 1
    of_three = four.render([chunk, *mates[:2]])  # the fourth is idle
    for fourth in mates[2:]:
        full = four.render([chunk, *mates[:2], fourth])
        assert all(np.array_equal(one, other) for one, other in zip(of_three, full, strict=False))
    for place in range(4):
        first, second = (four.render([*them[:place], chunk, *them[place:]]) for them in (mates[:3], mates[2:]))
        assert np.array_equal(first[place], second[place])
        print(
            f"\nplace {place}: {'the bits of place 0' if np.array_equal(first[place], of_three[0]) else 'other bits'}"
        )


# --- what it takes of the card ---------------------------------------------------------------------------------------


def test_t3_and_its_rows_take_what_the_budget_says(files):
    empty = held_bytes()
    t3 = load_t3(files, precision="bf16", device="cuda")
    weights_bytes = held_bytes() - empty
    taken = {}
    for slots in (4, 12):
        before = held_bytes()
        torch.cuda.reset_peak_memory_stats()
        decoder = Decoder(t3, slots)
        taken[slots] = torch.cuda.max_memory_allocated() - before
        del decoder
    row_bytes = (taken[12] - taken[4]) / 8  # what is there for all of them falls out
    counted = ENGLISH.slot_bytes(row_length(FAMILIES["english"]))
    print(f"\nT3: {weights_bytes / 1e6:.0f} MB, counted {ENGLISH.weight_bytes / 1e6:.0f}")
    print(f"a row: {row_bytes / 1e6:.1f} MB, counted {counted / 1e6:.1f}")
    assert weights_bytes == pytest.approx(ENGLISH.weight_bytes, rel=0.1)
    assert row_bytes == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize(("rows", "reference_s", "speech_s"), [(1, 10.0, 6.0), (1, 3.0, 12.0), (8, 10.0, 6.0)])
@pytest.mark.parametrize("estimator", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
def test_s3gen_takes_what_the_budget_says(files, rows, reference_s, speech_s, estimator):
    before = held_bytes()
    s3gen = S3Gen.from_model(
        load_s3gen(files, listens=False), device="cuda", estimator_dtype=estimator, reference_s=reference_s, rows=rows
    )
    loaded = held_bytes()
    reference = voice(round(25 * reference_s), seed=1)
    speech = [spoken(round(25 * speech_s), reference, seed=seed) for seed in range(rows)]
    s3gen.render(speech)  # libraries take their workspaces once
    rested = held_bytes()
    torch.cuda.reset_peak_memory_stats()
    s3gen.render(speech)
    peak_bytes = torch.cuda.max_memory_allocated() - rested
    counted = S3GenWork(rows, reference_s, speech_s, estimator_bytes=estimator.itemsize).peak_bytes()
    work = f"{rows} × ({reference_s:g} + {speech_s:g}) s"
    weights_bytes = s3gen_bytes(estimator.itemsize)
    print(f"\nS3Gen: {(loaded - before) / 1e6:.0f} MB, counted {weights_bytes / 1e6:.0f}")
    print(f"{work}: {peak_bytes / 1e6:.0f} MB beside it, counted {counted / 1e6:.0f}")
    assert peak_bytes / CALIBRATION <= counted <= peak_bytes * CALIBRATION
    assert loaded - before == pytest.approx(weights_bytes, rel=0.05)


# --- beside others ---------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_beside_a_neighbour_that_takes_and_frees_a_third_of_the_card_nothing_fails(weights, tmp_path):
    log = tmp_path / "neighbour.log"
    with neighbour(log), closing(pool(weights, tmp_path / "takes")) as narrators:
        work = list(utterances(narrators.info, UTTERANCES))
        began_s = time.monotonic()
        answers, waits = narrate(narrators, work)
        wall_s = time.monotonic() - began_s
        status = narrators.status()
    assert len(answers) == len(work)
    assert all(isinstance(answer, Rendered) and answer.finite for answer in answers)
    assert sum(worker.restarts for worker in status.workers) == 0
    doings = log.read_text().split("\n")
    assert doings.count("took") >= 3
    audio_s = sum(answer.duration_s for answer in answers)
    changed = sum(bool(answer.fallback) for answer in answers)
    print(f"\n{audio_s:.0f} s of audio in {wall_s:.0f} s: {audio_s / wall_s:.1f} × realtime; {changed} with fallbacks")
    print(f"the neighbour: {doings.count('took')} times 2 GB, {doings.count('found no room')} times without room")
    print(f"waited {waits} times because not even a row fitted")


def test_workers_that_are_idle_give_the_whole_card_back(weights, tmp_path):
    before_mb = used_mb()
    with closing(pool(weights, tmp_path / "takes", idle_s=1.0)) as narrators:
        work = list(utterances(narrators.info, 4))
        assert len([answer for batch in narrators.run(work) for answer in batch]) == len(work)
        held_mb = used_mb() - before_mb
        assert held_mb > 1024
        give_up_s = time.monotonic() + 60
        while narrators.status().workers[0].pid is not None or used_mb() > before_mb + 16:
            assert time.monotonic() < give_up_s, f"{used_mb() - before_mb} MB are held"
            time.sleep(0.1)
        print(f"\nheld {held_mb} MB while it spoke, {used_mb() - before_mb} MB when it was idle")
        assert len([answer for batch in narrators.run(work) for answer in batch]) == len(work)  # and it comes again
