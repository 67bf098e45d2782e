"""The daemon: what runs for months.

`daemon` is the main loop. `intake` enters settled sources into the ledger. `books` runs each book in a thread of its
own. `outcomes` records how jobs end. `status` tells others how things are.
"""

from speedd.daemon.books import BookControl
from speedd.daemon.daemon import Daemon

__all__ = ["BookControl", "Daemon"]
