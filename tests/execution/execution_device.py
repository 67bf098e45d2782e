"""A card that is shared: memory in blocks, other programs that come and go, readings that are late and not exact.

The clock is virtual. `narrate` lets the worker's own scheduler and throttle run a batching engine on it and adds up what
happened.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from speedd.engines.base import Budget
from speedd.execution.scheduler import Waiting, choose, row_cost_bytes
from speedd.execution.throttle import Throttle
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


def narrate(*, chunks, seed, total=12 << 30, fixed=2 << 30, reserve=512 * MIB, tenants_every_s=15.0, slots=200, ahead=16):
    """Speak so many chunks on a shared card; every one is spoken exactly once."""
    dice = random.Random(seed)
    card = Card(total, used=fixed)
    todo = deque((number, int(min(400, max(20, dice.gauss(200, 70))))) for number in range(chunks))
    waiting, running, report = [], {}, Report()
    throttle = Throttle((), quiet_s=30.0)
    events, ties = [], iter(range(1 << 60))
    clock, read_at, read = 0.0, -1.0, 0
    broken_since = None

    def plan(when, what, *data):
        heapq.heappush(events, (when, next(ties), what, data))

    def budget():
        nonlocal read, read_at
        if clock - read_at >= READING_AGE_S:
            read, read_at = int(card.free * (1 + dice.gauss(0, READING_ERROR))), clock
        held = sum(sum(row.blocks) for row in running.values())
        return Budget(
            slots, max(0, read), ROW_BYTES, ROW_BASE_BYTES, idle_bytes=sum(card.cache), held_bytes=held
        )

    def cost(chars):
        return row_cost_bytes(chars, budget_of_costs, LIMITS)

    budget_of_costs = Budget(slots, 0, ROW_BYTES, ROW_BASE_BYTES)

    def run_out(row):
        """What a worker does: give back, fewer rows, empty the cache."""
        report.ran_out += 1
        answer = throttle.run_out(len(running), clock)
        report.given_up += answer == "give up"
        drop(row)
        card.cache.clear()

    def drop(row):
        for block in row.blocks:
            card.release(block)
        row.dropped = True
        del running[row.number]
        waiting.insert(0, (row.number, Waiting(row.chars)))

    def grow(row):
        block = card.allocate(-(-cost(row.chars) // PAGES // (2 * MIB)) * 2 * MIB)
        if not block:
            run_out(row)
            return False
        row.blocks.append(block)
        return True

    def admit():
        while todo and len(waiting) < ahead:
            number, chars = todo.popleft()
            waiting.append((number, Waiting(chars)))
        throttle.grow(clock)
        cap = slots if throttle.rows is None else throttle.rows
        chosen = choose(
            [one for _, one in waiting],
            [row.chars for row in running.values()],
            max_rows=slots,
            rows_cap=cap,
            budget=budget(),
            limits=LIMITS,
            reserve_bytes=reserve,
        )
        starting = [waiting[index] for index in chosen]
        for one in starting:
            waiting.remove(one)
        for number, one in starting:
            known = broken_since is not None and clock - broken_since > READING_AGE_S
            if running and known and card.free + sum(card.cache) < reserve * (1 - 4 * READING_ERROR):
                report.started_in_breaks += 1
            row = running[number] = Row(number, one.chars)
            if grow(row):
                takes_s = 0.04 * one.chars * dice.uniform(0.8, 1.2)
                for page in range(1, PAGES):
                    plan(clock + takes_s * page / PAGES, "grow", row)
                plan(clock + takes_s, "end", row)

    def come_and_go():
        name = dice.randrange(4)
        if name in card.tenants:
            del card.tenants[name]
        else:
            size = int(dice.choice((0.2, 0.5, 1, 2, 4)) * (1 << 30))
            card.tenants[name] = min(size, max(0, card.free))  # it takes what it gets, our reserve included

    if tenants_every_s:
        plan(dice.expovariate(1 / tenants_every_s), "tenant")
    admit()
    while todo or waiting or running:
        until, _, what, data = heapq.heappop(events)
        rows = sum(cost(row.chars) for row in running.values())
        if todo:  # at the very end there is nothing to fill it with
            bound = max(0, card.total - sum(card.tenants.values()) - fixed - reserve)
            report.bound_byte_s += bound * (until - clock)
            report.row_byte_s += min(rows, bound) * (until - clock)
        clock = until
        if what == "tenant":
            come_and_go()
            plan(clock + dice.expovariate(1 / tenants_every_s), "tenant")
        elif not data[0].dropped:
            row = data[0]
            if what == "grow":
                grow(row)
            else:
                for block in row.blocks:
                    card.release(block)
                del running[row.number]
                report.spoken.append(row.number)
        if card.free + sum(card.cache) < reserve:
            if broken_since is None:
                broken_since = clock
                report.reserve_broken += 1
        elif broken_since is not None:
            report.longest_break_s = max(report.longest_break_s, clock - broken_since)
            broken_since = None
        admit()
    report.clock_s = clock
    return report
