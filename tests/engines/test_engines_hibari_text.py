import re
from pathlib import Path

import pytest
from hibari.g2p import G2P
from hibari.g2p.normalize import ROMAN_CARDINAL, ROMAN_ORDINAL

from speedd.engines.hibari import SPEAKS
from speedd.engines.hibari_text import before_numerals, readable
from speedd.model import Boundary
from speedd.planning.lexicon import Lexicon
from speedd.planning.spoken import spoken_form

PLANNING = Path(__file__).parents[1] / "planning"
HARD = [
    line.split("\t")[1:]
    for line in (PLANNING / "hard_phrases.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
NUMERALS = before_numerals([*ROMAN_CARDINAL, *ROMAN_ORDINAL])


@pytest.fixture(scope="module")
def phonemes():
    g2p = G2P()
    return lambda text: g2p(readable(text, NUMERALS))


def handed(text, pronunciations=None):
    return spoken_form(
        text, boundary=Boundary.NONE, chapter_title="", speaks=frozenset(SPEAKS), pronunciations=pronunciations
    )


def alike(phonemes):
    """Without stress and marks, without the "and" in a number; a letter A is an article where it stands alone."""
    return re.sub(r"ænd|[^\w]|[ˈˌ]", "", phonemes.replace("A", "ɐ").replace("mˈɪsɪz", "mˈɪsəz"))


@pytest.mark.parametrize(("phrase", "words"), HARD)
def test_what_is_left_to_hibari_sounds_like_the_words(phonemes, phrase, words):
    assert alike(phonemes(handed(phrase))) == alike(phonemes(words))


def test_much_is_left_to_hibari():
    assert sum(handed(phrase) == phrase for phrase, _ in HARD) > 80


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("I said no.", "nˈO."),
        ("“No? no.” He left.", "nˈO? nˈO. "),
        ("He ate a fig.", "fˈɪɡ."),
        ("It was Jan.", "ʤˈæn"),
        ("Under the Sun.", "sˈʌn."),
        ("Queen Victoria and King Lear", "kwˈin vɪktˈɔɹiə ænd kˈɪŋ lˈɪɹ"),
        ("From A–Z.", "fɹˌʌm ˈA tə zˈi"),
        ("William Cecil", "wˈɪljəm sˈɛs"),
        ("the book I read", "bˈʊk ˌI ɹˈɛd"),
        ("the part I like", "pˈɑɹt ˌI lˈIk"),
        ("What Charles I never told, I know.", "ʧˈɑɹlz ˌI nˈɛvəɹ"),
        ("In the book I’d read", "bˈʊk ˌId"),
    ],
)
def test_no_word_is_taken_for_an_abbreviation_or_a_numeral(phonemes, text, sound):
    assert sound in phonemes(handed(text))


@pytest.mark.parametrize(
    ("ipa", "sound"),
    [
        ("kəˈθuːluː", "kəθˈulu"),
        ("hɜːˈmaɪ.ə.ni", "hɜɹmˈIəni"),
        ("ʃɪˈvɔːn", "ʃɪvˈɔn"),
        ("ˈt͡ʃeɪ dʒəʊ", "ʧˈA ʤO"),
        ("lɒx", "lɑk"),
        ("ˈɛŋɡ", "ˈɛŋɡ"),
    ],
)
def test_ipa_is_written_in_hibaris_alphabet(phonemes, ipa, sound):
    lexicon = Lexicon({"word": f"/{ipa}/"})
    assert phonemes(handed("A word, then.", lexicon)) == f"ɐ {sound}, ðˈɛn."


def test_british_voices_keep_their_vowels():
    assert readable("[go](/ɡəʊ/) [far](/fɑː/)", NUMERALS, british=True) == "[go](/ɡQ/) [far](/fɑː/)"
