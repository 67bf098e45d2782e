import random

import pytest

from speedd.errors import ConfigError
from speedd.model import Boundary, Notation
from speedd.planning.ipa import respelled
from speedd.planning.lexicon import Lexicon, load_lexicon
from speedd.planning.spoken import spoken_form

IPA = frozenset({Notation.PHONEMES})


def spoken(text, lexicon, *, speaks=frozenset(Notation), boundary=Boundary.NONE):
    return spoken_form(text, boundary=boundary, chapter_title="", speaks=speaks, pronunciations=lexicon)


@pytest.mark.parametrize(
    ("given", "text", "said"),
    [
        ({"Hermione": "her-my-oh-nee"}, "Hermione ran.", "Her-my-oh-nee ran."),
        ({"Hermione": "her-my-oh-nee"}, "It was Hermione’s.", "It was Her-my-oh-nee's."),
        ({"Hermione": "her-my-oh-nee"}, "HERMIONE!", "Her-my-oh-nee!"),
        ({"Hermione": "her-my-oh-nee"}, "Two Hermiones.", "Two Her-my-oh-nees."),
        ({"lead": "led"}, "The lead pipe. Lead! Leads, leaded.", "The led pipe. Led! Leds, leded."),
        ({"row": "rao"}, "They rowed and were rowing in rows.", "They raoed and were raoing in raos."),
        ({"bus": "buzz"}, "Two buses, a bus's.", "Two buzzes, a buzz's."),
        ({"stop": "stob"}, "It stopped, stopping.", "It stobed, stobing."),
        ({"bake": "bayk"}, "She baked, baking bakes.", "She bayked, bayking bayks."),
        ({"envy": "en-vee"}, "He envied envies.", "He en-veed en-vees."),
        ({"Polish": "poh-lish"}, "Polish the polish, Polish man.", "Poh-lish the polish, Poh-lish man."),
        ({"polish": "pol-ish", "Polish": "poh-lish"}, "a polish, a Polish", "a pol-ish, a Poh-lish"),
        ({"sql": "sequel"}, "SQL, sql and MySQL", "Sequel, sequel and MySQL"),
        ({"New York": "noo york", "York": "yark"}, "New York, York.", "Noo york, Yark."),
        ({"York": "yark", "New York": "noo york"}, "In  New\nYork’s streets.", "In Noo york's streets."),
        ({"St. John": "sin-jun"}, "Dr. St. John Rivers", "Dr. Sin-jun Rivers"),
        ({"C++": "see plus plus", ".NET": "dot net"}, "C++ or C or .NET", "See plus plus or C or dot net"),
        ({"can": "ken"}, "I can’t; I can; can's", "I can’t; I ken; ken's"),
        ({"cat": "kat"}, "concatenate cats' café cat_tail", "concatenate kats' café cat_tail"),
        ({"be": "bee"}, "to be, to bed, bes", "to bee, to bed, bes"),
        ({"see": "sea"}, "I see a seed, seeing sees", "I sea a seed, seaing seas"),
        ({"Weiß": "vice"}, "Weiß and WEISS", "Vice and WEISS"),
        ({"a": "ay"}, "a A İa", "ay Ay İa"),
        ({"so": "sew", "sews": "so"}, "so sews", "sew so"),
    ],
)
def test_a_word_is_said_as_asked_in_every_form(given, text, said):
    assert spoken(text, Lexicon(given)) == said


def test_what_is_given_is_not_put_into_other_words():
    lexicon = Lexicon({"Dr. Who": "Doctor HOO 2", "II": "eye eye", "STOP": "SSTOPP"})
    assert spoken("Dr. Who paid £5.", lexicon, speaks=frozenset()) == "Doctor HOO 2 paid five pounds."
    assert spoken("II? STOP!", lexicon, speaks=frozenset()) == "Eye eye? SSTOPP!"


