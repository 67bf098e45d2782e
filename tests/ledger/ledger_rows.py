"""What the tests of the ledger enter into it."""

from pathlib import Path

from speedd.model import Boundary, Chunk, Job, Part, Rendered, Role, Segment


def job(job_id="0" * 12, source="/inbox/Book.txt", digest=None):
    spool = Path("/state/spool") / job_id
    part = Part(Role.BOOK, "Book.txt", spool / "book.txt", "1" * 64, 12)
    return Job(job_id, digest or job_id, "Book", Path(source), spool, (part,))


def take(key, *, samples=2400, stop_reason="end"):
    return Rendered(key, samples, 24_000, -12.0, -20.0, True, 0.25, stop_reason, 99, 0)


def chunk(index, *texts, chapter=0, pause_ms=500):
    segments = tuple(Segment(text, 10 + at) for at, text in enumerate(texts))
    return Chunk(index, chapter, " ".join(texts), segments, Boundary.PERIOD, pause_ms)


def planned(ledger, *chunks, job_id="0" * 12):
    ledger.jobs.add(job(job_id))
    ledger.plans.record(job_id, {"words": 3}, ["One", "Two"], chunks)
    return job_id
