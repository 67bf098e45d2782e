import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
from execution_pools import results, utterance, utterances

from speedd.errors import EngineError, TryAgainError
from speedd.execution.base import WorkerState
from speedd.execution.pool.deadlines import PoolTimes
from speedd.execution.protocol import WorkerLimits
from speedd.execution.scheduler import window
from speedd.execution.takes import PARTIAL_FOLDER, take_path
from speedd.model import Failed, Rendered, Voice


def wait_until(condition, what):
    give_up_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_s, f"waited in fruitless for: {what}"
        time.sleep(0.01)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(pool):
    return [worker.pid for worker in pool.status().workers if worker.pid]


def test_what_is_on_disk_is_what_was_reported(pool, tmp_path):
    narrators = pool("tone")
    work = utterances(narrators.info, 20)
    for one in results(narrators, work).values():
        path = take_path(tmp_path / "takes", one.key)
        wave, rate_hz = soundfile.read(path)
        assert isinstance(one, Rendered)
        assert (one.samples, one.sample_rate_hz, one.size_bytes) == (len(wave), rate_hz, path.stat().st_size)
        assert one.peak_dbfs == pytest.approx(20 * np.log10(np.abs(wave).max()))
        assert one.rms_dbfs == pytest.approx(10 * np.log10(np.mean(wave**2)))
        assert one.finite
        assert one.stop_reason == "end"
        assert 0 <= one.render_s < 60
        assert one.worker in {0, 1}
    assert {path.stem for path in (tmp_path / "takes").rglob("*.flac")} == {one.key for one in work}
    status = narrators.status()
    assert (status.rendered, status.failed, status.runs, status.waiting, status.in_flight) == (20, 0, 0, 0, 0)
    assert [worker.uncommitted for worker in status.workers] == [0, 0]


def test_nothing_to_speak_and_a_text_that_fails_and_silence(pool, tmp_path):
    narrators = pool("tone", workers=1)
    nothing, fails = utterance(narrators.info, "* * *"), utterance(narrators.info, "FAIL")
    answers = results(narrators, [nothing, fails])
    assert answers[fails.key] == Failed(fails.key, "it was asked to fail")
    assert answers[nothing.key].samples == answers[nothing.key].size_bytes == 0
    assert answers[nothing.key].stop_reason == "nothing_to_speak"
    mute = pool("silent", workers=1)
    (silence,) = results(mute, [utterance(mute.info, "Not a word.")]).values()
    assert silence.samples > 0
    assert silence.peak_dbfs == silence.rms_dbfs == float("-inf")


def test_the_source_is_pulled_lazily_and_in_the_callers_thread(pool):
    narrators = pool("tone")
    pulled = []

    def source():
        for one in utterances(narrators.info, 200):
            pulled.append(threading.get_ident())
            yield one

    run = narrators.run(source())
    assert not pulled
    answered = len(next(run))
    assert len(pulled) <= answered + 8
    answered += sum(len(batch) for batch in run)
    assert answered == 200
    assert set(pulled) == {threading.get_ident()}


def test_an_error_in_the_source_ends_the_run_and_no_other(pool):
    narrators = pool("tone")

    def source():
        yield from utterances(narrators.info, 5)
        raise KeyError("the ledger")

    with pytest.raises(KeyError, match="the ledger"):
        list(narrators.run(source()))
    results(narrators, utterances(narrators.info, 5, text="Again"))


@pytest.mark.fault
def test_uncommitted_takes_never_exceed_two_per_worker(pool, tmp_path):
    narrators = pool("tone")
    committed = 0
    for batch in narrators.run(utterances(narrators.info, 60)):
        time.sleep(0.02)  # a slow commit: the workers could run ahead
        stored = len(list((tmp_path / "takes").rglob("*.flac")))
        assert stored - committed <= 4
        assert all(worker.uncommitted <= 2 for worker in narrators.status().workers)
        committed += len(batch)
    assert committed == 60


