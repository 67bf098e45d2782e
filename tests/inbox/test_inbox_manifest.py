"""A job's folder in the spool says enough to rebuild the job without anything else."""

import os
from pathlib import Path

from speedd.inbox.grouping import candidates_at
from speedd.inbox.identity import digest_of
from speedd.inbox.manifest import join, load_candidate, load_job, readdress
from speedd.inbox.spool import accept
from speedd.model import Role


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
