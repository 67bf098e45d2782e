import math
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speedd.model import Boundary, Notation
from speedd.planning.normalising import RULES, normalised
from speedd.planning.normalising.traits import traits_of
from speedd.planning.spoken import folded_marks, spoken_form

HERE = Path(__file__).parent
HARD = [
    line.split("\t")
    for line in (HERE / "hard_phrases.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PLAIN = [line for line in (HERE / "plain_phrases.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]


def spoken(text, *, speaks=frozenset(), language="en"):
    return spoken_form(text, boundary=Boundary.NONE, chapter_title="", language=language, speaks=speaks)


def test_the_table_is_large_enough():
    assert len({phrase for _, phrase, _ in HARD}) == len(HARD) >= 250
    assert len(set(PLAIN)) == len(PLAIN) >= 40
    assert min(Counter(kind for kind, _, _ in HARD).values()) >= 4


@pytest.mark.parametrize(("phrase", "words"), [(phrase, words) for _, phrase, words in HARD])
def test_a_hard_phrase_is_said_as_a_narrator_says_it(phrase, words):
    assert spoken(phrase) == words


@pytest.mark.parametrize("phrase", PLAIN)
def test_what_is_plain_stays_as_it_is(phrase):
    assert spoken(phrase) == phrase
    assert spoken(phrase, speaks=frozenset(Notation)) == phrase


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        (Notation.CARDINALS, "It took 7 men and 1,234 mules, or 3.14."),
        (Notation.ORDINALS, "The 21st and the 100th."),
        (Notation.YEARS, "In 1984, in the 1920s and ’60s."),
        (Notation.TIMES, "At 9:30 and at 9 a.m. sharp."),
        (Notation.TITLES, "Dr. Jekyll, Mrs Hale and St. Paul."),
        (Notation.LETTERS, "J. R. R. Tolkien of the U.S.A. flew in an F-16 in 44 B.C."),
    ],
)
def test_what_an_engine_says_itself_is_left_to_it(notation, text):
    assert spoken(text) != text
    assert spoken(text, speaks=frozenset({notation, Notation.CARDINALS, Notation.LETTERS})) == text
    assert spoken(text, speaks=frozenset(Notation) - {notation}) != text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Engines that say numbers themselves are given them in a form that they can only take in one way.
        ("He had 1500 men.", "He had one thousand five hundred men."),
        ("It was 384 400 km.", "It was 384,400 kilometres."),
        ("At 12.30 p.m. they ate.", "At 12:30 p.m. they ate."),
        ("Open 9:00–17:00.", "Open 9:00 to 17:00."),
        ("He paid £3.50 in 1984.", "He paid three pounds and fifty pence in 1984."),
        ("A rise of 5%.", "A rise of 5 percent."),
    ],
)
def test_an_engine_is_handed_only_what_it_needs(text, words):
    assert spoken(text, speaks=frozenset(Notation)) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He left the U.S. Then he came back.", "He left the U S. Then he came back."),
        ("He left at 9 p.m. She stayed.", "He left at nine P M. She stayed."),
        ("It was on Baker St. He knocked.", "It was on Baker Street. He knocked."),
        ("Pens, ink, etc. The rest was lost.", "Pens, ink, et cetera. The rest was lost."),
        ("“It is in the U.K.”", "“It is in the U K.”"),
        ("Sold by Ames & Co. in 1880.", "Sold by Ames and Company in eighteen eighty."),
        ("It happened. 3 men died. 1900 was over.", "It happened. Three men died. Nineteen hundred was over."),
        ("“2 of us,” he said. “£5 each.”", "“Two of us,” he said. “Five pounds each.”"),
    ],
)
def test_sentences_end_and_begin_where_they_did(text, words):
    assert spoken(text) == words


@pytest.mark.parametrize("language", ["en", "EN-gb", "en_US", "", "und"])
def test_english_is_put_into_words(language):
    assert spoken("Dr. Hale paid £5.", language=language) == "Doctor Hale paid five pounds."


@pytest.mark.parametrize("language", ["de", "fr-CA", "es_MX", "enm"])
def test_other_languages_pass(language):
    assert spoken("*Dr.* Hahn zahlt 5 € am 3. Mai — Kapitel II.", language=language) == (
        "Dr. Hahn zahlt 5 € am 3. Mai — Kapitel II."
    )


@pytest.mark.parametrize("text", [phrase for _, phrase, _ in HARD] + PLAIN)
def test_no_rule_is_missed_by_the_first_look(text):
    folded = folded_marks(text)
    said = folded
    for rule in RULES:
        said = rule.pattern.sub(rule.words, said)
    assert " ".join(said.split()) == normalised(folded)
    assert bool(traits_of(folded)) or normalised(folded) == folded


_PIECES = st.one_of(
    st.sampled_from([piece for _, phrase, _ in HARD for piece in phrase.split()]),
    st.sampled_from([phrase for _, phrase, _ in HARD] + PLAIN),
    st.sampled_from([*".,;:!?…—–-/'’\"“”‘()[]#@&%+=<>~°£$€²½0179AIVXMadmpst", "St.", "No.", "p.", "II", "10", "1984"]),
    st.text(max_size=4),
)
_SPEAKS = st.sampled_from([frozenset(), frozenset(Notation), frozenset({Notation.CARDINALS, Notation.YEARS})])


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=12), st.sampled_from(["", " "]), _SPEAKS)
@example(["AT&T", "and", "B"], " ", frozenset())
def test_saying_it_twice_changes_nothing_more(pieces, between, speaks):
    once = spoken(between.join(pieces), speaks=speaks)
    assert spoken(once, speaks=speaks) == once


# In a text of one of these over and over, rules find what they look for, or nearly, at every step.
REPEATED = [
    "9",
    "9,",
    "9,999",
    "9 ",
    "1-",
    "1/",
    "1:",
    "1.",
    "$",
    "$9 ",
    "£1 1s. ",
    "A.",
    "A. ",
    "a.b",
    "a@",
    "http://",
    "X",
    "IVX ",
    "A B ",
    "AB ",
    "A'",
    "“‘",
    "!?",
    "😀",
    "😀 ",
    "H₂",
    "½",
    "won a ",
    "ISBN 1",
    "+1 1",
    "the 3 May ",
    "Mon–",
    "St. ",
    "5 km",
    "a 5 ",
    "1 1/2",
    "*a",
    "_ ",
    "—",
    ". ",
    "~",
    "Page i",
    "King Charles ",
]
FRAMED = [
    ("", "a-", "@"),
    ("http://", "a.", ""),
    ("", "AB-", "&"),
    ("“", "‘a’b ", ""),
    ("“", "a’a", ""),
]
CHARS = 5_000


def process_s(text):
    began_s = time.process_time()
    spoken(text)
    return time.process_time() - began_s


@pytest.mark.parametrize(
    ("before", "repeated", "after"), [("", text, "") for text in REPEATED] + FRAMED, ids=lambda text: text or None
)
def test_hostile_text_takes_no_longer_than_its_length(before, repeated, after):
    """Four times the text takes four times as long where time is linear, and sixteen times where it is quadratic."""
    short, long = (before + repeated * (chars // len(repeated)) + after for chars in (CHARS, 4 * CHARS))
    short_s = long_s = math.inf
    for _ in range(5):  # what else the machine does only ever adds to the time
        short_s, long_s = min(short_s, process_s(short)), min(long_s, process_s(long))
        if long_s < 8 * short_s:
            return
    assert long_s < 8 * short_s
