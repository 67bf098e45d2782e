"""Sources: known by place and look."""

import os
from pathlib import Path


def test_sources_are_known_by_their_looks(ledger):
    place = Path(os.fsdecode(b"/inbox/\xff.txt"))
    ledger.sources.remember(place, "looks", "0" * 12)
    assert ledger.sources.knows(place, "looks")
    assert not ledger.sources.knows(place, "changed looks")
    assert ledger.sources.all() == [(place, "0" * 12)]
    ledger.sources.forget(place)
    assert not ledger.sources.knows(place, "looks")
