"""The daemon: what runs for months.

`daemon` goes round and round; `intake` brings what has settled in the inbox into the ledger, `books` keeps the books at
work going, each in a thread of its own, `ends` concludes them, and `status` says to others how things are.
"""

from speedd.daemon.books import BookControl
from speedd.daemon.daemon import Daemon

__all__ = ["BookControl", "Daemon"]
