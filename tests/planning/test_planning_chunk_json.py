import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.config import SpeechSettings
from speedd.errors import DamagedInputError, InputError
from speedd.model import (
    Book,
    Boundary,
    Chapter,
    Chunk,
    Metadata,
    Paragraph,
    ParagraphKind,
    Plan,
    Segment,
    Style,
    TextLimits,
)
from speedd.planning import plan_book, read_chunk_json, voice_from_log, write_chunk_json

ONE = TextLimits(best_chars=200, max_chars=300, one_sentence=True)
MANY = TextLimits(best_chars=60, max_chars=120, min_chars=20)
SPEECH = SpeechSettings()


@pytest.fixture
def read(tmp_path):
    """Read what is given (text, bytes, or a value to be written as JSON) as a chunk JSON."""

    def _read(content, *, book=None, name="my-book", limits=ONE, speech=SPEECH):
        path = tmp_path / "chunks_info.json"
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        plan = read_chunk_json(path, book=book, name=name, limits=limits, speech=speech)
        return replace(plan, chunks=list(plan.chunks))

    return _read


def written(plan, **more):
    out = io.StringIO()
    write_chunk_json(out, plan, **more)
    return out.getvalue()


def essence(plan):
    """All of a plan but the records it came from."""
    return plan.chapters, [replace(chunk, record=None) for chunk in plan.chunks]


# --- shapes met in the wild ----------------------------------------------------------------------------------------


def test_everything_in_a_chunk_is_honoured(read):
    params = {"exaggeration": 0.6, "cfg_weight": 0.4, "temperature": 0.7, "min_p": 0.1, "top_p": 0.9, "top_k": 50}
    chunk = {
        "index": 0,
        "text": "So it was. Then?  It ended,",
        "boundary_type": "comma",
        "sentiment_compound": 0.25,
        "sentiment_raw": 0.5,
        "tts_params": {**params, "repetition_penalty": 1.5},
        "mine": [1, {"a": None}],
    }
    plan = read([chunk])
    (made,) = plan.chunks
    assert made.text == "So it was. Then?  It ended,"
    assert made.segments == (Segment("So it was.", 500), Segment("Then?", 500), Segment("It ended,", 0))
    assert (made.boundary, made.pause_ms) == (Boundary.COMMA, 150)
    assert (made.sentiment_compound, made.sentiment_raw) == (0.25, 0.5)
    assert made.style == Style(**params, repetition_penalty=1.5)
    assert made.record == chunk
    assert (plan.chapters, plan.metadata.title, plan.metadata.author) == (("my-book",), "my-book", "Unknown")
    assert (plan.voice, plan.header, plan.warnings) == ("", None, ())


@pytest.mark.parametrize(
    "content",
    [
        '\ufeff[{"_metadata": true, "voice_used": "ann"}, {"text": "Hi."}]',
        '{"voice_used": "ann", "chunks": [{"text": "Hi."}]}',
        '{"voice_used": "ann", "anything": [{"text": "Hi."}]}',
        '// voice: ann\n[{"text": "Hi."}]',
        '// made by hand\n\n// Voice used: ann\n[{"text": "Hi."}]',
        '[{"_metadata": true, "voice_used": "ann"}, ["Hi.", true]]',
    ],
)
def test_the_voice_wherever_it_stands(read, content):
    plan = read(content)
    assert plan.voice == "ann"
    assert [chunk.text for chunk in plan.chunks] == ["Hi."]


def test_utf16_with_a_byte_order_mark(read):
    assert read('[{"text": "Größe."}]'.encode("utf-16")).chunks[0].text == "Größe."


def test_old_pairs(read):
    plan = read([["One,", False], ["two.", True], ["three!", 0]])
    assert [(c.text, c.boundary) for c in plan.chunks] == [
        ("One,", Boundary.COMMA),
        ("two.", Boundary.PARAGRAPH_END),
        ("three!", Boundary.EXCLAMATION),
    ]


