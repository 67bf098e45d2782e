"""What goes wrong in an engine and on its device costs time, and nothing else."""

import os
from functools import partial
from itertools import islice

import pytest
from execution_pools import results, utterance, utterances

from speedd.errors import EngineError, TryAgainError, VoiceError
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.protocol import WorkerLimits
from speedd.execution.takes import fallback_key, take_path
from speedd.model import Failed, Rendered, Voice

NICE = 7
FAULTS = ("OOM", "FULL", "PART", "NAN", "KILL", "HANG")


@pytest.fixture
def pool(pool):
    """Makes pools of one worker."""
    return partial(pool, workers=1)


def takes(folder, work):
    return [take_path(folder, one.key).read_bytes() for one in work]


@pytest.mark.fault
@pytest.mark.parametrize("workers", [1, 2])
def test_whatever_goes_wrong_every_chunk_is_rendered_once_and_sounds_as_if_nothing_had(
    pool, fault_folder, trace, tmp_path, workers
):
    (fault_folder / "load").touch()
    narrators = pool("fault", workers=workers, times=PoolTimes(chunk_s=1))
    work = utterances(narrators.info, 60)
    for place, fault in enumerate(FAULTS):
        work[5 + 9 * place] = utterance(narrators.info, f"And then {fault} happened.")
    answers = results(narrators, work)
    assert all(isinstance(answer, Rendered) and answer.finite for answer in answers.values())
    assert len(list(fault_folder.iterdir())) == len(FAULTS)
    assert sum(worker.restarts for worker in narrators.status().workers) == 3  # load, KILL, HANG
    assert narrators.status().rendered == len(work)
    spoken_again = len(trace()) - len(work)
    assert spoken_again <= 6 * 8
    undisturbed = pool("fault", takes=tmp_path / "undisturbed")
    results(undisturbed, work)
    assert sum(worker.restarts for worker in undisturbed.status().workers) == 0
    assert takes(tmp_path / "takes", work) == takes(tmp_path / "undisturbed", work)


def test_a_batch_that_is_too_large_is_halved_and_the_cap_is_remembered(pool, trace):
    narrators = pool("oom_at_rows")
    work = utterances(narrators.info, 60)
    results(narrators, work)
    (worker,) = narrators.status().workers
    assert worker.restarts == 0
    assert worker.rows_cap in {2, 3}  # halved once or twice, by how many had come when it began
    assert len(trace()) == len(work)


def test_after_a_quiet_while_more_is_tried(pool):
    narrators = pool("oom_at_rows", limits=WorkerLimits(regrow_after_s=0.0))
    results(narrators, utterances(narrators.info, 60))
    assert narrators.status().workers[0].rows_cap >= 2


def test_what_does_not_fit_alone_takes_a_fallback_and_a_take_with_other_numerics_is_another_take(pool, tmp_path):
    narrators = pool("tight")
    small = utterances(narrators.info, 10)
    big, large = utterance(narrators.info, "A BIG one."), utterance(narrators.info, "A LARGE one.")
    answers = [one for batch in narrators.run([*small[:5], big, *small[5:], large]) for one in batch]
    found = {answer.utterance_key: answer for answer in answers}
    assert sorted(found) == sorted(one.key for one in [*small, big, large])
    assert (found[big.key].key, found[big.key].fallback) == (big.key, "")  # it keeps the bits
    fallen = found[large.key]
    assert fallen.fallback == "gain=half"
    assert fallen.key == fallback_key(large.key, "gain=half") != large.key
    assert take_path(tmp_path / "takes", fallen.key).exists()
    assert not take_path(tmp_path / "takes", large.key).exists()
    assert narrators.status().workers[0].fallbacks == ("smaller", "whisper")


def test_fallbacks_are_dropped_after_a_quiet_while(pool):
    narrators = pool("tight", limits=WorkerLimits(regrow_after_s=0.0))
    large, after = utterance(narrators.info, "A LARGE one."), utterances(narrators.info, 10)
    found = [one for batch in narrators.run([large, *after]) for one in batch]
    assert [one.utterance_key for one in found if one.fallback] == [large.key]
    assert narrators.status().workers[0].fallbacks == ()


def test_what_falls_back_on_the_processor_is_nice_there_and_only_there(pool):
    narrators = pool("moving", nice=NICE, limits=WorkerLimits(regrow_after_s=0.0))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    before, after, big = utterances(narrators.info, 2), utterances(narrators.info, 8, "After."), "A BIG one."
    work = [*before, utterance(narrators.info, big), *after, utterance(narrators.info, f"And {big}")]
    found = {one.utterance_key: one for batch in narrators.run(work) for one in batch}
    assert sorted(found) == sorted(one.key for one in work)
    at_home, aside = f"nice {own}", f"nice {min(19, own + NICE)}"
    assert all(one.stop_reason == (aside if one.fallback == "device=cpu" else at_home) for one in found.values())
    assert [one.utterance_key for one in found.values() if one.fallback] == [one.key for one in work if big in one.text]
    assert narrators.status().workers[0].restarts == 0


