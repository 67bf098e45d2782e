"""Jobs over real files."""

from pathlib import Path

from speedd.model import Job, Part, Role

_ROLES = {".nfo": Role.NFO, ".opf": Role.OPF, ".jpg": Role.COVER, ".png": Role.COVER, ".json": Role.CHUNKS}


def job_of(*paths: Path) -> Job:
    parts = tuple(
        Part(_ROLES.get(path.suffix.lower(), Role.BOOK), path.name, path, "0" * 64, path.stat().st_size)
        for path in paths
    )
    return Job("0" * 12, "0" * 64, paths[0].stem, paths[0], paths[0].parent, parts)