def test_order_is_by_index_and_file_order_among_equals(read):
    texts = [(7, "d"), (2, "a"), (3, "b"), (3, "c"), (90, "e")]
    plan = read([{"index": index, "text": text} for index, text in texts])
    assert [c.text for c in plan.chunks] == ["a", "b", "c", "d", "e"]
    assert [c.index for c in plan.chunks] == [0, 1, 2, 3, 4]
    assert [c["index"] for c in json.loads(written(plan))[1:]] == [2, 3, 3, 7, 90]


def test_what_is_missing_comes_from_the_book(read):
    plan = read(
        [{"text": "a"}, {"text": "b", "sentiment_score": 0.5}, {"text": "c", "tts_params": {"temperature": 1.5}}],
        speech=SpeechSettings(preset="narration", speed=1.25),
    )
    styles = [c.style for c in plan.chunks]
    assert [c.boundary for c in plan.chunks] == [Boundary.NONE] * 3
    assert styles[0] == Style(exaggeration=0.55, speed=1.25)
    assert (styles[1].cfg_weight, plan.chunks[1].sentiment_compound) == (0.66, 0.5)
    assert styles[2] == Style(exaggeration=0.55, temperature=1.5, speed=1.25)


def test_a_pause_of_its_own_wins_over_the_boundary(read):
    pauses = [0.25, 0, 500, -1, 1e6]
    plan = read([{"text": "a", "boundary_type": "period", "pause_duration": seconds} for seconds in pauses])
    assert [c.pause_ms for c in plan.chunks] == [250, 0, 500, 0, 60_000]
    assert plan.warnings == (
        "A pause_duration above 60 is read as milliseconds, in 2 chunks, first in chunk 3 (500).",
        "A pause_duration is out of range; the nearest of 0 to 60 s is used, in 2 chunks, first in chunk 4 (-1).",
    )


def test_values_out_of_range_are_clamped_in_use_and_kept_in_the_file(read):
    chunks = [
        {"text": "a", "tts_params": {"exaggeration": 9.5, "top_p": 1}, "sentiment_compound": -3},
        {"text": "b", "tts_params": {"exaggeration": 7}, "boundary_type": "cliff"},
    ]
    plan = read(chunks)
    assert [c.style.exaggeration for c in plan.chunks] == [0.65, 0.65]
    assert (plan.chunks[0].sentiment_compound, plan.chunks[1].boundary) == (-1.0, Boundary.NONE)
    assert plan.warnings == (
        "sentiment_compound is out of range; the nearest of -1 to 1 is used, in 1 chunk, first in chunk 1 (-3).",
        "exaggeration is out of range; the nearest of 0.1 to 0.65 is used, in 2 chunks, first in chunk 1 (9.5).",
        "An unknown boundary_type is read as none, in 1 chunk, first in chunk 2 (cliff).",
    )
    back = json.loads(written(plan))[1:]
    assert [c["tts_params"] for c in back] == [c["tts_params"] for c in chunks]
    assert back[0]["sentiment_compound"] == -3
    assert back[1]["boundary_type"] == "cliff"


def test_of_how_many_tokens_one_is_drawn_travels_in_the_file(read):
    asked = [50, 0, None, 50.7, -2]
    plan = read([{"text": "a", "tts_params": {"top_k": k}} for k in asked])
    assert [c.style.top_k for c in plan.chunks] == [50, 0, 0, 51, 0]
    (warning,) = plan.warnings
    assert warning.startswith("top_k is out of range; the nearest of the whole numbers 0 to 10000 is used, in 2 chunks")
    plan = plan_book(Book(Metadata(), (chapter("", "Hi."),)), limits=ONE, speech=SpeechSettings(style={"top_k": 7}))
    again = json.loads(written(plan))
    assert again[1]["tts_params"]["top_k"] == 7
    assert [c.style.top_k for c in read(again).chunks] == [7]


