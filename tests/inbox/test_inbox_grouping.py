import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedd.inbox import names
from speedd.inbox.grouping import Candidate, Kind, candidates, candidates_at, units
from speedd.inbox.listing import DirectoryEntry, Stat, list_inbox
from speedd.model import Role

INBOX = Path("/inbox")


def file(name: str, *, number: int = 1) -> DirectoryEntry:
    return DirectoryEntry(name, stat.S_IFREG | 0o644, Stat(number, 10, 20, 30))


OUTPUTS = (("My Book [Zoe].m4b", 5), ("My Book [Ann].m4b", 7))


def folder(name: str, *children: DirectoryEntry) -> DirectoryEntry:
    return DirectoryEntry(name, stat.S_IFDIR | 0o755, Stat(1, 0, 0, 0), tuple(children))


def found_in(*entries: DirectoryEntry) -> list[Candidate]:
    return [each for unit in units(entries).values() for each in candidates(unit, INBOX)]


def shape(candidate: Candidate) -> dict[str, Role]:
    return {member.path: member.role for member in candidate.members}


def test_files_of_one_stem_are_one_candidate_and_the_book_comes_first():
    files = ["Book.jpg", "Book.toml", "Book_chunks.json", "Book.json", "Book.chunks_info.json", "Book.epub", "Book.nfo"]
    (candidate,) = found_in(*map(file, files))
    assert candidate.source == INBOX / "Book.epub"
    assert (candidate.kind, candidate.name) == (Kind.FILE, "Book")
    assert list(shape(candidate)) == [
        "Book.epub",
        "Book.json",
        "Book_chunks.json",
        "Book.chunks_info.json",
        "Book.toml",
        "Book.jpg",
        "Book.nfo",
    ]


def test_stems_are_compared_byte_by_byte_and_suffixes_without_case():
    found = found_in(file("Book.EPUB"), file("book.toml"), file("Book.Json"))
    assert [shape(each) for each in found] == [{"Book.EPUB": Role.BOOK, "Book.Json": Role.CHUNKS}]


def test_composed_and_decomposed_stems_are_different():
    assert len(found_in(file("Caf\u00e9.txt"), file("Cafe\u0301.txt"))) == 2


def test_a_json_alone_is_a_chunk_json():
    (candidate,) = found_in(file("Book_chunks.json"))
    assert candidate.name == "Book"
    assert shape(candidate) == {"Book_chunks.json": Role.CHUNKS}


def test_a_partner_without_its_book_is_no_candidate():
    assert found_in(file("Book.toml"), file("Other.jpg"), file("Third.nfo")) == []


@pytest.mark.parametrize("name", ["Book.pdf", "Book.mobi", "Book.xyz", "Song.mp3", "pictures.zip", "Book", "voice.wav"])
def test_anything_else_is_a_book_so_that_its_owner_gets_an_answer(name):
    (candidate,) = found_in(file(name))
    assert shape(candidate) == {name: Role.BOOK}


def test_a_sound_beside_a_book_does_not_join_it():
    assert [shape(each) for each in found_in(file("Book.epub"), file("Book.mp3"))] == [
        {"Book.epub": Role.BOOK},
        {"Book.mp3": Role.BOOK},
    ]


def test_one_book_in_two_formats_is_one_candidate_and_the_readable_one_comes_first():
    (candidate,) = found_in(file("Book.azw3"), file("Book.pdf"), file("Book.txt"), file("Book.epub"))
    assert [member.path for member in candidate.members][:2] == ["Book.epub", "Book.txt"]


def test_a_folder_takes_what_belongs_to_a_book_and_ignores_the_rest():
    tts = folder("TTS", folder("text_chunks", file("chunks_info.json"), file("chunk_0001.txt")), file("audio.wav"))
    rest = [file("notes.json"), file("photo.jpg"), file("REASON.txt"), file(".hidden.txt"), file("x.mp3")]
    parts = ["Text.txt", "Cover.JPG", "book.nfo", "metadata.opf", "voice.wav", "speedd.toml", "run.log"]
    (candidate,) = found_in(folder("My Book", *map(file, parts), *rest, tts))
    assert candidate.source == candidate.base == INBOX / "My Book"
    assert (candidate.kind, candidate.name) == (Kind.FOLDER, "My Book")
    assert shape(candidate) == {
        "Text.txt": Role.BOOK,
        "TTS/text_chunks/chunks_info.json": Role.CHUNKS,
        "speedd.toml": Role.SETTINGS,
        "Cover.JPG": Role.COVER,
        "book.nfo": Role.NFO,
        "metadata.opf": Role.OPF,
        "voice.wav": Role.VOICE,
        "run.log": Role.LOG,
    }


