"""The retry policy of rendering: what is turned down is tried again, but not for ever, and nothing is done twice."""

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from speedd.common.policies import MAX_ATTEMPTS
from speedd.config import load_config
from speedd.engines.base import find
from speedd.errors import EngineError, TryAgainError
from speedd.execution.base import ExecutorStatus
from speedd.execution.takes import chunk_seed, fallback_key, take_path
from speedd.ledger import Ledger, PendingUtterance, State
from speedd.model import Chunk, Failed, Job, Metadata, Rendered, Segment, Style, Voice
from speedd.pipeline.eta import EtaEstimator
from speedd.pipeline.job_run import BookProgress, JobRun
from speedd.pipeline.preparation import PlanSummary
from speedd.pipeline.rendering import Rendering, TakeKeys
from speedd.pipeline.run_context import RunContext

RATE_HZ = 24_000
GOOD, QUIET, SILENT, FAILED, FINAL, FALLBACK = "good", "quiet", "silent", "failed", "final", "fallback"
"""What the executor answers: a good take; one that is turned down but can be heard, or cannot; a text that could not be
spoken with this seed, or with any; a take that is turned down and was made with a fallback."""
VOICE = Voice("sine", "1" * 64)
SUMMARY = PlanSummary(
    Metadata(title="Book", language="en"), ("One",), "tone", "", VOICE, {}, words=14, chars=74, chunks=3
)
FIRST, SECOND, THIRD = "The clock stood in the hall.", "Nobody ever wound it.", "It was over soon enough."


class ScriptedExecutor:
    """An `Executor` in this process. It answers each text as its script says, attempt by attempt, else well."""

    def __init__(self, takes: Path, script: dict[str, tuple[str, ...]], stops_after: int | None) -> None:
        self.info = find("tone").describe({})
        self.asked: list[tuple[str, int]] = []
        """Text and attempt of each utterance, in order."""
        self._takes = takes
        self._script = script
        self._stops_after = stops_after

    def warm(self) -> None: ...

    def close(self) -> None: ...

    def status(self) -> ExecutorStatus:
        return ExecutorStatus(workers=(), runs=1, waiting=0, in_flight=0, rendered=0, failed=0)

    def run(self, utterances):
        for utterance in utterances:
            if self._stops_after == len(self.asked):
                raise TryAgainError("speedd is stopping.")
            seeds = [chunk_seed(0, utterance.text, 0, attempt) for attempt in range(9)]
            attempt = seeds.index(utterance.seed)
            assert (utterance.text, attempt) not in self.asked  # else the rounds would never end
            self.asked.append((utterance.text, attempt))
            answers = self._script.get(utterance.text, ())
            yield [self._answer(utterance, answers[attempt] if attempt < len(answers) else GOOD)]

    def _answer(self, utterance, what: str) -> Rendered | Failed:
        if what in {FAILED, FINAL}:
            return Failed(utterance.key, "it was told to fail", final=what == FINAL)
        peak_dbfs = {GOOD: -3.0, QUIET: -50.0, FALLBACK: -50.0, SILENT: -90.0}[what]
        key = fallback_key(utterance.key, "device=cpu" if what == FALLBACK else "")
        path = take_path(self._takes, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"fLaC")
        return Rendered(
            key=key,
            samples=2 * RATE_HZ,
            sample_rate_hz=RATE_HZ,
            peak_dbfs=peak_dbfs,
            rms_dbfs=peak_dbfs - 15,
            finite=True,
            render_s=0.1,
            stop_reason="end",
            size_bytes=4,
            worker=0,
            asked=utterance.key if what == FALLBACK else "",
            fallback="device=cpu" if what == FALLBACK else "",
        )


class Unhurried:
    """A `Control` that lets the book go on."""

    def check(self) -> None: ...


