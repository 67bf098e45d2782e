import pytest

from speedd.errors import InputError


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("The book is empty.", "The book is empty. Drop another."),
        ("2 settings are wrong:\n  a\n  b", "2 settings are wrong:\n  a\n  b\nDrop another."),
    ],
)
def test_advice_follows_what_is_wrong_and_never_joins_a_list(message, told):
    assert str(InputError(message, hint="Drop another.")) == told
    assert str(InputError(message)) == message