def test_ipa_goes_to_an_engine_that_reads_it_and_is_respelled_for_others():
    lexicon = Lexicon({"Cthulhu": "/kəˈθuːluː/", "Ia Ia": "[iˈɑː iˈɑː]", "Loch": "loh"})
    assert spoken("Cthulhu's call", lexicon) == "[Cthulhu's](/kəˈθuːluːz/) call"
    assert spoken("Ia Ia, Loch", lexicon) == "[Ia-Ia](/iˈɑː‿iˈɑː/), Loh"
    assert spoken("Cthulhu's call. Ia Ia!", lexicon, speaks=frozenset()) == "Kuh-thooloo's call. Ee-ah ee-ah!".replace(
        "'s", "z"
    )
    assert lexicon.warnings(IPA) == ()
    (warning,) = lexicon.warnings(frozenset())
    assert "Cthulhu, Ia Ia" in warning
    assert "Loch" not in warning


@pytest.mark.parametrize(
    ("ipa", "letters"),
    [
        ("hɜːˈmaɪ.ə.ni", "hur-meye-uh-nee"),
        ("ˈtʃɔɪs", "choys"),
        ("ʒɑ̃", "zhah"),
        ("lɒx", "lokh"),
        ("ˈweɪkɪŋ", "waykihng"),
    ],
)
def test_ipa_in_letters(ipa, letters):
    assert respelled(ipa) == letters


def test_a_heading_of_a_pronounced_word_is_closed():
    lexicon = Lexicon({"Siobhan": "/ʃɪˈvɔːn/"})
    assert spoken("Siobhan", lexicon, boundary=Boundary.CHAPTER_START) == "[Siobhan](/ʃɪˈvɔːn/)."


def test_a_books_own_pronunciations_stand_over_those_for_all():
    common = Lexicon({"lead": "led", "row": "rao"})
    own = Lexicon({"lead": "leed"})
    assert spoken("lead row", own.over(common)) == "leed rao"
    assert len(own.over(common)) == 2


def test_private_characters_of_a_text_stay_harmless():
    assert spoken("a \U000f0000 b \U000f0001 cat", Lexicon({"cat": "kat"})) == "a b kat"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"": "x"}, "'' is no word"),
        ({"—": "x"}, "'—' is no word"),
        ({"a": ""}, "'a' is given nothing"),
        ({"a": "b\nc"}, "'a' is given nothing"),
        ({"a": 5}, "'a' is given no text"),
        ({"a" * 300: "x"}, "is longer than 200 characters"),
        ({"a": "/qwp9/"}, "in which 9 is no IPA"),
    ],
)
def test_faults_are_named(given, message):
    with pytest.raises(
        ConfigError, match=r"The pronunciations in mine are wrong: .*Each one is a line such as"
    ) as error:
        Lexicon({**given, "fine": "fain"}, origin="mine")
    assert message in str(error.value)


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError, match="'—' is no word; 'b' is given no text"):
        Lexicon({"—": "x", "b": 1})


def test_pronunciations_are_read_from_a_file(tmp_path):
    path = tmp_path / "pronunciations.toml"
    path.write_text('lead = "led"\n[pronunciations]\n"St John" = "sin-jun"\n', encoding="utf-8-sig")
    assert spoken("St John's lead", load_lexicon(path)) == "Sin-jun's led"
    path.write_bytes(b"lead = led")
    with pytest.raises(ConfigError, match="are no TOML"):
        load_lexicon(path)
    path.write_bytes(b"lead = '\xff'")
    with pytest.raises(ConfigError, match="are no TOML"):
        load_lexicon(path)
    path.write_text("pronunciations = 5")
    with pytest.raises(ConfigError, match="'pronunciations' is given no text"):
        load_lexicon(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_lexicon(tmp_path / "none.toml")
    with path.open("wb") as file:
        file.truncate(5 * 2**20)
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        load_lexicon(path)


@pytest.mark.timeout(60)
def test_many_words_cost_no_more_than_few():
    letters = random.Random(4)
    many = Lexicon({"".join(letters.choices("abcdefghij", k=6)): "x" for _ in range(5000)})
    # Looking for each of them in turn would take many minutes.
    assert list(many.occurrences("the quick brown fox abc'd a_b " * 20_000, speaks=IPA)) == []
