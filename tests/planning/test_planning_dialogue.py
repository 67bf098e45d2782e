"""Who speaks when. Quoted is written [so], and {so} where somebody else seems to speak than before."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speedd.config import SpeechSettings
from speedd.model import Book, Boundary, Chapter, Metadata, Paragraph, TextLimits
from speedd.planning import plan_book
from speedd.planning.dialogue import Dialogue, Quote

ONE = TextLimits(best_chars=200, max_chars=300, one_sentence=True)
MANY = TextLimits(best_chars=300, max_chars=400, min_chars=25)


def marked(*paragraphs, limits=MANY):
    book = Book(Metadata(), (Chapter("", tuple(map(Paragraph, paragraphs))),))
    chunks = plan_book(book, limits=limits, speech=SpeechSettings(opening=False, vader=False)).chunks
    return shown(chunks)


def shown(chunks):
    dialogue = Dialogue()
    return [with_marks(chunk, dialogue.next(chunk.text, chunk.boundary)) for chunk in chunks]


def with_marks(chunk, quotes):
    text, at = "", 0
    for quote in quotes:
        left, right = "{}" if quote.new_speaker else "[]"
        text += chunk.text[at : quote.start] + (left if quote.opens else "<") + chunk.text[quote.start : quote.stop]
        text += right if quote.closes else ">"
        at = quote.stop
    return text + chunk.text[at:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Why?” he said. “It’s late.”", "{“Why?”} he said. [“It’s late.”]"),
        ('"Why?" he said. "It\'s late."', '{"Why?"} he said. ["It\'s late."]'),
        ("‘Why?’ he said. ‘It’s the boys’ boat.’ Then he left.",
         "{‘Why?’} he said. [‘It’s the boys’ boat.’] Then he left."),
        ("'Why?' he said. 'It's the boys' boat.' Then he left.",
         "{'Why?'} he said. ['It's the boys' boat.'] Then he left."),
        ("‘I was goin’ home o’ nights, wasn’t I?’ he asked.", "{‘I was goin’ home o’ nights, wasn’t I?’} he asked."),
        ("‘‘Tis true,’ said he, and ’twas so. So ‘tis.", "{‘‘Tis true,’} said he, and ’twas so. So ‘tis."),
        ("The boys’ boat and the girls’ house. Rock ’n’ roll.", "The boys’ boat and the girls’ house. Rock ’n’ roll."),
        ("“He said, ‘Go!’ and went,” said Ann.", "{“He said, ‘Go!’ and went,”} said Ann."),
        ("‘He said, “Go!” and went,’ said Ann.", "{‘He said, “Go!” and went,’} said Ann."),
        ("The so-called “machine” stood there. A ‘thing’ it was.",
         "The so-called “machine” stood there. A ‘thing’ it was."),
        ("He said “come here” and left.", "He said {“come here”} and left."),
        ("« Bonjour, dit-il. » Puis rien. „Komm her“, sagte er.",
         "{« Bonjour, dit-il. »} Puis rien. [„Komm her“], sagte er."),
        ("—Come, said he. It is late.", "{—Come,} said he. [It is late.]"),
        ("— Да, — сказал он. — Иди.", "{— Да,} — сказал он. [— Иди.]"),
        ("He paid — it was late — and left.", "He paid — it was late — and left."),
        ("“Why—” he began. “Never mind. “It is late.”", "{“Why—”} he began. [“Never mind.] [“It is late.”]"),
        ("It was 6' 2\" high and 12\" wide.", "It was 6' 2\" high and 12\" wide."),
    ],
)  # fmt: skip
def test_speech_is_found(text, expected):
    assert marked(text) == [expected]


def test_each_paragraph_that_speaks_has_another_speaker():
    assert marked("“Why?” he asked.", "“Because.”", "It rained.", "“Then go.” She turned. “Now.”") == [
        "{“Why?”} he asked.",
        "{“Because.”}",
        "It rained.",
        "{“Then go.”} She turned. [“Now.”]",
    ]


def test_but_not_where_the_same_name_stands_by_both():
    assert marked("“Why?” asked Ann Bee.", "It rained.", "“Well?” Ann Bee said. “Go.”", "“No,” said I.") == [
        "{“Why?”} asked Ann Bee.",
        "It rained.",
        "[“Well?”] Ann Bee said. [“Go.”]",
        "{“No,”} said I.",
    ]


def test_a_quotation_over_several_paragraphs_is_one_speaker():
    assert marked("“It was late.", "“It rained. It was cold.", "“And I left.” He wept.", "“Oh!”") == [
        "{“It was late.>",
        "<“It rained. It was cold.>",
        "<“And I left.”] He wept.",
        "{“Oh!”}",
    ]
    assert marked("‘It was late. It’s so.", "‘And I left,’ he said.") == [
        "{‘It was late. It’s so.>",
        "<‘And I left,’] he said.",
    ]


def test_who_tells_a_story_goes_on_in_the_next_chapter():
    chapters = (Chapter("“Rain”", (Paragraph("“It rained."),)), Chapter("II", (Paragraph("“It shone.” He left."),)))
    chunks = plan_book(Book(Metadata(), chapters), limits=MANY, speech=SpeechSettings(vader=False)).chunks
    assert shown(chunks) == ["“Rain”", "{“It rained.>", "II", "<“It shone.”] He left."]


def test_a_quotation_that_somebody_forgot_to_close_ends_with_its_paragraph():
    assert marked("“It was late, he said.", "It rained.", "“Yes.”") == [
        "{“It was late, he said.>",
        "It rained.",
        "{“Yes.”}",
    ]


def test_a_quotation_over_several_chunks():
    assert marked("“It was late. It’s so. It rained,” he said. “Go.”", limits=ONE) == [
        "{“It was late.>",
        "<It’s so.>",
        "<It rained,”] he said.",
        "[“Go.”]",
    ]


_texts = st.lists(
    st.sampled_from(["“", "”", "‘", "’", '"', "'", "—", "Go", "said", "Ann", "it’s", ",", ".", " ", "«", "»", "„"]),
    max_size=30,
).map("".join)  # fmt: skip


@example([("—Go", Boundary.PERIOD), ("", Boundary.PERIOD)])
@given(st.lists(st.tuples(_texts, st.sampled_from([Boundary.PERIOD, Boundary.PARAGRAPH_END])), max_size=6))
def test_quotes_lie_in_order_inside_any_text(chunks):
    dialogue = Dialogue()
    for text, boundary in chunks:
        quotes = dialogue.next(text, boundary)
        edges = [edge for quote in quotes for edge in (quote.start, quote.stop)]
        assert edges == sorted(edges)
        assert all(0 <= quote.start < quote.stop <= len(text) for quote in quotes)
        assert all(quote.opens for quote in quotes[1:])
        assert all(quote.closes for quote in quotes[:-1])
        assert all(isinstance(quote, Quote) for quote in quotes)
