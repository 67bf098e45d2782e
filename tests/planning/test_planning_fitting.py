from hypothesis import given
from hypothesis import strategies as st

from speedd.model import TextLimits
from speedd.planning.fitting import chunk_texts, cut_hard, cut_long


def test_a_long_sentence_is_cut_where_a_reader_breathes():
    text = "He had gone to the sea, where the gulls cried; nobody, not even the boatman, saw him go down to the water."
    assert cut_long(text, 70) == [
        "He had gone to the sea, where the gulls cried;",
        "nobody, not even the boatman, saw him go down to the water.",
    ]


def test_a_comma_comes_before_a_conjunction_and_a_conjunction_before_a_space():
    assert cut_long("The long grey morning passed, and so the day began", 32) == [
        "The long grey morning passed,",
        "and so the day began",
    ]
    assert cut_long("The long grey morning passed and so the day began", 32) == [
        "The long grey morning passed",
        "and so the day began",
    ]


def test_numbers_stay_whole():
    assert cut_long("They counted slowly up to 10 000 000 sheep there", 32) == [
        "They counted slowly up to",
        "10 000 000 sheep there",
    ]


def test_sentences_are_packed_but_never_cut_while_they_fit():
    limits = TextLimits(best_chars=30, max_chars=60, min_chars=12)
    text = "One is here. Two is here. This third sentence is longer than best. Yes."
    assert chunk_texts(text, limits) == ["One is here. Two is here.", "This third sentence is longer than best. Yes."]


def test_one_sentence_means_one():
    limits = TextLimits(best_chars=200, max_chars=400, min_chars=50, one_sentence=True)
    assert chunk_texts("Yes. No. “What?” he said.", limits) == ["Yes.", "No.", "“What?” he said."]


_words = st.lists(st.sampled_from([*"abc", "and", "word,", "end.", "so;", "12", "345", "“Why?”", "St.", "x" * 90]))
_limits = st.builds(
    lambda best, more, least, one: TextLimits(best, best + more, least, one_sentence=one),
    st.integers(1, 60), st.integers(0, 60), st.integers(1, 20), st.booleans(),
)  # fmt: skip


@given(_words, _limits)
def test_no_text_is_lost_and_no_chunk_too_long(words, limits):
    texts = chunk_texts(" \n".join(words), limits)
    assert " ".join(texts) == " ".join(words)
    assert all(len(text) <= limits.max_chars or " " not in text for text in texts)


@given(_words, st.integers(1, 80))
def test_hard_cuts_lose_nothing_and_keep_the_limit(words, max_chars):
    pieces = cut_hard(" ".join(words), max_chars)
    assert "".join(pieces).replace(" ", "") == "".join(words)
    assert all(len(piece) <= max_chars for piece in pieces)
