"""A job's folder in the spool says enough to rebuild the job without anything else."""

import os
from pathlib import Path

import pytest

from speedd.errors import TryAgainError
from speedd.inbox.grouping import Candidate, Kind, Member, candidates_at
from speedd.inbox.identity import digest_of
from speedd.inbox.listing import Stat
from speedd.inbox.manifest import join, load_candidate, load_job, load_own_job, readdress
from speedd.inbox.spool import accept
from speedd.model import Job, Part, Role


def test_a_job_and_its_candidate_are_rebuilt_from_the_spool_alone(inbox, spool):
    raw = os.fsencode(inbox) + b"/B\xfccher\xff.txt"
    Path(os.fsdecode(raw)).write_text("x")
    (candidate,) = candidates_at(Path(os.fsdecode(raw)))
    job = accept(candidate, spool)
    assert load_job(job.spool) == job
    assert os.fsencode(load_job(job.spool).source) == raw
    assert load_candidate(job.spool) == candidate
    (job.name + job.parts[0].name).encode()


def accepted(inbox, spool, name, text):
    (inbox / name).write_text(text)
    (candidate,) = candidates_at(inbox / name)
    job = accept(candidate, spool)
    (inbox / name).unlink()
    return job, candidate


def test_a_late_partner_is_rebuilt_with_what_it_goes_with(inbox, spool):
    book, _ = accepted(inbox, spool, "Book.txt", "text")
    late, candidate = accepted(inbox, spool, "Book.json", "[]")
    joined = join(late, book.parts)
    assert [part.role for part in joined.parts] == [Role.BOOK, Role.CHUNKS]
    assert joined.id == digest_of([*book.parts, *late.parts])[:12] not in (book.id, late.id)
    assert load_job(late.spool) == joined
    readdress(joined, candidate)
    assert load_job(late.spool) == joined
    assert load_job(book.spool) == book
    again, _ = accepted(inbox, spool, "Other.json", "[]")
    assert (again.id, again.spool) == (late.id, late.spool)


WRITTEN_BEFORE = """{
 "version": 1,
 "id": "b5c", "digest": "b5cd", "name": "Book", "source": "/inbox/B\\udcfc.json",
 "parts": [{"role": "chunks", "name": "Book.json", "file": "chunks.json", "digest": "77", "size_bytes": 2}],
 "kind": "file", "signature": "ab",
 "members": [["B\\udcfc.json", "chunks", 7, 2, 1700000000000000001, 3]],
 "joined": {"id": "c6d", "digest": "c6de", "parts": [
  {"role": "book", "name": "Book.txt", "file": "../a1b/book.txt", "digest": "55", "size_bytes": 4}]}
}"""


def test_what_was_written_before_an_update_is_read_after_it(tmp_path):
    (tmp_path / "job.json").write_text(WRITTEN_BEFORE)
    source = Path("/inbox/B\udcfc.json")
    part = Part(Role.CHUNKS, "Book.json", tmp_path / "chunks.json", "77", 2)
    assert load_own_job(tmp_path) == Job("b5c", "b5cd", "Book", source, tmp_path, (part,))
    part = Part(Role.BOOK, "Book.txt", tmp_path.parent / "a1b" / "book.txt", "55", 4)
    assert load_job(tmp_path) == Job("c6d", "c6de", "Book", source, tmp_path, (part,))
    member = Member("B\udcfc.json", Role.CHUNKS, Stat(7, 2, 1700000000000000001, 3))
    assert load_candidate(tmp_path) == Candidate(source, Kind.FILE, "Book", (member,), "ab")


@pytest.mark.parametrize(
    ("written", "instead"),
    [('"version": 1', '"version": 2'), ('"id": "b5c", ', ""), ('"kind": "file"', '"kind": "pipe"'), ("}", "")],
)
def test_a_manifest_that_is_not_whole_is_refused(tmp_path, written, instead):
    (tmp_path / "job.json").write_text(WRITTEN_BEFORE.replace(written, instead))
    for load in (load_job, load_own_job, load_candidate):
        with pytest.raises(TryAgainError, match="missing or damaged"):
            load(tmp_path)
