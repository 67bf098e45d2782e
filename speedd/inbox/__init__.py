"""Notice, settle and accept what is dropped: path → `Job` with a private copy in the spool.

`names` says what a file is from its name alone. `listing` reads the inbox, and `grouping` makes `Candidate`s of what it
finds. `scanner` waits until they have settled. `spool` takes the private copy, which `manifest` describes and
`identity` names. `archiving` moves the source away in the end. `watcher` only makes the next scan come sooner; `mounts`
knows where it sees nothing.
"""

from speedd.inbox.archiving import archive, delete, reject
from speedd.inbox.grouping import Candidate, candidates_at
from speedd.inbox.listing import InboxUnavailableError
from speedd.inbox.manifest import join, load_candidate, load_job, readdress
from speedd.inbox.mounts import Cadence, cadence, file_system, network_file_system
from speedd.inbox.scanner import Scanner, WaitingSource
from speedd.inbox.spool import StillChangingError, accept, sweep
from speedd.inbox.watcher import InboxWatcher

__all__ = [
    "Cadence",
    "Candidate",
    "InboxUnavailableError",
    "InboxWatcher",
    "Scanner",
    "StillChangingError",
    "WaitingSource",
    "accept",
    "archive",
    "cadence",
    "candidates_at",
    "delete",
    "file_system",
    "join",
    "load_candidate",
    "load_job",
    "network_file_system",
    "readdress",
    "reject",
    "sweep",
]
