"""``check``: is this machine fit to run?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speedd import engines, inbox, planning
from speedd.common.state_directory import StateDirectory
from speedd.config import default_file, engine_options, load_config
from speedd.daemon.app import open_ledger
from speedd.errors import SpeeddError


def prepare_engine(file: Path | None, overrides: Mapping[str, Any]) -> str:
    """Fetch what the configured engine needs beside its package; return what to tell."""
    config = load_config(file, overrides=overrides)
    return engines.prepare(config.engine.name, engine_options(config))


def check_machine(file: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Find out whether this machine and its configuration are fit to run. Changes nothing but probes writing."""
    findings: list[dict[str, Any]] = []

    def find(what: str, says: str, *, ok: bool = True) -> None:
        findings.append({"what": what, "ok": ok, "says": says})

    config = load_config(file, overrides=overrides)
    find("configuration", f"{file or default_file(os.environ) or 'the defaults'}, no faults")
    for name in ("inbox", "outbox", "state"):
        path: Path = getattr(config.paths, name)
        ok, says = _writable(path)
        if name == "inbox" and not ok and config.inbox.after_publish == "keep" and os.access(path, os.R_OK):
            ok, says = True, f"{path} is read-only; sources stay where they are"
        find(name, says, ok=ok)
    kind = inbox.file_system(_existing(config.paths.state))
    remote = inbox.network_file_system(_existing(config.paths.state))
    find(
        "state's disk",
        f"{kind or 'unknown'}" + (": put it on a local disk, SQLite needs one" if remote else ""),
        ok=not remote,
    )
    free = shutil.disk_usage(_existing(config.paths.state)).free
    reserve = config.limits.disk_reserve_mb * 2**20
    find("free space", f"{free / 2**30:.1f} GiB, of which {reserve / 2**30:.1f} stay free", ok=free > reserve)
    try:
        chosen = engines.choose(config.engine.name, engine_options(config))
    except SpeeddError as error:
        find("engine", str(error), ok=False)
    else:
        reasons = "".join(f" ({reason})" for reason in chosen.passed_over)
        find("engine", f"{chosen.name} {chosen.info.version}: {chosen.why}{reasons}")
        check = engines.sample_check(chosen.name, engine_options(config))
        voice, warning = engines.choose_voice(chosen.info, config.engine.voice, config.paths.voices, check)
        find("voice", warning or voice.name, ok=warning is None)
    words = config.paths.pronunciations
    try:
        says = f"{len(planning.load_lexicon(words))} words in {words}" if words.exists() else f"none ({words})"
        find("pronunciations", says)
    except SpeeddError as error:
        find("pronunciations", str(error), ok=False)
    if StateDirectory(config.paths.state).ledger.exists():
        with open_ledger(config) as ledger:
            find("ledger", f"{len(ledger.jobs.all())} jobs")
    return {"ok": all(finding["ok"] for finding in findings), "findings": findings}


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _writable(path: Path) -> tuple[bool, str]:
    place = _existing(path)
    if not place.is_dir():
        return False, f"{place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return False, f"{place} cannot be written to by this user"
    return True, str(path) if place == path else f"{path} will be made"
