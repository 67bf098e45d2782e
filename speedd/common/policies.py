"""The numbers of every retry policy: how often something is tried again, and how long it waits in between.

Each says what goes wrong, who notices and what happens. The table in ``speedd/README.md`` puts them side by side. What
an owner may want to change is a setting instead: ``inbox.damaged_wait_s``, ``limits.chunk_deadline_s``,
``workers.regrow_after_s``.
"""

from __future__ import annotations

from typing import Final

# --- a take ----------------------------------------------------------------------------------------------------------

MAX_ATTEMPTS: Final = 3
"""A take fails its check, or the engine fails at the text: `Rendering` asks for it so often, each time with another
seed. Then it keeps the first take that can be heard, or fails the book."""
AUDIBLE_DBFS: Final = -60.0
"""A take that peaks below this cannot be heard."""
MAX_REPAIRS: Final = 100
"""Mastering finds a take damaged or missing: `Narrator` has it rendered again, this often in one run of a book."""

# --- a worker --------------------------------------------------------------------------------------------------------

DEATHS_TO_FAIL: Final = 3
"""A worker dies with an utterance in its engine: `Supervisor` tries the utterance again alone, and fails it at the
third death."""
FAILED_STARTS_TO_GIVE_UP: Final = 5
"""A worker dies while it loads its engine: `Restarts` gives its slot up after so many in a row."""
FRUITLESS_DEATHS_TO_GIVE_UP: Final = 15
"""Workers of a slot die without one answer in between: `Restarts` gives the slot up. Five bad texts in a row reach
it."""
FIRST_BACK_OFF_S: Final = 0.1
LONGEST_BACK_OFF_S: Final = 30.0
"""A dead worker is replaced after the first pause, then after twice as long at each death without an answer."""
REST_S: Final = 600.0
"""A slot was given up while other slots work: `Supervisor` tries it again after this."""
NO_ROOM_PAUSE_S: Final = 30.0
"""Not even one row fits on a device: `Supervisor` tries it again after this."""
LOAD_DEADLINE_S: Final = 600.0
"""An engine hangs while it loads or gets ready for a voice: `Deadlines` has its worker killed after this."""
END_DEADLINE_S: Final = 10.0
"""A worker hangs while it ends: `Deadlines` has it killed after this. torch takes a second or two."""
DEADLINE_FACTOR: Final = 10.0
"""An engine hangs in a text: `Pace` allows it so many times what the engine's pace lets expect."""
OVERDUE_S: Final = 10.0
"""A worker is this far past its deadline and still there: the daemon stops pinging the watchdog, and systemd starts it
anew."""
STOP_S: Final = 0.7
"""A worker does not end when told to: `Supervisor` kills it after this."""

# --- the memory of a device ------------------------------------------------------------------------------------------

MOST_DOUBLINGS: Final = 5
"""An engine runs out of memory: `Throttle` halves its rows. The calm time before it tries more doubles each time that
went wrong, so often at most."""
CALM_S: Final = 60.0
"""Others use the card: `YieldPolicy` makes room at once. It takes more again when they have used less for so long. A
game that loads a level is not over."""

# --- a book ----------------------------------------------------------------------------------------------------------

CRASHES_TO_FAIL: Final = 3
"""The whole program dies with the same chunk in flight and no take in between: `OpenBooks` fails the book at the third
time in a row."""
PAUSE_FIRST_S: Final = 5.0
PAUSE_LONGEST_S: Final = 300.0
"""Something passes, as a full disk: `OpenBooks` tries the book again after the first pause, then after twice as long
each time. It never gives up."""

# --- the inbox, the state --------------------------------------------------------------------------------------------

COPY_AGAIN_S: Final = 5.0
"""A source cannot be copied for now: `Intake` tries again after this."""
DUPLICATE_S: Final = 60.0
"""A second copy of a book at work may not be deleted yet: `Intake` looks at it again after this."""
LOOK_AGAIN_S: Final = 5.0
"""The daemon's own disk or a share fails: `Daemon` looks around again after this."""
LOCK_WAIT_S: Final = 30.0
"""Another process holds the state directory: `App` waits so long for it. A restart overlaps for seconds."""