class Book:
    """A planned book of three chunks in a state directory of its own, to be rendered again and again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = CapturingLogger()
        self.context = self.context_with(disk_reserve_mb=0)
        self.takes = self.context.state.takes
        self.takes.mkdir(parents=True)
        self.ledger = Ledger(self.context.state.ledger)
        self.keys = TakeKeys(find("tone").describe({}), SUMMARY, self.context.config)
        self.plan("0" * 12)

    def context_with(self, **limits) -> RunContext:
        paths = {name: self.root / name for name in ("inbox", "outbox", "state", "voices")}
        config = load_config(overrides={"paths": paths, "limits": limits}, environment={})
        return RunContext(config=config, log=self.log, run_id="r")

    def plan(self, job_id: str) -> None:
        job = Job(job_id, job_id, "Book", self.root / job_id, self.root / "spool" / job_id, ())
        self.ledger.jobs.add(job, state=State.RUNNING)
        chunks = [Chunk(index, 0, text, (Segment(text),)) for index, text in enumerate((FIRST, SECOND, THIRD))]
        self.ledger.plans.record(job_id, {}, ["One"], chunks)

    def restart(self) -> None:
        """Lose everything that is not on the disk."""
        self.ledger.close()
        self.ledger = Ledger(self.context.state.ledger)

    def executor(self, script=None, *, stops_after: int | None = None) -> ScriptedExecutor:
        return ScriptedExecutor(self.takes, script or {}, stops_after)

    def render(self, executor: ScriptedExecutor, job_id: str = "0" * 12) -> JobRun:
        record = self.ledger.jobs.get(job_id)
        job_run = JobRun(record, Unhurried(), BookProgress(job_id, "Book"), started_at=0.0, run_id="r.1")
        eta = EtaEstimator(mastering_s=1.0)
        Rendering(self.context, job_run, ledger=self.ledger, executor=executor, keys=self.keys, eta=eta).run()
        return job_run

    def key(self, text: str, attempt: int) -> str:
        return self.keys.utterance(PendingUtterance(0, 0, text, Style(), 0), attempt).key

    def take_of(self, text: str) -> str:
        """The key of the take that a text has."""
        (key,) = [record.takes[0].key for record in self.ledger.plans.chunks("0" * 12) if record.chunk.text == text]
        return key

    def attempts(self, job_id: str = "0" * 12) -> list[int]:
        """The attempt of the take that each chunk has."""
        return [record.takes[0].attempt for record in self.ledger.plans.chunks(job_id)]

    def logged(self, event: str) -> list[dict]:
        return [call.kwargs for call in self.log.calls if call.args == (event,)]


@pytest.fixture
def book(tmp_path):
    made = Book(tmp_path)
    yield made
    made.ledger.close()


def test_what_is_good_is_rendered_once(book):
    executor = book.executor()
    job_run = book.render(executor)
    assert executor.asked == [(FIRST, 0), (SECOND, 0), (THIRD, 0)]
    assert (job_run.rendered, job_run.reused, job_run.warnings) == (3, 0, [])
    assert (job_run.progress.done, job_run.progress.total, job_run.progress.share) == (3, 3, 1.0)


@pytest.mark.parametrize("fault", [QUIET, SILENT, FAILED, FALLBACK])
def test_what_is_turned_down_is_rendered_with_the_next_seed_and_nothing_else_is(book, fault):
    executor = book.executor({SECOND: (fault, fault)})
    job_run = book.render(executor)
    assert executor.asked == [(FIRST, 0), (SECOND, 0), (THIRD, 0), (SECOND, 1), (SECOND, 2)]
    assert book.attempts() == [0, 2, 0]
    assert [(each["chunk"], each["attempt"]) for each in book.logged("chunk.retried")] == [(1, 1), (1, 2)]
    assert job_run.rendered == 3
    assert job_run.warnings == []


def test_after_the_last_attempt_the_first_take_that_can_be_heard_is_kept_as_doubtful(book):
    executor = book.executor({SECOND: (SILENT, QUIET, QUIET)})
    job_run = book.render(executor)
    assert [attempt for text, attempt in executor.asked if text == SECOND] == list(range(MAX_ATTEMPTS))
    assert book.take_of(SECOND) == book.key(SECOND, 1)
    assert [each["chunk"] for each in book.logged("chunk.doubtful")] == [1]
    (warning,) = job_run.warnings
    assert warning.startswith("Chunk 1 is kept although 3 takes of it were turned down: the audio is silent")
    assert job_run.progress.done == 3


def test_a_doubtful_take_that_was_made_with_a_fallback_is_found_under_its_own_key(book):
    job_run = book.render(book.executor({SECOND: (FALLBACK, SILENT, SILENT)}))
    assert book.take_of(SECOND) == fallback_key(book.key(SECOND, 0), "device=cpu")
    assert any("made with device=cpu" in warning for warning in job_run.warnings)


@pytest.mark.parametrize("fault", [SILENT, FAILED])
def test_a_text_of_which_nothing_can_be_heard_fails_the_book_naming_its_chunk(book, fault):
    executor = book.executor({SECOND: (fault,) * MAX_ATTEMPTS})
    with pytest.raises(EngineError, match=rf"Chunk 1 \(“{SECOND}”\) cannot be spoken: "):
        book.render(executor)
    assert [attempt for text, attempt in executor.asked if text == SECOND] == list(range(MAX_ATTEMPTS))


def test_a_final_failure_fails_the_book_at_once(book):
    executor = book.executor({SECOND: (FINAL,)})
    with pytest.raises(EngineError, match=rf"Chunk 1 \(“{SECOND}”\) cannot be spoken: it was told to fail"):
        book.render(executor)
    assert executor.asked == [(FIRST, 0), (SECOND, 0)]


def test_attempts_survive_a_restart(book):
    with pytest.raises(TryAgainError):
        book.render(book.executor({SECOND: (QUIET,)}, stops_after=3))
    book.restart()
    executor = book.executor()
    job_run = book.render(executor)
    assert executor.asked == [(SECOND, 1)]
    assert book.attempts() == [0, 1, 0]
    assert (job_run.rendered, job_run.reused) == (1, 2)


def test_a_restart_gives_no_attempts_on_top(book):
    with pytest.raises(TryAgainError):
        book.render(book.executor({SECOND: (QUIET,) * 2}, stops_after=4))
    book.restart()
    executor = book.executor({SECOND: (QUIET,) * MAX_ATTEMPTS})
    book.render(executor)
    assert executor.asked == [(SECOND, 2)]
    assert [each["chunk"] for each in book.logged("chunk.doubtful")] == [1]


def test_what_is_stored_is_adopted_and_not_rendered(book):
    book.render(book.executor({SECOND: (QUIET,)}))
    book.plan("1" * 12)
    executor = book.executor()
    job_run = book.render(executor, "1" * 12)
    assert executor.asked == []
    assert book.attempts("1" * 12) == [0, 1, 0]
    assert (job_run.rendered, job_run.reused, job_run.progress.done) == (0, 3, 3)


def test_what_is_stored_counts_before_anything_is_rendered(book):
    book.render(book.executor())
    take_path(book.takes, book.key(FIRST, 0)).unlink()
    book.plan("1" * 12)
    done = []
    book.context = replace(book.context, on_progress=lambda progress: done.append(progress.done))
    book.render(book.executor(), "1" * 12)
    assert done[:2] == [0, 2]


def test_a_take_whose_file_is_gone_is_rendered_again_with_its_own_seed(book):
    book.render(book.executor())
    take_path(book.takes, book.key(SECOND, 0)).unlink()
    executor = book.executor()
    job_run = book.render(executor)
    assert executor.asked == [(SECOND, 0)]
    assert (job_run.rendered, job_run.reused) == (1, 2)
    assert [each["count"] for each in book.logged("takes.missing")] == [1]


def test_a_disk_that_gets_full_pauses_the_book_and_costs_no_attempt(book):
    roomy, book.context = book.context, book.context_with(disk_reserve_mb=10**9)
    with pytest.raises(TryAgainError, match="almost full"):
        book.render(book.executor())
    book.context = roomy
    executor = book.executor()
    book.render(executor)
    assert executor.asked == [(SECOND, 0), (THIRD, 0)]
