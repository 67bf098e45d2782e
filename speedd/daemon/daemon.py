"""The daemon: looks into the inbox, keeps books moving, brings each source to exactly one recorded end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from speedd import inbox
from speedd.daemon.app import App
from speedd.daemon.books import OpenBooks
from speedd.daemon.intake import Intake
from speedd.daemon.outcomes import Outcomes
from speedd.daemon.retention import collect
from speedd.daemon.status import describe, describe_engine, status_path, write_status
from speedd.errors import PASSING, TryAgainError
from speedd.pipeline.job_run import BookProgress
from speedd.service.notify import Notifier

BUSY_TICK_S = 1.0
"""How often the daemon looks around while a book is at work."""
LOOK_AGAIN_S = 5.0
"""How long it sits still when its disk is full, say, before it looks around again."""
STATUS_S = 2.0
"""How often the status file is written while a book is at work."""
UPKEEP_S = 86_400.0
"""How often what nobody needs any more is removed."""


class Daemon:
    """Runs on an open `App`.

    Args:
        app: the open state directory.
        stop: outcomes `run` when it is set.
        wake: rung from anywhere to have the daemon look around at once.
        notifier: tells systemd.
        once: take what is in the inbox, then end.
        say: told plain lines for a person at a terminal.
        on_progress: told whenever a book's `BookProgress` changed.
    """

    def __init__(
        self,
        app: App,
        *,
        stop: threading.Event,
        wake: threading.Event,
        notifier: Notifier,
        once: bool = False,
        say: Callable[[str], None] = lambda _: None,
        on_progress: Callable[[BookProgress], None] = lambda _: None,
    ) -> None:
        self._app = app
        self._config = app.config
        self._log = app.log
        self._stop = stop
        self._wake = wake
        self._notifier = notifier
        self._once = once
        self._last_status_s = self._last_upkeep_s = float("-inf")
        cadence = inbox.cadence(self._config.paths.inbox, self._config.inbox)
        self._outcomes = Outcomes(app.ledger, app.config, log=app.log, say=say)
        self._books = OpenBooks(
            app,
            outcomes=self._outcomes,
            damaged_wait_s=max(1.0, cadence.settle_s) if once else self._config.inbox.damaged_wait_s,
            stop=stop,
            wake=wake,
            once=once,
            say=say,
            on_progress=on_progress,
        )
        self._intake = Intake(
            app,
            cadence=cadence,
            outcomes=self._outcomes,
            supersede=self._books.supersede,
            stop=stop,
            wake=wake,
            once=once,
            say=say,
            alive=self._report,
        )

    def run(self) -> int:
        """Work until `stop` is set, or with ``once`` until nothing is left to do.

        Returns:
            0: all is published, or the daemon was stopped; 1: something failed; 75: something has to wait.
        """
        paths = self._config.paths
        self._write_status()  # what the last process left names a pid that is somebody else's by now
        self._books.requeue_interrupted()
        self._outcomes.finish_pending_moves()
        self._intake.start()
        self._log.info("service.ready", inbox=str(paths.inbox), outbox=str(paths.outbox))
        self._notifier.ready("WaitingSource for books.")
        try:
            while not self._stop.is_set():
                if self._wake.is_set():
                    self._intake.ring()
                self._wake.clear()
                try:
                    self._look_around()
                except (TryAgainError, OSError) as error:  # the ledger's disk is full, say, or a share has gone stale
                    if self._once or (isinstance(error, OSError) and error.errno not in PASSING):
                        raise
                    self._log.warning("service.waiting", reason=str(error))
                    self._stop.wait(LOOK_AGAIN_S)
                if self._once and not (self._books.at_work or self._books.startable or self._intake.settling):
                    break
                self._wake.wait(self._tick_s())
        finally:
            self._shut_down()
        if not self._once:
            return 0
        waits = self._app.ledger.jobs.unfinished() or self._intake.left_something
        return 1 if self._outcomes.failed else TryAgainError.exit_code if waits else 0

    def _look_around(self) -> None:
        if self._intake.due_s <= 0:
            self._intake.scan()
        self._books.process_cancellations()
        self._clear_away()
        self._keep_up()
        self._books.start()
        self._report()

    def _clear_away(self) -> None:
        if self._books.clear_away():
            self._last_status_s = float("-inf")  # what is told next is without them

    def _keep_up(self) -> None:
        """Once a day, while no book is at work, remove what nobody needs any more."""
        now_s = time.monotonic()
        if now_s - self._last_upkeep_s < UPKEEP_S or self._books.at_work:
            return
        self._last_upkeep_s = now_s
        collected = collect(self._app.ledger, self._config)
        if collected.takes or collected.copies or collected.stages:
            self._log.info(
                "state.collected",
                takes=collected.takes,
                copies=collected.copies,
                stages=collected.stages,
                freed_mb=round(collected.freed_bytes / 2**20, 1),
            )

    def _tick_s(self) -> float:
        """How long to sleep unless the bell rings."""
        waits = [self._intake.due_s, self._books.due_s]
        if self._books.at_work:
            waits.append(BUSY_TICK_S)
        if self._notifier.watchdog_s:
            waits.append(self._notifier.watchdog_s / 3)
        return max(0.05, min(waits))

    def _shut_down(self) -> None:
        self._notifier.stopping("Stopping; books at work go on at the next start.")
        self._log.info("service.stopping", reason="told to" if self._stop.is_set() else "all is done")
        self._stop.set()
        self._app.close_engines()  # first: no book waits for a chunk that takes a minute
        self._intake.close()
        self._books.join()
        self._write_status()

    def _report(self) -> None:
        """Ping the watchdog, and now and then say how things are."""
        if all(engine.healthy for engine in self._app.engines().values()):  # else systemd starts us anew
            self._notifier.watchdog()
        now_s = time.monotonic()
        if now_s - self._last_status_s < STATUS_S:
            return
        self._last_status_s = now_s
        engines = [words for status in self._app.engines().values() if (words := describe_engine(status))]
        told = [describe(progress) for progress in self._books.in_progress]
        self._notifier.status("; ".join(told + engines) if told else "WaitingSource for books.")
        self._write_status()

    def _write_status(self) -> None:
        write_status(
            status_path(self._config.paths.state),
            run_id=self._app.run_id,
            books=self._books.in_progress,
            waiting=self._intake.waiting,
            engines=self._app.engines(),
        )
