"""Of several files, reading chooses as the inbox ranks: what a job names first is what is read."""

from speedd.inbox import names
from speedd.reading.formats import PREFERENCE


def test_the_inbox_ranks_as_reading_chooses():
    assert [f".{suffix}" for suffix in names.READABLE] == list(PREFERENCE)
