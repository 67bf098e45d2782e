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
        ("Msgr. Ford left. “Why?” Gov. Lee asked.", ["Msgr. Ford left.", "“Why?” Gov. Lee asked."]),
        ("No. 5 was open. No. He left.", ["No. 5 was open.", "No.", "He left."]),
        ("No. I will not. No. “Why?” She did.", ["No.", "I will not.", "No.", "“Why?”", "She did."]),
        ("See Vol. II there. See Nos. 3 and 4.", ["See Vol. II there.", "See Nos. 3 and 4."]),
        ("Mr. H. G. Wells met I. M. Pei. They spoke.", ["Mr. H. G. Wells met I. M. Pei.", "They spoke."]),
        ("It was I. He had plan B. Then he went.", ["It was I.", "He had plan B.", "Then he went."]),
        ("He waited… and waited… Then he left.", ["He waited… and waited…", "Then he left."]),
        ("It is 3.14 p.m. now. See p. 12 there.", ["It is 3.14 p.m. now.", "See p. 12 there."]),
        ("Go. ” Then he left.", ["Go. ”", "Then he left."]),
        ("Is this it? — Yes. …", ["Is this it? — Yes. …"]),
        ("“Why?” John asked. “Why not?” I said. “Go!” Mr. Lee slowly replied, and went.",
         ["“Why?” John asked.", "“Why not?” I said.", "“Go!” Mr. Lee slowly replied, and went."]),
        ("“Why?” He said nothing. “Why?” She said, “Because.” “Why?” Ann ran.",
         ["“Why?”", "He said nothing.", "“Why?” She said, “Because.”", "“Why?”", "Ann ran."]),
        ("\"Why?\" he said. 'Don't you know?' 'No.' ‘Then go!’ said the boys’ aunt. ‘Go!’",
         ['"Why?" he said.', "'Don't you know?'", "'No.'", "‘Then go!’ said the boys’ aunt.", "‘Go!’"]),
        ("“Yes, sir.” “Good.” “What the—” Then it fell. “But—” I began.",
         ["“Yes, sir.”", "“Good.”", "“What the—”", "Then it fell.", "“But—” I began."]),
        ("It stood in the hall. Before the castle were trees. He saw New York. (Copyright, 1894.) Oh, it was cold.",
         ["It stood in the hall.", "Before the castle were trees.", "He saw New York.", "(Copyright, 1894.)",
          "Oh, it was cold."]),
        ("1. The first. 2. The second. XII. The twelfth.", ["1. The first.", "2. The second.", "XII. The twelfth."]),
        ("The U.S. Army came at 6 p.m. Monday. He left the U.S. It rained. He has a Ph.D. She has none.",
         ["The U.S. Army came at 6 p.m. Monday.", "He left the U.S.", "It rained.", "He has a Ph.D.", "She has none."]),
        ("See e.g. Jones, Smith et al. 1990. In 44 B.C. Caesar died. A.D. 50 came. MR. HYDE left.",
         ["See e.g. Jones, Smith et al. 1990.", "In 44 B.C. Caesar died.", "A.D. 50 came.", "MR. HYDE left."]),
        ("He came in Dec. It was Jan. 5 by then. It cost 3.50. 5 more were sold in 1984. Dr. O’Brien paid £3.50.",
         ["He came in Dec.", "It was Jan. 5 by then.", "It cost 3.50.", "5 more were sold in 1984.",
          "Dr. O’Brien paid £3.50."]),
        ("Well . . . he went . . . and so . . . It ended. I saw … I heard.",
         ["Well . . . he went . . . and so . . .", "It ended.", "I saw … I heard."]),
        ("“I… I don’t know,” he said. He paused… Then he spoke.",
         ["“I… I don’t know,” he said.", "He paused…", "Then he spoke."]),
        ("Élan vital. Écoutez! Über alles. был. Это он.", ["Élan vital.", "Écoutez!", "Über alles. был.", "Это он."]),
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