@pytest.mark.fault
def test_a_killed_worker_is_replaced_and_everything_is_answered_once(pool, trace, tmp_path, monkeypatch):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "0.01")
    narrators = pool("slow")
    work = utterances(narrators.info, 120)
    kills = 0
    answers = []
    for batch in narrators.run(work):
        answers += batch
        if len(answers) > 25 * (kills + 1) and kills < 4 and pids(narrators):
            os.kill(pids(narrators)[kills % len(pids(narrators))], signal.SIGKILL)
            kills += 1
    assert kills == 4
    assert sorted(answer.key for answer in answers) == sorted(one.key for one in work)
    assert all(isinstance(answer, Rendered) for answer in answers)
    assert sum(worker.restarts for worker in narrators.status().workers) == kills
    assert len(trace()) - len(work) <= kills * 2
    undisturbed = tmp_path / "undisturbed"
    results(pool("slow", takes=undisturbed), work)
    for one in work:
        assert take_path(tmp_path / "takes", one.key).read_bytes() == take_path(undisturbed, one.key).read_bytes()


@pytest.mark.fault
def test_a_text_that_kills_the_worker_fails_and_nothing_else_does(pool, trace):
    narrators = pool("crash_on_chunk")
    good = utterances(narrators.info, 12)
    bad = [utterance(narrators.info, "CRASH"), utterance(narrators.info, "RAISE: a secret of the book")]
    answers = results(narrators, [*good[:4], bad[0], *good[4:8], bad[1], *good[8:]])
    assert all(isinstance(answers[one.key], Rendered) for one in good)
    for one, reason in zip(bad, ("it ended with status 3", "it failed with MemoryError"), strict=True):
        assert answers[one.key] == Failed(
            one.key, f"The engine stopped working 3 times while it spoke this text; the last time {reason}.", final=True
        )
        assert trace().count(one.key) == 3


@pytest.mark.fault
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killer_in_a_batch_is_found_and_its_company_is_spoken(pool, trace, workers):
    narrators = pool("crash_in_batch", workers=workers)
    work = utterances(narrators.info, 40)
    bad = utterance(narrators.info, "CRASH")
    answers = results(narrators, [*work[:20], bad, *work[20:]])
    assert [key for key, answer in answers.items() if isinstance(answer, Failed)] == [bad.key]
    assert sum(worker.restarts for worker in narrators.status().workers) == 3
    # It died in company once and alone twice: what was in flight at the first death was spoken again, no more.
    assert trace().count(bad.key) == 3
    assert len(trace()) <= len(work) + 3 + window(8, "test")


@pytest.mark.fault
def test_a_text_on_which_the_engine_hangs_is_ended_by_the_deadline(pool):
    narrators = pool("hang", times=PoolTimes(chunk_s=1))
    good = utterances(narrators.info, 10)
    bad = utterance(narrators.info, "HANG")
    answers = results(narrators, [*good[:5], bad, *good[5:]])
    assert all(isinstance(answers[one.key], Rendered) for one in good)
    assert isinstance(answers[bad.key], Failed)
    assert re.search(r"while it spoke this text; .* it had not answered after \d+ s", answers[bad.key].reason)


@pytest.mark.fault
def test_a_stopped_process_is_ended_by_the_deadline(pool):
    narrators = pool("tone", workers=1, times=PoolTimes(chunk_s=0.4))
    results(narrators, utterances(narrators.info, 3))
    (pid,) = pids(narrators)
    os.kill(pid, signal.SIGSTOP)
    results(narrators, utterances(narrators.info, 3, text="More"))
    assert not alive(pid)


