import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.planning.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("“What?” he said. Then he left.", ["“What?” he said.", "Then he left."]),
        ("“Stop!” he cried. “Why?” She ran.", ["“Stop!” he cried.", "“Why?”", "She ran."]),
        ("He lived in Baker St. with Watson.", ["He lived in Baker St. with Watson."]),
        ("In Baker St. Watson waited. He left Baker St. Then it rained.",
         ["In Baker St. Watson waited.", "He left Baker St.", "Then it rained."]),
        ("St. Mary prayed. Mme. Bovary and Lt. Dan did not.", ["St. Mary prayed.", "Mme. Bovary and Lt. Dan did not."]),
        ("No. 5 was open. No. He left.", ["No. 5 was open.", "No.", "He left."]),
        ("No. I will not. No. “Why?” She did.", ["No.", "I will not.", "No.", "“Why?”", "She did."]),
        ("See Vol. II there. See Nos. 3 and 4.", ["See Vol. II there.", "See Nos. 3 and 4."]),
        ("Mr. H. G. Wells met I. M. Pei. They spoke.", ["Mr. H. G. Wells met I. M. Pei.", "They spoke."]),
        ("It was I. He had plan B. Then he went.", ["It was I.", "He had plan B.", "Then he went."]),
        ("He waited… and waited… Then he left.", ["He waited… and waited…", "Then he left."]),
        ("It is 3.14 p.m. now. See p. 12 there.", ["It is 3.14 p.m. now.", "See p. 12 there."]),
        ("Go. ” Then he left.", ["Go. ”", "Then he left."]),
        ("Is this it? — Yes. …", ["Is this it? — Yes. …"]),
        ("  Hard\nwrapped\tlines.  Two. ", ["Hard wrapped lines.", "Two."]),
        (" \n ", []),
    ],
)  # fmt: skip
def test_splits_as_a_reader_would(text, sentences):
    assert split_sentences(text) == sentences


@given(st.lists(st.sampled_from(["“", "”", "St.", "No.", "I.", "J.", "He", "said", "5", "…", "—", "a.b", "?”", "!"])))
def test_loses_nothing(words):
    text = " ".join(words)
    assert " ".join(split_sentences(text)) == text


@given(st.text())
def test_loses_nothing_of_any_text(text):
    assert " ".join(split_sentences(text)) == " ".join(text.split())