def test_the_latest_output_beside_a_chunk_json_tells_its_voice_and_is_no_member():
    older, newer = (file(name)._replace(stat=Stat(1, 9, mtime_ns, 0)) for name, mtime_ns in OUTPUTS)
    (candidate,) = found_in(folder("My Book", newer, older, file("chunks_info.json")))
    assert candidate.voice == "Ann"
    assert shape(candidate) == {"chunks_info.json": Role.CHUNKS}
    (plain,) = found_in(folder("My Book", newer, older, file("Text.txt")))  # [Unabridged], say, is no voice
    assert plain.voice == ""


@pytest.mark.parametrize("name", ["chunks_info.json", "book_chunks.json", "Book.chunks_info.json"])
def test_a_folder_with_only_a_chunk_json_is_a_book(name):
    (candidate,) = found_in(folder("My Book", file(name), file("other.json")))
    assert shape(candidate) == {name: Role.CHUNKS}


def test_a_folder_that_came_back_from_failed_keeps_its_partners():
    (candidate,) = found_in(folder("Book", file("Book.epub"), file("Book.toml"), file("Book.jpg"), file("REASON.txt")))
    assert shape(candidate) == {"Book.epub": Role.BOOK, "Book.toml": Role.SETTINGS, "Book.jpg": Role.COVER}


def test_the_chapters_of_a_folder_come_in_natural_order():
    chapters = [file(f"chapter {number}.txt") for number in (10, 9, 1, 2)]
    (candidate,) = found_in(folder("My Book", *chapters))
    assert [member.path for member in candidate.members] == [f"chapter {n}.txt" for n in (1, 2, 9, 10)]


def test_documents_called_like_chapters_are_one_book_and_others_are_books(tmp_path):
    chapters = [file(name) for name in ("Chapter 2.docx", "Chapter 10.docx", "Prologue.docx")]
    (candidate,) = found_in(folder("My Book", *chapters))
    assert [member.path for member in candidate.members] == ["Chapter 2.docx", "Chapter 10.docx", "Prologue.docx"]
    books = found_in(folder("Shelf", file("The Window.docx"), file("Chapter Sandbox.docx")))
    assert [each.source.name for each in books] == ["The Window.docx", "Chapter Sandbox.docx"]


def test_a_zip_has_partners_like_any_book():
    (candidate,) = found_in(file("Book.zip"), file("Book.toml"), file("Book.jpg"))
    assert shape(candidate) == {"Book.zip": Role.BOOK, "Book.toml": Role.SETTINGS, "Book.jpg": Role.COVER}


def test_calibre_has_one_candidate_per_book_folder():
    title = [file("Title.epub"), file("cover.jpg"), file("metadata.opf")]
    library = folder("Calibre", folder("A", folder("One (1)", *title), folder("Two (2)", *title)), file("metadata.db"))
    assert [each.source for each in found_in(library)] == [INBOX / "Calibre/A/One (1)", INBOX / "Calibre/A/Two (2)"]


def test_a_folder_of_several_ebooks_is_a_collection():
    found = found_in(folder("Series", file("One.epub"), file("One.jpg"), file("Two.epub"), file("lonely.toml")))
    assert [(each.source.name, list(shape(each))) for each in found] == [
        ("One.epub", ["One.epub", "One.jpg"]),
        ("Two.epub", ["Two.epub"]),
    ]


def test_a_pdf_beside_the_ebook_of_a_folder_goes_with_it():
    (candidate,) = found_in(folder("My Book", file("Book.epub"), file("map.pdf")))
    assert candidate.kind is Kind.FOLDER


def test_below_a_book_only_an_ebook_is_a_book_of_its_own():
    extras = folder("extras", file("notes.txt"), folder("deep", file("Sequel.epub")))
    found = found_in(folder("My Book", file("text.txt"), extras))
    assert [each.source for each in found] == [INBOX / "My Book", INBOX / "My Book/extras/deep"]


def test_a_folder_without_a_book_has_no_candidate():
    assert found_in(folder("Music", file("a.mp3"), folder("b", file("cover.jpg"))), folder("empty")) == []


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (stat.S_IFLNK, "symbolic link"),
        (stat.S_IFIFO, "named pipe"),
        (stat.S_IFSOCK, "socket"),
        (stat.S_IFBLK, "device"),
    ],
)
@pytest.mark.parametrize("name", ["Book.epub", "whatever", "Book.jpg"])
def test_what_is_no_file_is_refused_by_name(kind, word, name):
    (candidate,) = found_in(DirectoryEntry(name, kind | 0o644, Stat(1, 2, 3, 4)))
    assert word in candidate.fault
    assert name in candidate.fault


