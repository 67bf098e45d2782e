import json

import pytest

from speedd.commands.bench.contest import gathered
from speedd.commands.bench.material import own_text, repeat_as_json
from speedd.errors import InputError
from speedd.pipeline.narrator import CHARS_PER_SECOND


def test_our_own_text_is_about_as_long_as_asked_and_always_the_same():
    for minutes in (0.5, 12):
        text = own_text(minutes)
        assert len(text) / CHARS_PER_SECOND / 60 == pytest.approx(minutes, rel=0.2)
        assert text == own_text(minutes)
    assert text.count("## Chapter") == 3


def test_only_the_first_chapters_are_read(tmp_path):
    book = tmp_path / "Book.md"
    book.write_text("# Book\n\n" + "".join(f"## {n}\n\n{'It rained again. ' * 60}\n\n" for n in "ABCD"))
    with gathered(book, 1.5) as (folder, material):
        assert material.chapters == range(2)
        assert 120 < len(material.utterances) < 130
        seeds = {one.seed for one in material.utterances if one.text == "It rained again."}
        assert len(seeds) == 120  # as the narrator seeds a text that comes again
        out = folder / "again.json"
        repeat_as_json(material, 10, out)
        written = json.loads(out.read_text())
        assert sum(chunk.get("text", "").count("rained") for chunk in written) == 1200
        assert sum("chapter" in chunk for chunk in written) == 20
    assert not folder.exists()


def test_a_book_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no"), gathered(tmp_path / "None.epub", 1):
        pass
