"""From a source to its plan, in this process: its settings, engine, language, pronunciations and voice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from speedd import engines
from speedd.common.languages import primary_subtag
from speedd.config import (
    BookSettings,
    Config,
    SpeechSettings,
    describe_faults,
    engine_options,
    merge,
    with_book_settings,
)
from speedd.engines.base import EngineInfo
from speedd.errors import ConfigError, EngineError, InputError, VoiceError
from speedd.model import Book, Cover, Job, Metadata, Plan, Role, Skipped, Voice
from speedd.pipeline.run_context import NO_REQUEST, NarrationRequest

if TYPE_CHECKING:
    from speedd.planning import Lexicon

SETTINGS_MAX_BYTES = 256 * 1024
_CORRECT_IT = "Correct it and drop the book again."
_CORRECT_SETTINGS = "Correct the settings beside the book and drop it again."


@dataclass(slots=True)
class Prepared:
    """A source that is read. Its plan is made while its chunks are iterated."""

    plan: Plan
    engine: str
    engine_why: str
    voice: Voice
    config: Config
    cover: Cover | None = None
    skipped: tuple[Skipped, ...] = ()
    warnings: list[str] = field(default_factory=list)


def read_and_plan(job: Job, config: Config, request: NarrationRequest = NO_REQUEST) -> Prepared:
    """Read a source and begin its plan, in this process.

    Args:
        job: the source.
        config: what holds for all books.
        request: what the command line asks for. The chapters in it are ignored.

    Raises:
        InputError: if it cannot be narrated.
        EngineError: if the engine it asks for cannot run here.
        UsageError: if the voice that must speak cannot.
    """
    # Imported here because the parsers are large and the main process only starts the child.
    from speedd import planning, reading  # noqa: PLC0415

    beside = reading.read_beside(job)
    settings, warnings = _settings(job, beside.wishes)
    try:
        config = with_book_settings(config, settings, pinned=request.pinned)
    except ConfigError as error:
        raise InputError(error.message, hint=_CORRECT_SETTINGS) from error
    speech = config.speech
    chosen = _chosen(config, settings)
    if request.strict_voice:  # before a long book is read
        _named_voice(config, chosen)
    book = None
    if job.part(Role.BOOK):
        book = reading.read(
            job, front_back_matter=speech.front_back_matter, notes=speech.notes, pictures=speech.pictures
        )
        book = replace(book, metadata=_overridden(book.metadata, settings))
        warnings += book.warnings
    else:
        warnings += beside.warnings
    chunk_json = job.part(Role.CHUNKS)
    lexicon, doubts = _lexicon(job, config, settings, book)
    warnings += doubts

    def known(metadata: Metadata, sample: str) -> Metadata:
        metadata = _overridden(metadata, settings)
        return metadata if metadata.language else replace(metadata, language=reading.detect(sample))

    def planned(info: EngineInfo) -> Plan:
        speaks = frozenset(info.speaks)
        if chunk_json:
            return planning.read_chunk_json(
                chunk_json.path,
                book=book,
                name=job.name,
                limits=info.limits,
                speech=speech,
                known=beside.metadata,
                amend=known,
                speaks=speaks,
                style_fields=info.style_fields,
                pronunciations=lexicon,
            )
        if book is None:
            raise InputError("There is no book and no chunk JSON in it.")
        return planning.plan_book(
            book,
            limits=info.limits,
            speech=speech,
            skips_asked_here="skip" in settings.speech and "skip" not in request.pinned.get("speech", {}),
            speaks=speaks,
            pronunciations=lexicon,
        )

    plan = planned(chosen.info)
    fitting = _speaking(chosen, plan.metadata.language, config)
    if fitting is not chosen:
        chosen, plan = fitting, planned(fitting.info)
    warnings += plan.warnings
    warnings += lexicon.warnings(frozenset(chosen.info.speaks))
    if request.strict_voice:
        voice, doubts = _named_voice(config, chosen), []
    else:
        voice, doubts = _voice(job, config, settings, plan, chosen, request.pinned)
    return Prepared(
        plan=plan,
        engine=chosen.name,
        engine_why=chosen.why,
        voice=voice,
        config=config,
        cover=book.cover if book else beside.cover,
        skipped=(*book.skipped, *plan.skipped) if book and not chunk_json else (),  # a chunk JSON is read to the letter
        warnings=[*warnings, *doubts],
    )


# --- settings --------------------------------------------------------------------------------------------------------


def read_book_settings(job: Job) -> BookSettings:
    """Read a book's own settings. The defaults if it has none.

    Raises:
        InputError: naming every fault.
    """
    import tomllib  # noqa: PLC0415 - only where a book brings settings

    from pydantic import ValidationError  # noqa: PLC0415

    part = job.part(Role.SETTINGS)
    if part is None:
        return BookSettings()
    if part.size_bytes > SETTINGS_MAX_BYTES:
        raise InputError(f"{part.name} is too large for settings ({part.size_bytes} bytes).", hint=_CORRECT_IT)
    try:
        return BookSettings.model_validate(tomllib.loads(part.path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{part.name} is no TOML: {error}.", hint=_CORRECT_IT) from error
    except ValidationError as error:
        raise InputError(describe_faults(error, part.name), hint=_CORRECT_IT) from error
    except ValueError as error:  # the parser lets this one of int() through
        raise InputError(
            f"{part.name} holds a number of thousands of digits, which no setting takes.", hint=_CORRECT_IT
        ) from error


def _settings(job: Job, wishes: Mapping[str, str]) -> tuple[BookSettings, list[str]]:
    """The book's settings over those of its nfo, and a warning for each of the nfo's that cannot be used."""
    from pydantic import ValidationError  # noqa: PLC0415

    own = read_book_settings(job)
    asked: dict[str, Any] = {}
    warnings = []
    for wish, value in wishes.items():
        try:
            asked = merge(asked, _as_setting(wish, value))
        except (ValidationError, ValueError):
            nfo = job.part(Role.NFO)
            warnings.append(f"{nfo.name if nfo else 'The nfo'}: {wish} = {value[:60]} is not used; there is no such.")
    return BookSettings.model_validate(merge(asked, own.model_dump(exclude_unset=True))), warnings


def _as_setting(wish: str, value: str) -> dict[str, Any]:
    if wish in ("engine", "voice"):
        section = {"engine": {"name": value.lower()} if wish == "engine" else {"voice": value}}
        BookSettings.model_validate(section)
        return section
    asked: Any = value
    if wish == "speed":
        asked = float(value.lower().rstrip("x× "))
    elif wish == "skip" and ";" not in value:
        asked = value.replace(",", ";")
    SpeechSettings.model_validate({wish: asked})
    return {"speech": {wish: asked}}


def _overridden(metadata: Metadata, settings: BookSettings) -> Metadata:
    from speedd import reading  # noqa: PLC0415

    given = settings.book.model_dump(exclude_none=True)
    for one, many in (("author", "authors"), ("narrator", "narrators"), ("genre", "genres")):
        if one in given:
            names = given.pop(one).split(";" if one == "author" else ",")
            given[many] = tuple(filter(None, (name.strip() for name in names)))
    if language := given.get("language"):
        given["language"] = reading.normal_tag(language) or language
    return replace(metadata, **given)


# --- pronunciations --------------------------------------------------------------------------------------------------


def _lexicon(job: Job, config: Config, settings: BookSettings, book: Book | None) -> tuple[Lexicon, list[str]]:
    """The pronunciations of the book's settings, over those of all books, over those inside the book.

    Wrong ones are left out with a warning, except in the settings.

    Raises:
        InputError: if those of the settings are wrong.
    """
    from speedd.planning import Lexicon, load_lexicon  # noqa: PLC0415

    part = job.part(Role.SETTINGS)
    try:
        lexicon = Lexicon(settings.pronunciations, origin=part.name if part else "the settings")
    except ConfigError as error:
        raise InputError(str(error), hint=_CORRECT_SETTINGS) from error
    warnings = []
    shared = partial(load_lexicon, config.paths.pronunciations)
    own = partial(Lexicon, book.pronunciations if book else {}, origin="the book")
    for load in (shared, own) if config.paths.pronunciations.exists() else (own,):
        try:
            lexicon = lexicon.over(load())
        except ConfigError as error:
            warnings.append(f"{error.message} They are not used.")
    return lexicon, warnings


# --- engine and language ---------------------------------------------------------------------------------------------


def _chosen(config: Config, settings: BookSettings) -> engines.Chosen:
    try:
        return engines.choose(config.engine.name, engine_options(config))
    except EngineError as error:
        if settings.engine.name:
            raise InputError(
                f"The book asks for an engine that is not here. {error.message}", hint=error.hint
            ) from error
        raise


def _speaking(chosen: engines.Chosen, language: str, config: Config) -> engines.Chosen:
    """Return the chosen engine if it speaks the language. With ``auto`` return one that does.

    Raises:
        InputError: if there is none, naming those that speak it.
    """
    primary = primary_subtag(language)
    if not primary or primary in chosen.info.languages:
        return chosen
    others = engines.speaking(primary, engine_options(config))
    if others and config.engine.name == engines.AUTO:
        name, info = next(iter(others.items()))
        return engines.Chosen(name, info, f"{name}, because it speaks {primary} and {chosen.name} does not")
    instead = "No engine that can run here speaks it."
    if others:
        first, *_ = others
        instead = f'{", ".join(others)} does: [engine] name = "{first}" in a settings file beside the book asks for it.'
    raise InputError(
        f"The book is in the language “{language}”, and the engine {chosen.name} speaks only"
        f" {', '.join(chosen.info.languages)}. {instead}",
        hint='If the language is wrong, say so in a settings file beside the book: [book] language = "en".',
    )


def _named_voice(config: Config, chosen: engines.Chosen) -> Voice:
    check = engines.sample_check(chosen.name, engine_options(config))
    return engines.named_voice(chosen.info, config.engine.voice, config.paths.voices, check)


def _voice(
    job: Job, config: Config, settings: BookSettings, plan: Plan, chosen: engines.Chosen, pinned: Mapping[str, Any]
) -> tuple[Voice, list[str]]:
    """The voice that speaks, and warnings about it."""
    info = chosen.info
    check = engines.sample_check(chosen.name, engine_options(config))
    sample = job.part(Role.VOICE)
    doubts = []
    if sample and not info.clones_voices:
        doubts.append(f"The voice sample {sample.name} is not used: {info.name} does not clone voices.")
    elif sample and not settings.engine.voice:
        try:
            check(sample.path)
            return Voice(sample.name, sample.digest, sample.path), []
        except VoiceError as error:
            doubts.append(f"{error} Another voice speaks instead.")
    wanted = _wanted_voice(job, config, settings, plan, pinned)
    voice, doubt = engines.choose_voice(info, wanted, config.paths.voices, check)
    return voice, [*doubts, doubt] if doubt else doubts


def _wanted_voice(job: Job, config: Config, settings: BookSettings, plan: Plan, pinned: Mapping[str, Any]) -> str:
    from speedd import planning  # noqa: PLC0415

    if "voice" in pinned.get("engine", {}) or settings.engine.voice:
        return config.engine.voice
    logged = (planning.voice_from_log(part.path) for part in job.parts if part.role is Role.LOG)
    return plan.voice or next(filter(None, logged), "") or config.engine.voice