def test_a_linked_part_spoils_its_folder():
    link = DirectoryEntry("cover.jpg", stat.S_IFLNK | 0o777, Stat(1, 2, 3, 4))
    (candidate,) = found_in(folder("My Book", file("text.txt"), link))
    assert "symbolic link" in candidate.fault


def test_a_folder_that_may_not_be_listed_is_refused():
    (candidate,) = found_in(DirectoryEntry("My Book", stat.S_IFDIR, Stat(1, 2, 3, 4), closed=True))
    assert "cannot be opened" in candidate.fault


def test_named_by_a_person_a_file_brings_its_partners_but_no_other_format(tmp_path):
    for name in ("Book.epub", "Book.txt", "Book.toml", "Other.txt"):
        (tmp_path / name).write_text(name)
    (candidate,) = candidates_at(tmp_path / "Book.txt")
    assert list(shape(candidate)) == ["Book.txt", "Book.toml"]
    assert candidates_at(tmp_path / "missing.txt") == ()


def test_named_by_a_person_or_found_by_the_scan_it_is_the_same(tmp_path):
    (tmp_path / "My Book").mkdir()
    (tmp_path / "My Book" / "a.txt").write_text("a")
    (scanned,) = (each for unit in units(list_inbox(tmp_path)).values() for each in candidates(unit, tmp_path))
    assert candidates_at(tmp_path / "My Book") == (scanned,)


def test_bytes_that_are_no_utf8_survive(tmp_path):
    raw = os.fsencode(tmp_path) + b"/B\xfccher.txt"
    Path(os.fsdecode(raw)).write_text("x")
    (candidate,) = candidates_at(Path(os.fsdecode(raw)))
    assert os.fsencode(candidate.source) == raw
    assert candidate.name == "B\ufffdcher"


def test_links_are_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "Book.epub").write_text("x")
    inbox = tmp_path / "inbox"
    (inbox / "Author").mkdir(parents=True)
    (inbox / "Author" / "link").symlink_to(outside)
    (inbox / "loop").symlink_to(inbox)
    listing = list_inbox(inbox)
    found = [each for unit in units(listing).values() for each in candidates(unit, inbox)]
    assert [(each.source.name, "link" in each.fault) for each in found] == [("loop", True)]


# --- properties ------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "A.epub",
        "B.epub",
        "a.txt",
        "A.txt",
        "b.md",
        "c.pdf",
        "d.docx",
        "x.mp3",
        "A.json",
        "A_chunks.json",
        "chunks_info.json",
        "A.toml",
        "A.jpg",
        "cover.jpg",
        "book.nfo",
        "run.log",
        "speedd.toml",
        "TTS",
        "text_chunks",
        "Author",
    ]
)


def trees(below):
    def unique(entries):
        return list({entry.name: entry for entry in entries}.values())

    return st.lists(below, max_size=6).map(unique)


LISTINGS = trees(
    st.recursive(
        st.builds(file, NAMES, number=st.integers(1, 9)),
        lambda below: st.builds(lambda name, children: folder(name, *children), NAMES, trees(below)),
        max_leaves=20,
    )
)


def all_files(entries, base=""):
    for entry in entries:
        if entry.is_folder:
            yield from all_files(entry.children, f"{base}{entry.name}/")
        else:
            yield f"{base}{entry.name}", entry


def taken(found):
    return [str((each.base / member.path).relative_to(INBOX)) for each in found for member in each.members]


@given(LISTINGS)
def test_no_file_belongs_to_two_candidates_and_every_ebook_to_one(listing):
    members = taken(found_in(*listing))
    assert len(members) == len(set(members))
    assert {path for path, _ in all_files(listing) if path.endswith(".epub")} <= set(members)


@given(LISTINGS)
def test_directly_in_the_inbox_every_text_gets_an_answer(listing):
    members = set(taken(found_in(*listing)))
    for entry in listing:
        named = names.take_apart(entry.name)
        if not entry.is_folder and (named is None or named.role in (Role.BOOK, Role.CHUNKS)):
            assert entry.name in members


@given(LISTINGS, st.randoms())
def test_the_order_of_a_listing_does_not_matter(listing, random):
    shuffled = list(listing)
    random.shuffle(shuffled)
    by_source = {each.source: each for each in found_in(*shuffled)}
    assert by_source == {each.source: each for each in found_in(*listing)}


@given(LISTINGS)
def test_a_changed_member_changes_the_signature(listing):
    before = {each.source: each for each in found_in(*listing)}

    def touched(entry):
        if entry.is_folder:
            return entry._replace(children=tuple(map(touched, entry.children)))
        return entry._replace(stat=entry.stat._replace(mtime_ns=21))

    for each in found_in(*map(touched, listing)):
        assert each.signature != before[each.source].signature
