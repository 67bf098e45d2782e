"""Notice what was dropped and wait until it has settled: the scan is the truth, events only make it come sooner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speedd.inbox import names
from speedd.inbox.grouping import Candidate, Unit, candidates, units
from speedd.inbox.listing import InboxUnavailableError, list_inbox


@dataclass(frozen=True, slots=True)
class WaitingSource:
    """Something in the inbox that is not taken yet, for ``status``."""

    name: str
    waited_s: float
    """Since it was first seen."""
    why: str
    again_in_s: float | None = None
    """When it is looked at again at the latest; None: when something about it changes."""


@dataclass(slots=True)
class _Seen:
    unit: Unit
    since_s: float
    """When it was first seen as it is now, by the scanner's clock."""
    first_s: float
    """When something with this key was first seen."""
    candidates: tuple[Candidate, ...] | None = None
    """Made when it has settled, kept while it does not change."""


@dataclass(slots=True)
class _Postponed:
    signature: str
    until_s: float
    why: str


class Scanner:
    """Finds what has settled in the inbox. Not thread-safe: one thread scans.

    Args:
        inbox: the folder to look into.
        settle_s: how long nothing of a source must have changed, in seconds.
        known: whether a candidate with this signature was accepted or refused before (the ledger knows). Asked at
            every scan for everything that has settled.
        narrated: whether a book of this name was published from the inbox and can be narrated again, with partners
            that come late.
        clock: seconds, monotonic: no file's time is ever compared with it.
    """

    def __init__(
        self,
        inbox: Path,
        *,
        settle_s: float,
        known: Callable[[Candidate], bool],
        narrated: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.inbox = inbox.absolute()
        self.settle_s = settle_s
        self._known = known
        self._narrated = narrated
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._postponed: dict[Path, _Postponed] = {}
        self._waiting: list[WaitingSource] = []
        self._due_s: float | None = None

    def scan(self) -> list[Candidate]:
        """Look at everything once; return what has settled and is not known, the longest waiting first.

        What is returned comes again at the next scan, until it is known, postponed, changed or gone.

        Raises:
            InboxUnavailableError: if the inbox is not there or cannot be read. Nothing in it counts as deleted;
                what had not settled starts anew when it is back.
        """
        try:
            listing = list_inbox(self.inbox)
        except InboxUnavailableError:
            self._seen.clear()
            self._waiting, self._due_s = [], None
            raise
        now_s = self._clock()
        before, self._seen = self._seen, {}
        for key, unit in units(listing).items():
            seen = before.get(key)
            if seen is None or seen.unit != unit:
                seen = _Seen(unit, since_s=now_s, first_s=seen.first_s if seen else now_s)
            self._seen[key] = seen
        return self._settled(now_s)

    @property
    def waiting(self) -> list[WaitingSource]:
        """What the last scan saw and did not return, except what is known."""
        return list(self._waiting)

    @property
    def due_s(self) -> float | None:
        """In how many seconds a scan finds something that waited for its time; None: nothing waits for time."""
        return None if self._due_s is None else max(0.0, self._due_s - self._clock())

    def postpone(self, candidate: Candidate, seconds: float, why: str) -> None:
        """Do not return a candidate for a while, unless anything of it changes.

        Args:
            candidate: as `scan` returned it.
            seconds: from now.
            why: for `waiting`, such as "damaged, waiting for the rest".
        """
        self._postponed[candidate.source] = _Postponed(candidate.signature, self._clock() + seconds, why)

    def _settled(self, now_s: float) -> list[Candidate]:
        ready: list[tuple[float, Candidate]] = []
        due: list[float] = []
        present: set[Path] = set()
        self._waiting = []
        for key, seen in self._seen.items():
            settles_s = seen.since_s + self.settle_s
            if now_s < settles_s:
                due.append(settles_s)
                self._wait(_shown(key, seen.unit), seen.first_s, now_s, "still being copied", settles_s)
                continue
            if seen.candidates is None:
                seen.candidates = candidates(seen.unit, self.inbox, narrated=self._narrated)
            if not seen.candidates:
                why = "no book in it yet" if seen.unit[0].is_folder else "waiting for its book"
                self._wait(_shown(key, seen.unit), seen.first_s, now_s, why)
            for candidate in seen.candidates:
                present.add(candidate.source)
                postponed = self._postponed.get(candidate.source)
                if postponed and postponed.signature == candidate.signature and now_s < postponed.until_s:
                    due.append(postponed.until_s)
                    self._wait(
                        names.readable(candidate.source.name), seen.first_s, now_s, postponed.why, postponed.until_s
                    )
                elif not self._known(candidate):
                    ready.append((seen.first_s, candidate))
        if all(seen.candidates is not None for seen in self._seen.values()):
            # What is still settling may be what was postponed; once all has settled, the rest is gone.
            self._postponed = {path: each for path, each in self._postponed.items() if path in present}
        self._due_s = min(due, default=None)
        ready.sort(key=lambda each: each[0])
        return [candidate for _, candidate in ready]

    def _wait(self, name: str, first_s: float, now_s: float, why: str, until_s: float | None = None) -> None:
        self._waiting.append(WaitingSource(name, now_s - first_s, why, None if until_s is None else until_s - now_s))


def _shown(key: str, unit: Unit) -> str:
    return names.readable(unit[0].name if len(unit) == 1 else key.rpartition("/")[0])
