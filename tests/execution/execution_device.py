"""A card that is shared: memory in blocks, other programs that come and go, readings that are late and not exact.

The clock is virtual. `narrate` lets the worker's own scheduler and throttle run a batching engine on it and adds up
what happened.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from speedd.engines.base import Budget
from speedd.execution.scheduler import QueuedRow, choose, row_cost_bytes
from speedd.execution.worker.throttle import Answer, Throttle
from speedd.model import TextLimits

MIB = 1 << 20
LIMITS = TextLimits(best_chars=240, max_chars=400)
ROW_BYTES, ROW_BASE_BYTES = 120 * MIB, 30 * MIB
PAGES = 4
"""A row takes its memory in so many steps while it grows."""
READING_AGE_S, READING_ERROR = 0.05, 0.01
"""What the device says is that old, and off by so much (standard deviation)."""


@dataclass
class Card:
    """What is in use, by whom; all in bytes."""

    total: int
    tenants: dict = field(default_factory=dict)
    used: int = 0
    cache: list = field(default_factory=list)
    """Blocks that the engine keeps: each can be used again by what is as large, or a little smaller."""

    @property
    def free(self):
        return self.total - sum(self.tenants.values()) - self.used - sum(self.cache)

    def allocate(self, size):
        """Take a block as torch's caching allocator does; False if there is no room even with its cache emptied."""
        fitting = [block for block in self.cache if size <= block <= 1.25 * size]
        if fitting:
            block = min(fitting)
            self.cache.remove(block)
            self.used += block
            return block
        if size > self.free:
            self.cache.clear()
        if size > self.free:
            return 0
        self.used += size
        return size

    def release(self, block):
        self.used -= block
        self.cache.append(block)


@dataclass
class Row:
    number: int
    chars: int
    blocks: list = field(default_factory=list)
    dropped: bool = False


@dataclass
class Report:
    """What came of a run."""

    spoken: list = field(default_factory=list)
    ran_out: int = 0
    given_up: int = 0
    row_byte_s: float = 0.0
    """Integral of what the rows in hand were good for."""
    bound_byte_s: float = 0.0
    """Integral of what others, the reserve and the engine's fixed part left over: all of it full of rows is 1."""
    reserve_broken: int = 0
    longest_break_s: float = 0.0
    started_in_breaks: int = 0
    """Rows that joined others although the readings must have shown that the reserve was broken."""
    clock_s: float = 0.0

    @property
    def occupancy(self):
        return self.row_byte_s / self.bound_byte_s


def narrate(**options):
    """Speak so many chunks on a shared card; every one is spoken exactly once."""
    return Simulation(**options).run()


