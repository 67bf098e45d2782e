"""The daemon: looks into the inbox, keeps books moving, and brings each source to exactly one recorded end."""

from __future__ import annotations

import time

from speedd import inbox
from speedd.common.policies import LOOK_AGAIN_S
from speedd.daemon.app import App
from speedd.daemon.books import OpenBooks
from speedd.daemon.intake import Intake
from speedd.daemon.outcomes import Outcomes
from speedd.daemon.retention import collect
from speedd.daemon.status import describe, describe_engine, write_status
from speedd.errors import PASSING, TryAgainError
from speedd.service.notify import Notifier

BUSY_TICK_S = 1.0
"""How often the daemon looks around while a book is at work."""
STATUS_S = 2.0
"""How often the status file is written while a book is at work."""
RETENTION_S = 86_400.0
"""How often it removes what no job needs any more."""
WAITING = "Waiting for books."


class Daemon:
    """Runs on an open `App`.

    Args:
        app: the open state directory. With ``once`` in its context the daemon ends when the inbox is done.
        notifier: tells systemd.
    """

    def __init__(self, app: App, notifier: Notifier) -> None:
        self._app = app
        self._context = app.context
        self._log = app.context.log
        self._notifier = notifier
        self._last_status_s = self._last_retention_s = float("-inf")
        settings = app.context.config.inbox
        cadence = inbox.cadence(app.context.config.paths.inbox, settings)
        damaged_wait_s = max(1.0, cadence.settle_s) if app.context.once else settings.damaged_wait_s
        self._outcomes = Outcomes(app.context, app.ledger)
        self._books = OpenBooks(app, self._outcomes, damaged_wait_s=damaged_wait_s)
        self._intake = Intake(app, self._outcomes, cadence=cadence, supersede=self._books.supersede, alive=self._report)

    def run(self) -> int:
        """Work until told to stop, or with ``once`` until nothing is left to do.

        Returns:
            0: all is published, or the daemon was stopped. 1: something failed. 75: something has to wait.
        """
        paths, stop, wake = self._context.config.paths, self._context.stop, self._context.wake
        self._write_status()  # the last process left one with its own pid
        self._books.requeue_interrupted()
        self._outcomes.finish_pending_moves()
        self._intake.start()
        self._log.info("service.ready", inbox=str(paths.inbox), outbox=str(paths.outbox))
        self._notifier.ready(WAITING)
        try:
            while not stop.is_set():
                if wake.is_set():
                    self._intake.notify()
                wake.clear()
                try:
                    self._look_around()
                except (TryAgainError, OSError) as error:  # the ledger's disk is full, say, or a share has gone stale
                    if self._context.once or (isinstance(error, OSError) and error.errno not in PASSING):
                        raise
                    self._log.warning("service.waiting", reason=str(error))
                    stop.wait(LOOK_AGAIN_S)
                if self._context.once and not (self._books.at_work or self._books.startable or self._intake.settling):
                    break
                wake.wait(self._tick_s())
        finally:
            self._shut_down()
        if not self._context.once:
            return 0
        waits = self._app.ledger.jobs.unfinished() or self._intake.left_something
        return 1 if self._outcomes.failed else TryAgainError.exit_code if waits else 0

    def _look_around(self) -> None:
        if self._intake.due_s <= 0:
            self._intake.scan()
        self._books.process_cancellations()
        if self._books.collect_ended():
            self._last_status_s = float("-inf")  # the next status is written at once, without them
        self._collect_garbage()
        self._books.start()
        self._report()

    def _collect_garbage(self) -> None:
        """Once a day, while no book is at work, remove what no job needs any more."""
        now_s = time.monotonic()
        if now_s - self._last_retention_s < RETENTION_S or self._books.at_work:
            return
        self._last_retention_s = now_s
        collected = collect(self._app.ledger, self._context.config)
        if collected.takes or collected.copies or collected.stages:
            self._log.info(
                "state.collected",
                takes=collected.takes,
                copies=collected.copies,
                stages=collected.stages,
                freed_mb=round(collected.freed_bytes / 2**20, 1),
            )

    def _tick_s(self) -> float:
        """How long to sleep unless something wakes the daemon."""
        waits = [self._intake.due_s, self._books.due_s]
        if self._books.at_work:
            waits.append(BUSY_TICK_S)
        if self._notifier.watchdog_s:
            waits.append(self._notifier.watchdog_s / 3)
        return max(0.05, min(waits))

    def _shut_down(self) -> None:
        self._notifier.stopping("Stopping; books at work go on at the next start.")
        self._log.info("service.stopping", reason="told to" if self._context.stop.is_set() else "all is done")
        self._context.stop.set()
        self._app.close_engines()  # comes first, so that no book waits for a chunk that takes a minute
        self._intake.close()
        self._books.join()
        self._write_status()

    def _report(self) -> None:
        """Ping the watchdog, and now and then write the status."""
        if all(engine.healthy for engine in self._app.engines().values()):  # else systemd restarts the daemon
            self._notifier.watchdog()
        now_s = time.monotonic()
        if now_s - self._last_status_s < STATUS_S:
            return
        self._last_status_s = now_s
        engines = [words for status in self._app.engines().values() if (words := describe_engine(status))]
        told = [describe(progress) for progress in self._books.in_progress]
        self._notifier.status("; ".join(told + engines) if told else WAITING)
        self._write_status()

    def _write_status(self) -> None:
        write_status(
            self._context.state.status,
            run_id=self._context.run_id,
            books=self._books.in_progress,
            waiting=self._intake.waiting,
            engines=self._app.engines(),
        )