def test_two_runs_share_the_workers_fairly(pool, monkeypatch):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "0.01")
    narrators = pool("slow")
    order = []
    begin = threading.Barrier(2)

    def narrate(book):
        run = narrators.run(utterances(narrators.info, 40, text=book))
        begin.wait()
        for batch in run:
            order.extend(book for _ in batch)

    threads = [threading.Thread(target=narrate, args=(book,)) for book in ("One", "Two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order) == ["One"] * 40 + ["Two"] * 40
    # While both had work, neither was ahead by more than what was in flight.
    half = order[:60]
    assert abs(half.count("One") - half.count("Two")) <= 8


def test_the_same_utterances_in_two_runs_are_answered_in_both(pool):
    narrators = pool("tone")
    work = utterances(narrators.info, 30)
    threads = [threading.Thread(target=results, args=(narrators, work)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert narrators.status().rendered == 60
    twice = utterances(narrators.info, 1) * 5
    assert len([one for batch in narrators.run(twice) for one in batch]) == 5


def test_leaving_a_run_lets_the_others_go_on(pool, monkeypatch):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "0.02")
    narrators = pool("slow")
    left = narrators.run(utterances(narrators.info, 1000, text="Left"))
    next(left)
    left.close()
    status = narrators.status()
    assert (status.runs, status.waiting) == (0, 0)
    results(narrators, utterances(narrators.info, 10))
    wait_until(lambda: narrators.status().in_flight == 0, "what was in flight of the run that was left")
    assert narrators.status().rendered <= 4 + 10 + 4
    assert [worker.uncommitted for worker in narrators.status().workers] == [0, 0]


@pytest.mark.parametrize("engine", ["slow", "hang"])
def test_closing_in_mid_utterance_is_prompt_and_ends_the_workers(pool, monkeypatch, engine):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "600")
    narrators = pool(engine)
    ended = []

    def narrate():
        try:
            list(narrators.run(utterances(narrators.info, 8, text="HANG")))
        except TryAgainError as error:
            ended.append(error)

    thread = threading.Thread(target=narrate)
    thread.start()
    wait_until(lambda: narrators.status().in_flight == 4, "both workers to be busy")
    workers = pids(narrators)
    began_s = time.monotonic()
    narrators.close()
    thread.join()
    assert time.monotonic() - began_s < 2
    assert len(ended) == 1
    assert not any(alive(pid) for pid in workers)
    with pytest.raises(TryAgainError, match="stopped"):
        next(narrators.run(utterances(narrators.info, 1)))
    narrators.close()


def test_an_engine_that_cannot_load_says_why(pool):
    narrators = pool("broken_load")
    with pytest.raises(EngineError, match=r"The model is not there\. Fetch it\."):
        list(narrators.run(utterances(narrators.info, 5)))


@pytest.mark.fault
def test_an_engine_that_dies_while_loading_is_not_tried_for_ever(pool):
    narrators = pool("crash_at_load")
    with pytest.raises(EngineError, match=r"stopped working \d+ times in a row; the last time it ended with status 4"):
        list(narrators.run(utterances(narrators.info, 5)))


def test_a_voice_that_cannot_be_loaded_fails_its_utterances_alone(pool):
    narrators = pool("tone", workers=1)
    good = utterances(narrators.info, 4)
    bad = [utterance(narrators.info, f"Hear {n}", voice=Voice("unloadable", "f" * 64)) for n in range(3)]
    answers = results(narrators, [good[0], bad[0], bad[1], good[1], bad[2], good[2], good[3]])
    assert {answers[one.key] for one in bad} == {Failed(one.key, "This voice cannot be loaded.") for one in bad}
    assert all(isinstance(answers[one.key], Rendered) for one in good)


def test_a_batching_engine_is_kept_fed_and_its_budget_followed(pool):
    narrators = pool("oom_at_rows", workers=1)
    results(narrators, utterances(narrators.info, 60))
    places = narrators.status().workers[0].rows_cap + WorkerLimits().ahead
    assert places in {2 + 2, 3 + 2}  # of the 8 that it claimed, 4 are still too many
    pulled, in_flight = count(), []

    def source():
        for one in utterances(narrators.info, 60, text="More"):
            next(pulled)
            in_flight.append(narrators.status().in_flight)
            yield one

    run = narrators.run(source())
    answered = len(next(run))
    assert places <= next(pulled) <= 2 * places  # as much as it may hold waits for it, beside what it holds
    assert answered + sum(len(batch) for batch in run) == 60
    assert max(in_flight) <= places


@pytest.mark.fault
def test_a_disk_that_takes_nothing_pauses_and_loses_nothing(pool, tmp_path):
    takes = tmp_path / "takes"
    narrators = pool("tone", takes=takes)
    work = utterances(narrators.info, 6)
    takes.write_bytes(b"in the way")
    with pytest.raises(TryAgainError, match="cannot be stored"):
        list(narrators.run(work))
    takes.unlink()
    results(narrators, work)


@pytest.mark.fault
def test_a_machine_that_starts_no_process_now_is_waited_for(pool):
    tone = pool("tone")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(TryAgainError, match="No engine can be started now"):
            list(tone.run(utterances(tone.info, 1)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(results(tone, utterances(tone.info, 3))) == 3


def test_workers_die_with_their_parent(tmp_path):
    program = (
        "import sys, structlog; from pathlib import Path; from speedd.execution.pool.pool import WorkerPool\n"
        "from speedd.execution.pool.settings import PoolSettings\n"
        "from execution_pools import utterances\n"
        "structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))\n"
        "pool = WorkerPool(PoolSettings('hang', Path(sys.argv[1]), workers=2))\n"
        "run = pool.run(iter([*utterances(pool.info, 2), *utterances(pool.info, 4, text='HANG')]))\n"
        "next(run)\n"
        "print(*[worker.pid for worker in pool.status().workers], flush=True)\n"
        "list(run)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ["PYTHONPATH"]]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            workers = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(workers) == 2
            assert all(alive(pid) for pid in workers)
            for pid in workers:
                os.kill(pid, signal.SIGINT)
                os.kill(pid, signal.SIGTERM)  # the parent decides, not the signal to the group
            time.sleep(0.1)
            assert all(alive(pid) for pid in workers)
        finally:
            parent.kill()
    wait_until(lambda: not any(alive(pid) for pid in workers), "the workers to die")


@pytest.mark.fault
def test_workers_inherit_no_file_of_ours(pool, tmp_path):
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    try:
        narrators = pool("tone", workers=1)
        results(narrators, utterances(narrators.info, 1))
        (pid,) = pids(narrators)
        held = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        assert str(tmp_path / "lock") not in held
        assert len([name for name in held if name.startswith("socket:")]) == 1
    finally:
        os.close(lock)


def test_workers_have_one_heap_and_one_thread_where_there_is_one_for_each_core(pool):
    narrators = pool("tone", workers=1)
    results(narrators, utterances(narrators.info, 1))
    (pid,) = pids(narrators)
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert {b"MALLOC_ARENA_MAX=1", b"OMP_NUM_THREADS=1"} <= set(environment)


def test_idle_workers_are_given_back_and_come_again(pool):
    narrators = pool("tone", times=PoolTimes(idle_release_s=0.05))
    results(narrators, utterances(narrators.info, 4))
    wait_until(lambda: not pids(narrators), "the workers to be released")
    assert {worker.state for worker in narrators.status().workers} == {WorkerState.STOPPED}
    results(narrators, utterances(narrators.info, 4, text="Again"))
    assert sum(worker.restarts for worker in narrators.status().workers) == 0


def test_half_written_files_of_a_killed_worker_are_removed(pool, tmp_path):
    narrators = pool("tone", workers=1)
    results(narrators, utterances(narrators.info, 2))
    (pid,) = pids(narrators)
    partial = tmp_path / "takes" / PARTIAL_FOLDER / f"abcd.{pid}"
    partial.write_bytes(b"fL")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not partial.exists(), "the half-written file to go")


def test_half_written_files_of_an_earlier_life_are_removed(pool, tmp_path):
    partial = tmp_path / "takes" / PARTIAL_FOLDER / "abcd.99999999"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"fL")
    pool("tone")
    assert not partial.exists()


def test_status_tells_what_goes_on(pool, monkeypatch):
    monkeypatch.setenv("SPEEDD_TEST_SLOW_S", "0.05")
    narrators = pool("slow", times=PoolTimes(heartbeat_s=0.05))
    assert {worker.state for worker in narrators.status().workers} == {WorkerState.STOPPED}
    run = narrators.run(utterances(narrators.info, 12))
    next(run)
    status = narrators.status()
    assert status.runs == 1
    assert status.in_flight <= 4
    assert status.healthy
    assert any(worker.state is WorkerState.BUSY and worker.rss_bytes > 1_000_000 for worker in status.workers)
    list(run)
    assert {worker.state for worker in narrators.status().workers} <= {WorkerState.IDLE, WorkerState.STOPPED}


def test_an_idle_pool_costs_nothing(pool):
    narrators = pool("tone", times=PoolTimes(heartbeat_s=0.001))
    results(narrators, utterances(narrators.info, 10))

    def switches():
        files = [one for pid in [os.getpid(), *pids(narrators)] for one in Path(f"/proc/{pid}/task").glob("*/status")]
        lines = [line for one in files for line in one.read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary"))

    def rested():
        before = switches()
        time.sleep(0.3)
        return switches() - before < 20  # heartbeats would make hundreds, a loop that polls thousands

    wait_until(rested, "the pool to fall asleep")


def test_warmed_up_it_is_loaded_before_there_is_work(pool):
    warmed = pool("tone")
    warmed.warm()
    wait_until(lambda: all(worker.state is WorkerState.IDLE for worker in warmed.status().workers), "loaded workers")
    workers = [worker.pid for worker in warmed.status().workers]
    results(warmed, utterances(warmed.info, 4))
    assert [worker.pid for worker in warmed.status().workers] == workers
