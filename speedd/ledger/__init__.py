"""The ledger: the only truth about state, in one SQLite file.

`sources` knows what lies in the inbox, `jobs` where each job stands, `plans` what is to be said and `takes` what has
been; `database` is the file below them, and `migrations` its schema. The daemon's threads share one `Ledger`; other
processes (``status``, ``cancel``, ``retry``) open their own.
"""

from speedd.ledger.database import DamagedLedgerError
from speedd.ledger.jobs import JobRecord, State
from speedd.ledger.ledger import Ledger
from speedd.ledger.plans import ChunkRecord, ChunkTake
from speedd.ledger.takes import PendingUtterance, Progress

__all__ = [
    "ChunkRecord",
    "ChunkTake",
    "DamagedLedgerError",
    "JobRecord",
    "Ledger",
    "PendingUtterance",
    "Progress",
    "State",
]
