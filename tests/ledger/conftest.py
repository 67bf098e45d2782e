"""A ledger of its own for each test, with a clock that goes a second at each look."""

from itertools import count

import pytest

from speedd.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    seconds = count(1000)
    opened = Ledger(tmp_path / "ledger.sqlite", now=lambda: float(next(seconds)))
    yield opened
    opened.close()