class Simulation:
    """A worker, its engine and the card, on a virtual clock.

    Args:
        chunks: how many there are to speak.
        seed: of everything that is left to chance.
        total: size of the card; ``fixed`` of it belongs to the engine whatever it speaks.
        reserve: what the scheduler leaves free.
        tenants_every_s: how often another program comes or goes, on average; 0: never.
        slots: rows that the engine holds at most.
        ahead: how many utterances wait at the worker.
    """

    def __init__(
        self,
        *,
        chunks,
        seed,
        total=12 << 30,
        fixed=2 << 30,
        reserve=512 * MIB,
        tenants_every_s=15.0,
        slots=200,
        ahead=16,
    ):
        self.dice = random.Random(seed)
        self.card = Card(total, used=fixed)
        self.fixed, self.reserve, self.slots, self.ahead = fixed, reserve, slots, ahead
        self.tenants_every_s = tenants_every_s
        self.todo = deque((number, int(min(400, max(20, self.dice.gauss(200, 70))))) for number in range(chunks))
        self.waiting, self.running = [], {}
        self.throttle = Throttle((), regrow_after_s=30.0)
        self.events, self.ties = [], count()
        self.clock, self.read_at, self.read = 0.0, -1.0, 0
        self.broken_since = None
        self.report = Report()

    def run(self):
        if self.tenants_every_s:
            self.plan(self.dice.expovariate(1 / self.tenants_every_s), self.come_or_go)
        self.admit()
        while self.todo or self.waiting or self.running:
            until, _, event, data = heapq.heappop(self.events)
            self.add_up(until)
            self.clock = until
            event(*data)
            self.watch_reserve()
            self.admit()
        self.report.clock_s = self.clock
        self.note_break()
        return self.report

    def plan(self, when, event, *data):
        heapq.heappush(self.events, (when, next(self.ties), event, data))

    def add_up(self, until):
        if not self.todo:  # at the very end there is nothing to fill the card with
            return
        card = self.card
        bound = max(0, card.total - sum(card.tenants.values()) - self.fixed - self.reserve)
        rows = sum(cost(row.chars) for row in self.running.values())
        self.report.bound_byte_s += bound * (until - self.clock)
        self.report.row_byte_s += min(rows, bound) * (until - self.clock)

    def watch_reserve(self):
        if self.card.free + sum(self.card.cache) < self.reserve:
            if self.broken_since is None:
                self.broken_since = self.clock
                self.report.reserve_broken += 1
        else:
            self.note_break()
            self.broken_since = None

    def note_break(self):
        """Note how long the reserve has been broken, if it is; also at the end, when nothing will mend it any more."""
        if self.broken_since is not None:
            self.report.longest_break_s = max(self.report.longest_break_s, self.clock - self.broken_since)

    def budget(self):
        card = self.card
        if self.clock - self.read_at >= READING_AGE_S:
            self.read, self.read_at = int(card.free * (1 + self.dice.gauss(0, READING_ERROR))), self.clock
        held = sum(sum(row.blocks) for row in self.running.values())
        free = max(0, self.read)
        return Budget(self.slots, free, ROW_BYTES, ROW_BASE_BYTES, idle_bytes=sum(card.cache), held_bytes=held)

    def admit(self):
        while self.todo and len(self.waiting) < self.ahead:
            number, chars = self.todo.popleft()
            self.waiting.append((number, QueuedRow(chars)))
        self.throttle.grow(self.clock)
        chosen = choose(
            [one for _, one in self.waiting],
            [row.chars for row in self.running.values()],
            max_rows=self.slots,
            rows_cap=self.slots if self.throttle.rows is None else self.throttle.rows,
            budget=self.budget(),
            limits=LIMITS,
            reserve_bytes=self.reserve,
        )
        starting = [self.waiting[index] for index in chosen]
        for one in starting:
            self.waiting.remove(one)
        for number, one in starting:
            self.start(number, one.chars)

    def start(self, number, chars):
        known = self.broken_since is not None and self.clock - self.broken_since > READING_AGE_S
        short = self.card.free + sum(self.card.cache) < self.reserve * (1 - 4 * READING_ERROR)
        self.report.started_in_breaks += bool(self.running and known and short)
        row = self.running[number] = Row(number, chars)
        self.grow(row)
        if not row.dropped:
            takes_s = 0.04 * chars * self.dice.uniform(0.8, 1.2)
            for page in range(1, PAGES):
                self.plan(self.clock + takes_s * page / PAGES, self.grow, row)
            self.plan(self.clock + takes_s, self.end, row)

    def grow(self, row):
        if row.dropped:
            return
        block = self.card.allocate(-(-cost(row.chars) // PAGES // (2 * MIB)) * 2 * MIB)
        if block:
            row.blocks.append(block)
        else:
            self.note_out_of_memory(row)

    def note_out_of_memory(self, row):
        """What a worker does: give back, fewer rows, empty the cache."""
        self.report.ran_out += 1
        self.report.given_up += self.throttle.note_out_of_memory(len(self.running), self.clock) is Answer.GIVE_UP
        self.release(row)
        row.dropped = True
        self.waiting.insert(0, (row.number, QueuedRow(row.chars)))
        self.card.cache.clear()

    def end(self, row):
        if not row.dropped:
            self.release(row)
            self.throttle.note_success()
            self.report.spoken.append(row.number)

    def release(self, row):
        for block in row.blocks:
            self.card.release(block)
        del self.running[row.number]

    def come_or_go(self):
        """Another program takes what it wants, as far as there is any, our reserve included; or it ends."""
        name = self.dice.randrange(4)
        if name in self.card.tenants:
            del self.card.tenants[name]
        else:
            size = int(self.dice.choice((0.2, 0.5, 1, 2, 4)) * (1 << 30))
            self.card.tenants[name] = min(size, max(0, self.card.free))
        self.plan(self.clock + self.dice.expovariate(1 / self.tenants_every_s), self.come_or_go)


def cost(chars):
    return row_cost_bytes(chars, Budget(1, 0, ROW_BYTES, ROW_BASE_BYTES), LIMITS)