def test_style_that_the_engine_cannot_use_is_one_warning(tmp_path):
    path = tmp_path / "chunks.json"
    said = {"min_p": 0.1, "temperature": 0.8, "exaggeration": 0.3}
    path.write_text(json.dumps([{"text": "a", "tts_params": said}] * 3))
    plan = read_chunk_json(path, book=None, name="x", limits=ONE, speech=SPEECH, style_fields=("speed", "temperature"))
    assert plan.warnings == ("The engine does not use what the chunks say of exaggeration, min_p.",)
    path.write_text(json.dumps([{"text": "a"}]))
    assert read_chunk_json(path, book=None, name="x", limits=ONE, speech=SPEECH, style_fields=()).warnings == ()


def test_neither_an_opening_nor_headings_are_added_and_nothing_is_skipped(read):
    plan = read([{"_metadata": True, "title": "T", "author": "A"}, {"text": "Imprint."}, {"text": "* * *"}])
    assert [c.text for c in plan.chunks] == ["Imprint.", "* * *"]
    assert plan.chunks[1].segments == ()
    assert (plan.metadata.title, plan.metadata.authors) == ("T", ("A",))


def test_a_long_text_is_one_chunk_of_several_segments(read):
    text = "word " * 200
    (chunk,) = read([{"text": text}], limits=MANY).chunks
    assert chunk.text == text
    assert all(len(segment.text) <= 120 for segment in chunk.segments)
    assert " ".join(segment.text for segment in chunk.segments) == text.strip()


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"text": "a"}, {"index": 1}]', "chunk 2 (counted from 1): it has no text"),
        ('[{"text": "a"}, {"text": " "}]', "chunk 2 (counted from 1): its text is empty"),
        ('[{"_metadata": true}, {"text": null}]', "chunk 1 (counted from 1): its text is null"),
        ('[{"text": ["a"]}]', "its text is a list"),
        ('["a"]', "chunk 1 (counted from 1): it is a text, not an object with a text"),
        ('[["a"]]', "it is a list, but not a text with whether its paragraph ends"),
        ('{"a": 1}', "it holds no list of chunks"),
        ('"a"', "it holds a text where a list of chunks should be"),
        ("[]", "holds no chunk"),
        ('[{"_metadata": true}]', "holds no chunk"),
        ('[{"text": "a"}, {"text": "b", "sentiment_raw": NaN}]', "chunk 2 (counted from 1): NaN is no number"),
        ('[{"text": "a", "x": {"y": [-Infinity]}}]', "-Infinity is no number"),
        ('[{"text": "a", "sentiment_raw": 1e999}]', "the number 1e999 is too large"),
        ('[{"text": "a", "index": ' + "9" * 5000 + "}]", "a number has 5000 digits"),
        ('[{"text": "a\\ud800b"}]', "half of a surrogate pair"),
        ('[{"text": "a", "\\udfff": 1}]', "half of a surrogate pair"),
        ('[{"text": "a\\u0000b"}]', "NUL"),
        ('[{"_metadata": true, "x": 1e999}, {"text": "a"}]', "in its head, the number 1e999 is too large"),
        ("[" * 100_000, "nested more than 64 levels deep, line 1, column 65"),
        ('[\n{"text": "a", "x": ' + '{"a":[' * 50 + "]}" * 50 + "}]", "nested more than 64 levels deep"),
        ('[\n  {"text": "a" "b"}\n]', "line 2, column 16"),
        ("// voice: ann\n[\n  nope\n]", "line 3, column 3"),
        ("A novel, not JSON.", "line 1, column 1"),
        (b'[{"text": "a"},\n{"text": "\xff\xfe"}]', "line 2"),
        ('[{"text": "a", "tts_params": 3}]', "its tts_params is a number, not an object"),
        ('[{"text": "a", "tts_params": {"min_p": "low"}}]', "its min_p is a text, not a number"),
        ('[{"text": "a", "index": 1.5}]', "its index is no whole number"),
        ('[{"text": "a", "index": "1"}]', "its index is no whole number"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_chunk_json_is_refused_with_the_place_of_the_fault(read, content, words):
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read(content)
    assert not isinstance(caught.value, DamagedInputError)


WHOLE = '// voice: x\n[{"text": "a\\u00e4 \\"b\\" ä", "n": [-1.5e3, true, null, {}], "o": false},\n ["c", true]]'


@pytest.mark.parametrize("tail", [b"", b"\0" * 50, b"\n"], ids=["cut", "zeros", "line"])
def test_every_beginning_of_a_file_is_known_to_be_cut_short(read, tail):
    read(WHOLE)
    data = WHOLE.encode()
    for length in range(len("// voice: x\n"), len(data)):
        with pytest.raises(DamagedInputError):
            read(data[:length] + tail)


@pytest.mark.parametrize("content", ["", " \n ", "\0\0\0", "\ufeff"])
def test_an_empty_file_may_still_be_on_its_way(read, content):
    with pytest.raises(DamagedInputError, match="empty"):
        read(content)


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["text", "index", "boundary_type", "tts_params", "chapter", "_metadata", "pause_duration",
                         "sentiment_raw", "exaggeration", "title", "authors", "voice_used"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_json_is_read_or_refused(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    try:
        plan = read_chunk_json(path, book=None, name="x", limits=ONE, speech=SPEECH)
    except InputError:
        return
    assert written(plan)


# --- chapters ------------------------------------------------------------------------------------------------------


def starts(plan):
    first = {}
    for chunk in plan.chunks:
        first.setdefault(chunk.chapter, chunk.index)
    return [(plan.chapters[chapter], index) for chapter, index in first.items()]


def test_chapters_by_their_keys(read):
    keys = ["One", None, "Two", "Two", None, 3]
    plan = read([{"text": "a", **({"chapter": key} if key else {})} for key in keys])
    assert starts(plan) == [("One", 0), ("Two", 2), ("Chapter 3", 5)]


def test_chapters_by_boundaries(read):
    boundaries = ["paragraph_end", "chapter_start", "period", "chapter_end", "chapter_start", "period"]
    texts = ["The Storm, by Ann.", "Chapter One", "It rained.", "It ended.", "II", "It shone."]
    plan = read([{"text": t, "boundary_type": b} for t, b in zip(texts, boundaries, strict=True)])
    assert starts(plan) == [("Chapter One", 0), ("II", 4)]
    assert plan.chunks[4].segments == (Segment("Two."),)


def test_chapters_of_which_only_the_ends_are_marked(read):
    plan = read([{"text": "a b c " * 20, "boundary_type": b} for b in ["chapter_end", "period", "chapter_end", "none"]])
    assert starts(plan) == [("Chapter 1", 0), ("Chapter 2", 1), ("Chapter 3", 3)]


def test_long_front_matter_is_a_chapter_of_its_own(read):
    plan = read([{"text": "imprint " * 40}, {"text": "a", "chapter": "One"}])
    assert starts(plan) == [("Opening", 0), ("One", 1)]


def chapter(title, *texts):
    return Chapter(title, tuple(Paragraph(text) for text in texts))


SEA = "The sea was grey that morning and the gulls cried over the empty harbour."
HILL = "Upon the hill, by contrast, nobody had heard the news and the fires burned low."
ROAD = "A road runs north from there, and along it we went without a word, all six of us."


def aligned(read, *texts, chapters=None):
    book = Book(Metadata(title="B"), chapters or (chapter("I", SEA), chapter("Two Hills", HILL), chapter("III", ROAD)))
    return read([{"text": text} for text in texts], book=book)


def test_chapters_beside_a_book_are_found_by_their_first_words(read):
    plan = aligned(read, "B, by A.", "I.", SEA, "More.", "Chapter 2 Two hills. " + HILL, ROAD[:30], ROAD[30:])
    assert starts(plan) == [("I", 0), ("Two Hills", 4), ("III", 5)]
    assert plan.warnings == ()


def test_a_start_in_mid_chunk_is_placed_there_and_said(read):
    plan = aligned(read, SEA, "They slept. II. " + HILL, ROAD)
    assert starts(plan) == [("I", 0), ("Two Hills", 1), ("III", 2)]
    assert plan.warnings == ("The chapter “Two Hills” starts inside chunk 2 (counted from 1); its mark is set there.",)


def test_a_few_other_words_do_not_hide_a_chapter(read):
    plan = aligned(read, SEA.replace("grey", "gray"), HILL.replace("by contrast, ", ""), ROAD.replace("six", "6"))
    assert [title for title, _ in starts(plan)] == ["I", "Two Hills", "III"]


def test_a_chapter_that_is_not_there_is_said(read):
    plan = aligned(read, SEA, ROAD)
    assert starts(plan) == [("I", 0), ("III", 1)]
    assert plan.warnings == ("The chapter “Two Hills” was not found in the chunk JSON.",)


def test_chapters_that_begin_alike_are_taken_in_order(read):
    plan = aligned(read, SEA, HILL, SEA, ROAD, SEA, chapters=[chapter(str(n), SEA) for n in range(3)])
    assert starts(plan) == [("0", 0), ("1", 2), ("2", 4)]


def test_a_quotation_of_a_later_chapter_does_not_draw_the_others_away(read):
    plan = aligned(read, ROAD, SEA, HILL, ROAD)
    assert [title for title, _ in starts(plan)] == ["I", "Two Hills", "III"]
    assert starts(plan)[-1] == ("III", 3)


def test_keys_in_the_json_win_over_the_book(read):
    book = Book(Metadata(title="B", authors=("A",)), (chapter("I", SEA),))
    plan = read([{"text": "Mine.", "chapter": "My own"}, {"text": SEA}], book=book)
    assert plan.chapters == ("My own",)
    assert (plan.metadata.title, plan.metadata.authors) == ("B", ("A",))


# --- there and back ------------------------------------------------------------------------------------------------

_word = st.sampled_from(
    ["He", "said,", "“Why?”", "so;", "~1", "[pause:2s]", "—", "end.", "II", "Great!", "awful.", "“I", "Mr.", "Ann",
     "Lee", "£3.50", "million", "‘tis", "go.’", "\n", "\nAnd", "…", '"Oh!"', "said"]
)  # fmt: skip
_paragraph = st.builds(
    Paragraph,
    st.lists(_word, max_size=30).map(" ".join) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    st.sampled_from([ParagraphKind.TEXT, ParagraphKind.TEXT, ParagraphKind.HEADING, ParagraphKind.BREAK]),
)
_books = st.builds(
    lambda title, authors, chapters: Book(
        Metadata(title=title, authors=authors, language="en"),
        # Neighbours of one title and one chunk each cannot be told apart in the file: the titles differ here.
        tuple(Chapter(f"{one[0]}{n}", tuple(one[1]), announced=one[2]) for n, one in enumerate(chapters)),
    ),
    st.sampled_from(["", "The Storm", "Who?"]),
    st.sampled_from([(), ("Ann",), ("Ann", "Bee, Jr.")]),
    st.lists(
        st.tuples(st.sampled_from(["", "Chapter ", "The Storm "]), st.lists(_paragraph, max_size=4), st.booleans()),
        max_size=4,
    ),
)


@given(_books, st.sampled_from([ONE, MANY]), st.sampled_from(["default", "expressive", "exposition"]))
def test_a_plan_written_and_read_is_the_same_plan(tmp_path_factory, book, limits, preset):
    speech = SpeechSettings(preset=preset, speed=1.1)
    plan = plan_book(book, limits=limits, speech=speech)
    plan = replace(plan, chunks=list(plan.chunks), voice="ann")
    if not plan.chunks:
        return
    path = tmp_path_factory.getbasetemp() / "plan.json"
    text = written(plan, generated="2026-01-02 03:04:05", total_chunks=len(plan.chunks))
    path.write_text(text, encoding="utf-8")
    back = read_chunk_json(path, book=None, name="", limits=limits, speech=speech)
    back = replace(back, chunks=list(back.chunks))
    assert essence(back) == essence(plan)
    assert (back.voice, back.metadata, back.warnings) == ("ann", book.metadata, ())
    assert written(back) == text


def test_every_chunk_is_written_before_the_next_is_made():
    out = io.StringIO()
    lengths = []

    def chunks():
        for number in range(500):
            lengths.append(out.tell())
            yield Chunk(number, 0, f"Line {number}.", (Segment(f"Line {number}."),))

    assert write_chunk_json(out, Plan(Metadata(), ("",), chunks())) == 500
    assert all(after > before for before, after in pairwise(lengths))
    assert len(json.loads(out.getvalue())) == 501


@given(st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
))  # fmt: skip
def test_json_is_written_as_pythons_own_writer_would(value):
    chunk = Chunk(0, 0, "a", (), record={"text": "a", "mine": value})
    written_one = written(Plan(Metadata(), ("",), [chunk]))
    read_back = json.loads(written_one)
    assert read_back[1]["mine"] == value
    assert written_one == json.dumps(read_back, ensure_ascii=False, indent=2) + "\n"


def test_chapters_of_one_title_stay_apart():
    chapters = tuple(chapter("Letter", text, text) for text in (SEA, HILL))
    plan = plan_book(Book(Metadata(), chapters), limits=ONE, speech=SPEECH)
    records = json.loads(written(plan))[1:]
    assert [record.get("chapter") for record in records] == ["Letter", None, None, "Letter", None, None]


def test_a_plan_edited_by_hand_is_honoured_to_the_letter(read):
    book = Book(Metadata(title="B"), (chapter("I", "It rained. He left."), chapter("II", "It shone.")))
    document = json.loads(written(plan_book(book, limits=ONE, speech=SPEECH)))
    assert [one.get("text") for one in document] == [None, "B.", "I", "It rained.", "He left.", "II", "It shone."]
    document[3] |= {"text": "It  poured. And poured", "boundary_type": "dash", "note": "mine"}
    document[3]["tts_params"]["temperature"] = 1.5
    del document[4]
    document.insert(5, {"index": 4, "text": "New!"})
    plan = read(document)
    assert [c.text for c in plan.chunks] == ["B.", "I", "It  poured. And poured", "II", "New!", "It shone."]
    assert [c.chapter for c in plan.chunks] == [0, 0, 0, 1, 1, 1]
    edited = plan.chunks[2]
    assert (edited.boundary, edited.pause_ms, edited.style.temperature) == (Boundary.DASH, 200, 1.5)
    assert [c["index"] for c in json.loads(written(plan))[1:]] == [0, 1, 2, 4, 4, 5]


def test_the_file_looks_as_the_older_tools_write_it():
    plan = plan_book(Book(Metadata(), (chapter("", "Hi."),)), limits=ONE, speech=SpeechSettings(vader=False))
    assert (
        written(replace(plan, voice="ann"), generated="2026-01-02 03:04:05", total_chunks=1)
        == """[
  {
    "_metadata": true,
    "voice_used": "ann",
    "generation_timestamp": "2026-01-02 03:04:05",
    "total_chunks": 1
  },
  {
    "index": 0,
    "text": "Hi.",
    "word_count": 1,
    "boundary_type": "paragraph_end",
    "sentiment_compound": 0.0,
    "sentiment_raw": 0.0,
    "tts_params": {
      "exaggeration": 0.5,
      "cfg_weight": 0.5,
      "temperature": 0.85,
      "min_p": 0.05,
      "top_p": 1.0,
      "repetition_penalty": 1.2
    },
    "chapter": ""
  }
]
"""
    )


def test_who_speaks_stands_in_the_file_and_follows_the_text(read):
    book = Book(Metadata(), (chapter("", "It rained. “Why?” he said.", "“Oh!”"),))
    document = json.loads(written(plan_book(book, limits=ONE, speech=SpeechSettings(vader=False))))
    says = {"start": 0, "stop": 6, "opens": True, "closes": True, "new_speaker": True}
    assert [one.get("dialogue") for one in document[1:]] == [None, [says], [{**says, "stop": 5}]]
    document[2]["text"] = "And “Why not?” he said."
    document[3]["text"] = "Oh."
    back = json.loads(written(read(document)))
    assert [one.get("dialogue") for one in back[1:]] == [None, [{**says, "start": 4, "stop": 14}], []]


@pytest.mark.parametrize("given", ["hers", [1], {"a": 2}, [{"who": "Ann"}]])
def test_another_tools_dialogue_is_kept(read, given):
    assert json.loads(written(read([{"text": "“Oh!” she said.", "dialogue": given}])))[1]["dialogue"] == given


# --- the real thing ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared):
    path = shared / "chunks" / "the-time-machine.chunks_info.json"
    text = shared / "books" / "the-time-machine.txt"
    if not path.is_file() or not text.is_file():
        pytest.skip("no Time Machine")
    return path, text


def test_the_real_file_alone_is_one_chapter_and_loses_no_key(real):
    path, _ = real
    plan = read_chunk_json(path, book=None, name="the-time-machine", limits=ONE, speech=SPEECH)
    assert (plan.chapters, plan.voice, plan.warnings) == (("the-time-machine",), "narrator", ())
    given_header, *given_chunks = json.loads(path.read_text(encoding="utf-8"))
    header, *chunks = json.loads(written(plan))
    assert header == {**given_header, "title": "the-time-machine"}
    spoken = [chunk.pop("dialogue", None) for chunk in chunks]
    assert chunks == [{**given_chunks[0], "chapter": "the-time-machine"}, *given_chunks[1:]]
    assert 400 < sum(quotes is not None for quotes in spoken) < 1400


def test_the_real_file_beside_its_book_has_the_books_chapters(real):
    path, text = real
    titles = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "Epilogue"]
    _, *parts = re.split(rf"(?m)^({'|'.join(titles)}|Endnotes)$", text.read_text(encoding="utf-8-sig"))
    bodies = dict(zip(parts[::2], parts[1::2], strict=True))
    book = Book(Metadata(title="The Time Machine"), tuple(chapter(t, *bodies[t].split("\n\n")) for t in titles))
    plan = read_chunk_json(path, book=book, name="x", limits=ONE, speech=SPEECH)
    plan = replace(plan, chunks=list(plan.chunks))
    assert starts(plan) == [
        ("Opening", 0), ("I", 10), ("II", 146), ("III", 243), ("IV", 340), ("V", 523), ("VI", 832), ("VII", 935),
        ("VIII", 1056), ("IX", 1174), ("X", 1300), ("XI", 1353), ("XII", 1443), ("Epilogue", 1530),
    ]  # fmt: skip
    inside = [warning.split("”")[0].split("“")[1] for warning in plan.warnings]
    assert inside == ["VII", "XII", "Epilogue"]
    assert len(plan.chunks) == 1567


# --- the voice of an older run log ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "voice"),
    [
        ("Started\nVoice: narrator\nVoice: other\n", "narrator"),
        ("🎤 Voice used: Ann Bee \r\n", "Ann Bee"),
        ("The voice: none here\nVoice:\n", ""),
        ("", ""),
    ],
)
def test_the_voice_of_a_run_log(tmp_path, log, voice):
    path = tmp_path / "run.log"
    path.write_text(log, encoding="utf-8", newline="")
    assert voice_from_log(path) == voice
