"""Numbers in words and in Roman numerals."""

import pytest

from speedd.common.languages import primary_subtag
from speedd.common.numerals import NUMBER_WORDS, as_roman, roman


def test_roman_numerals_are_read_as_they_are_written():
    assert [as_roman(value) for value in (1, 4, 1994, 3999)] == ["I", "IV", "MCMXCIV", "MMMCMXCIX"]
    assert all(roman(as_roman(value)) == roman(as_roman(value).lower()) == value for value in range(1, 4000))


@pytest.mark.parametrize("text", ["", "IIII", "IC", "MMMM", "X1"])
def test_what_is_no_roman_numeral_has_no_value(text):
    assert roman(text) == 0


def test_words_of_numbers_have_their_value():
    assert [NUMBER_WORDS[word] for word in ("one", "third", "twelfth", "twenty", "ninetieth")] == [1, 3, 12, 20, 90]


@pytest.mark.parametrize(("tag", "primary"), [("en-GB", "en"), ("PT_br", "pt"), ("de", "de"), ("", "")])
def test_the_primary_subtag_is_the_language(tag, primary):
    assert primary_subtag(tag) == primary