def test_only_fallbacks_that_are_allowed_are_taken(pool):
    narrators = pool("tight", limits=WorkerLimits(fallbacks=("smaller",)))
    assert len(results(narrators, [utterance(narrators.info, "A BIG one.")])) == 1
    with pytest.raises(TryAgainError, match="no room on its device"):
        list(narrators.run([utterance(narrators.info, "A LARGE one.")]))


def test_without_room_for_a_single_row_the_book_waits_and_nothing_is_lost(pool):
    narrators = pool("tight")
    work = utterances(narrators.info, 6)
    answered = []
    run = narrators.run([*work, utterance(narrators.info, "A HUGE one.")])
    with pytest.raises(TryAgainError, match=r"no room on its device: .* goes on by itself"):
        answered.extend(one for batch in run for one in batch)
    assert len(answered) == len(work)
    (worker,) = narrators.status().workers
    assert (worker.pid, worker.restarts) == (None, 0)
    assert worker.note


def test_a_voice_for_which_there_is_no_room_takes_a_fallback(pool):
    narrators = pool("tight")
    work = [
        utterance(narrators.info, f"Hear {n}.", voice=Voice("Cosine", "2" * 64) if n % 2 else None) for n in range(6)
    ]
    assert not any(isinstance(answer, Failed) for answer in results(narrators, work).values())


def test_a_sample_that_is_no_number_twice_is_reported(pool, trace):
    narrators = pool("no_numbers")
    work = utterances(narrators.info, 2)
    assert not any(answer.finite for answer in results(narrators, work).values())
    assert len(trace()) == 4


@pytest.mark.fault
@pytest.mark.parametrize(("fault", "deaths"), [("load 1", 5), ("work 1", 4), ("refuse 1", 1)])
def test_a_card_at_fault_leaves_all_to_the_other(pool, monkeypatch, fault, deaths):
    monkeypatch.setenv("SPEEDD_TEST_CARD_FAULT", fault)
    narrators = pool("card", workers=2, cards=("0", "1"))

    def source():
        work = iter(utterances(narrators.info, 5000))
        while narrators.status().workers[1].restarts < deaths:
            yield next(work)
        yield from islice(work, 10)

    work = []
    answers = [one for batch in narrators.run(work.append(one) or one for one in source()) for one in batch]
    assert sorted(answer.key for answer in answers) == sorted(one.key for one in work)
    assert all(isinstance(answer, Rendered) and answer.stop_reason == "on card 0" for answer in answers)
    well, ill = narrators.status().workers
    assert (well.restarts, well.note, well.card, ill.card) == (0, "", "0", "1")
    assert ill.note.startswith("left alone for a while: ") == (fault != "work 1")


def test_without_room_for_the_model_one_fallback_after_the_other_is_taken_and_dropped_when_there_is_some(
    pool, fault_folder
):
    (fault_folder / "full").touch()
    narrators = pool("tight", limits=WorkerLimits(regrow_after_s=0.0))
    work = utterances(narrators.info, 12)
    for one in work[:2]:  # after the first it tries to do without them, in vain
        (answer,) = (answer for batch in narrators.run([one]) for answer in batch)
        assert (answer.key, answer.fallback) == (fallback_key(one.key, "gain=half"), "gain=half")
    (fault_folder / "full").unlink()
    answers = [answer for batch in narrators.run(work[2:]) for answer in batch]
    assert answers[-1].fallback == ""
    assert sorted(answer.utterance_key for answer in answers) == sorted(one.key for one in work[2:])
    (worker,) = narrators.status().workers
    assert (worker.restarts, worker.fallbacks) == (0, ())


def test_without_room_for_the_model_and_without_fallbacks_the_book_waits(pool, fault_folder):
    (fault_folder / "full").touch()
    narrators = pool("tight", limits=WorkerLimits(fallbacks=()))
    with pytest.raises(TryAgainError, match="no room on its device: There is no room for the model"):
        list(narrators.run(utterances(narrators.info, 3)))


@pytest.mark.parametrize("full", [True, False])
def test_a_model_that_turns_out_to_be_no_good_when_there_is_room_for_it_is_refused_and_no_voice_is_blamed(
    pool, fault_folder, full
):
    if full:
        (fault_folder / "full").touch()
    (fault_folder / "lacking").touch()
    narrators = pool("tight", workers=2)
    work = utterances(narrators.info, 6)
    answered = []
    with pytest.raises(EngineError, match=r"^The model holds no tensor speech_head\. Get the file again\.$") as refused:
        answered.extend(answer for batch in narrators.run(work) for answer in batch)
    assert not isinstance(refused.value, VoiceError)
    assert answered == []
    (fault_folder / "lacking").unlink()
    assert all(isinstance(answer, Rendered) for batch in narrators.run(work) for answer in batch)
