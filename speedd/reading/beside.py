"""What lies beside a book and describes it: ``book.nfo``, Calibre's ``metadata.opf``, a cover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from speedd.errors import InputError
from speedd.model import Cover, Job, Metadata, Part, Role
from speedd.reading.nfo import metadata_of_pairs, parse_pairs, parse_wishes
from speedd.reading.text.decoding import decode_text

_MAX_SIDE_FILE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Beside:
    """What the files beside a book say."""

    metadata: Metadata = field(default_factory=Metadata)
    """From the nfo, then from the OPF."""
    cover: Cover | None = None
    wishes: Mapping[str, str] = field(default_factory=dict)
    """What the nfo asks for, as `speedd.reading.nfo.parse_wishes` gives it."""
    warnings: tuple[str, ...] = ()


def read_beside(job: Job) -> Beside:
    """Read the files beside the book that describe it. A damaged one is worth a warning."""
    found = Beside()
    for role in (Role.NFO, Role.OPF):
        if part := job.part(role):
            try:
                found = _with_description(found, part)
            except InputError as error:
                found = replace(found, warnings=(*found.warnings, f"{part.name} is not used: {error}"))
    if part := job.part(Role.COVER):
        from speedd.reading.cover import read_cover  # noqa: PLC0415 - loads lxml

        if cover := read_cover(part.path):
            return replace(found, cover=cover)
        warning = f"{part.name} is no image that speedd knows; it is not used as the cover."
        return replace(found, warnings=(*found.warnings, warning))
    return found


def _with_description(found: Beside, part: Part) -> Beside:
    if part.path.stat().st_size > _MAX_SIDE_FILE_BYTES:
        raise InputError(f"it is larger than {_MAX_SIDE_FILE_BYTES >> 20} MB.")
    data = part.path.read_bytes()
    if part.role is Role.NFO:
        text, _ = decode_text(data, part.name)
        lines = text.split("\n")
        metadata = merged(found.metadata, metadata_of_pairs(parse_pairs(lines)))
        return replace(found, metadata=metadata, wishes=parse_wishes(lines))
    from speedd.reading.epub.package import parse_package  # noqa: PLC0415 - loads lxml

    return replace(found, metadata=merged(found.metadata, parse_package(data, part.name).metadata))


def merged(*known: Metadata) -> Metadata:
    """Take each field from the first that knows it; a place in a series belongs to the series it was named with."""
    result = Metadata()
    for one in known:
        missing = {
            field.name: getattr(one, field.name)
            for field in fields(Metadata)
            if not getattr(result, field.name) and getattr(one, field.name)
        }
        if result.series and one.series != result.series:
            missing.pop("series_index", None)
        result = replace(result, **missing)
    return result
