import gzip
import json
import re
from pathlib import Path

import pytest
from hibari.g2p import ASSETS, G2P
from hibari.g2p.normalize import ROMAN_CARDINAL, ROMAN_ORDINAL

from speedd.engines.hibari.engine import SPEAKS
from speedd.engines.hibari.text import before_numerals, readable
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


def lexicon_words():
    """2,000 words: every 79th that hibari's American lexicon has in small letters, and the same with a capital."""
    with gzip.open(Path(ASSETS) / "lexicon_us_gold.json.gz", "rt", encoding="utf-8") as lexicon:
        known = sorted(word for word in json.load(lexicon) if re.fullmatch(r"[a-z][a-z']*", word))
    some = known[:: len(known) // 984][:984]
    # What dialogue begins with, and what was said wrong there.
    some += ["a", "the", "now", "yes", "that", "have", "i'm", "don't", "then", "there", "they", "what", "how", "you've"]
    some += ["it's", "he'd"]
    return [form for word in some for form in (word, word[0].upper() + word[1:])]


WORDS = lexicon_words()


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


def sound(phonemes):
    """Without marks, which hibari does not say."""
    return " ".join(re.sub(r"[—…“”(),.;:!?]", " ", phonemes).split())


@pytest.mark.parametrize(
    ("quoted", "bare"),
    [
        ("“{} it,” he said.", "{} it, he said."),
        ('"{} it," he said.', "{} it, he said."),
        ("He said “{}” twice.", "He said {} twice."),
        ("(“{}”) it", "({}) it"),
        ("said,“{}”he", "said, {} he"),
        ("„{} it,“ he said.", "{} it, he said."),
        ("«{} it,» he said.", "{} it, he said."),
        ("Well—“{}”—it", "Well — {} — it"),
        ("[{}] it", "({}) it"),
    ],
)
def test_a_word_sounds_the_same_within_quotation_marks_and_brackets(phonemes, quoted, bare):
    assert len(WORDS) == 2000
    said = {word: (sound(phonemes(quoted.format(word))), sound(phonemes(bare.format(word)))) for word in WORDS}
    assert {word: sounds for word, sounds in said.items() if sounds[0] != sounds[1]} == {}


@pytest.mark.parametrize("quoted", ["‘{} it,’ he said.", "“‘{} it,’ I said.”", "Well—‘{}’—it", "“—{} it,” I said."])
def test_a_word_is_looked_up_behind_a_single_quotation_mark_and_behind_a_dash(phonemes, quoted):
    unknown = G2P(oov=False, unk="❓")
    given = {word: unknown(readable(quoted.format(word), NUMERALS)) for word in WORDS}
    assert {word: said for word, said in given.items() if "❓" in said} == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sea-sick—grow quarrelsome—don’t sleep of nights", "sˌisˈɪk ɡɹˈO kwˈɔɹᵊlsəm dˈOnt slˈip ʌv nˈIts"),
        ("sea-sick–grow quarrelsome–don’t sleep", "sˌisˈɪk ɡɹˈO kwˈɔɹᵊlsəm dˈOnt slˈip"),
        ("She’d—he’d—they’d gone", "ʃˌid hid ðAd ɡˈɔn"),
        ("It isn’t—wasn’t—won’t be", "ˌɪt ˈɪzᵊnt wˈʌzᵊnt wOnt bˈi"),
        ("I’m—“I’m here”", "ˌIm ˌIm hˈɪɹ"),
        ("“But I don’t—”", "bˌʌt ˌI dˈOnt"),
        ("“Who’s—”", "hˌuz"),
        ("—Don’t go", "dˈOnt ɡˌO"),
        ("from 1914–1918", "fɹʌm nˌIntˈin fˌɔɹtˈin tə nˌIntˈin ˌAtˈin"),
        ("He paid “$5”", "hˌi pˈAd fˈIv dˈɑləɹz"),
        ("“[Go](/ɡəʊ/)”—[“go”](/ɡəʊ/)", "ɡO ɡO"),
        ("[Now: [go](/ɡəʊ/)]", "nˈW ɡO"),
        ("“Stop!”“No.”", "stˈɑp! nˈO."),
    ],
)
def test_dashes_and_marks_keep_every_word(phonemes, text, words):
    assert sound(phonemes(text)) == sound(words)
