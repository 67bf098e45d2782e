import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speedd.model import TextLimits
from speedd.planning.fitting import chunk_pieces, cut_hard, cut_long


def chunk_texts(paragraph, limits):
    return [piece.text for piece in chunk_pieces(paragraph, limits)]


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


@pytest.mark.parametrize(
    ("text", "max_chars", "pieces"),
    [
        # before a preposition rather than anywhere, and never after "the"
        ("The King came riding over the hill with all of his men in the early morning", 45,
         ["The King came riding over the hill", "with all of his men in the early morning"]),
        # numbers
        ("They counted slowly up to 10 000 000 sheep there", 32,
         ["They counted slowly up", "to 10 000 000 sheep there"]),
        ("It had been bought for two hundred and fifty thousand pounds by him", 45,
         ["It had been bought", "for two hundred and fifty thousand pounds", "by him"]),
        ("She was to wait till the evening of May 5, 1984 for them", 42,
         ["She was to wait till the evening", "of May 5, 1984 for them"]),
        ("They lived all of that time at No. 12 Queen Street there", 34,
         ["They lived all of that time", "at No. 12 Queen Street there"]),
        # names
        ("Then Dr. John H. Watson saw Mr. Sherlock Holmes", 30, ["Then Dr. John H. Watson", "saw Mr. Sherlock Holmes"]),
        ("He had never before heard of the Duke of Northern Marches", 34,
         ["He had never before heard", "of the Duke of Northern Marches"]),
        ("They had met with Oscar de la Renta again", 30, ["They had met", "with Oscar de la Renta again"]),
        # the first words of a quotation
        ("He smiled at her and said “Come with me down to the river", 32,
         ["He smiled at her and said", "“Come with me down to the river"]),
        # nor is the end a stub
        ("They walked along the wide white road to the town, all day", 54,
         ["They walked along the wide white road", "to the town, all day"]),
    ],
)  # fmt: skip
def test_nobody_breathes_inside_a_number_a_name_or_the_first_words_of_a_quotation(text, max_chars, pieces):
    assert cut_long(text, max_chars) == pieces


def test_names_and_numbers_are_cut_only_where_nothing_else_is_in_reach():
    assert cut_long("Ann Bee Cee Dee Eff", 8) == ["Ann Bee", "Cee Dee", "Eff"]
    assert cut_long("12 345 678 901", 7) == ["12 345", "678 901"]


def test_sentences_are_packed_but_never_cut_while_they_fit():
    limits = TextLimits(best_chars=30, max_chars=60, min_chars=12)
    text = "One is here. Two is here. This third sentence is longer than best. Yes."
    assert chunk_texts(text, limits) == ["One is here. Two is here.", "This third sentence is longer than best. Yes."]


def test_one_sentence_means_one():
    limits = TextLimits(best_chars=200, max_chars=400, min_chars=50, one_sentence=True)
    assert chunk_texts("Yes. No. “What?” he said.", limits) == ["Yes.", "No.", "“What?” he said."]


def test_what_is_very_short_joins_its_neighbour_where_both_fit():
    limits = TextLimits(best_chars=30, max_chars=60, min_chars=12)
    text = "This is a whole sentence here. No. And this is one of more words than are best."
    assert chunk_texts(text, limits) == [
        "This is a whole sentence here. No.",
        "And this is one of more words than are best.",
    ]
    assert chunk_texts("No.", limits) == ["No."]


def test_lines_of_verse_stay_lines():
    verse = "The tide came in\nand no one saw, no one.\n\nIt went."
    limits = TextLimits(best_chars=200, max_chars=400, one_sentence=True)
    assert chunk_texts(verse, limits) == ["The tide came in", "and no one saw, no one.", "It went."]
    assert chunk_texts(verse, TextLimits(60, 90)) == ["The tide came in\nand no one saw, no one.\nIt went."]


_words = st.lists(st.sampled_from(
    [*"abc", "and", "word,", "end.", "so;", "12", "345", "“Why?”", "St.", "x" * 90, "Mr.", "Ann", "“He", "two",
     "hundred", "£5", "…", "‘tis"]
))  # fmt: skip
_limits = st.builds(
    lambda best, more, least, one: TextLimits(best, best + more, least, one_sentence=one),
    st.integers(1, 60), st.integers(0, 60), st.integers(1, 20), st.booleans(),
)  # fmt: skip


@given(_words, _limits)
def test_no_text_is_lost_and_no_chunk_too_long(words, limits):
    texts = chunk_texts("\t ".join(words), limits)
    assert " ".join(texts) == " ".join(words)
    assert all(len(text) <= limits.max_chars or " " not in text for text in texts)
    assert texts == chunk_texts(" ".join(words), limits)


@given(st.lists(_words, max_size=5), _limits)
def test_nor_are_lines_lost(lines, limits):
    text = "\n".join(" ".join(words) for words in lines)
    pieces = chunk_pieces(text, limits)
    joined = "".join(piece.text + piece.after for piece in pieces)
    assert joined == "".join(" ".join(words) + "\n" for words in lines if words)


@given(_words, st.integers(1, 80))
def test_hard_cuts_lose_nothing_and_keep_the_limit(words, max_chars):
    pieces = cut_hard(" ".join(words), max_chars)
    assert "".join(pieces).replace(" ", "") == "".join(words)
    assert all(len(piece) <= max_chars for piece in pieces)


def test_chinese_and_japanese_are_cut_without_blanks():
    sentences = [
        "「今日は雨ですね。」と彼は言った。",
        "明日は晴れるでしょう！",
        "駅まで歩いて、新しい本を買って、",
        "それから海を見ました。",
    ]
    text = "{}{} {}{}".format(*sentences)
    assert chunk_texts(text, TextLimits(20, 24, one_sentence=True)) == sentences
    assert chunk_texts(text, TextLimits(29, 29)) == ["".join(sentences[:2]), "".join(sentences[2:])]


@example("a. と", TextLimits(1, 1))
@given(st.text(st.sampled_from("字と。！、」 a."), max_size=60), _limits)
def test_nor_is_anything_lost_where_there_are_no_blanks(text, limits):
    pieces = chunk_pieces(f"字{text}", limits)
    assert "".join(piece.text + piece.after for piece in pieces).rstrip() == " ".join(f"字{text}".split())
    assert all(len(piece.text) <= limits.max_chars or "字" not in piece.text for piece in pieces)
