"""The frozen types that pass from stage to stage. They hold facts, know no stage and import nothing heavy.

The way of a book: a source becomes a `Job` of `Part`s; reading makes a `Book` of `Chapter`s; planning makes a `Plan` of
`Chunk`s; each chunk's `Segment`s become `Utterance`s for an engine, which speaks `Take`s; workers store those and hand
back `Rendered` facts; mastering joins them to `Mastered` audio, and the outbox publishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Waveform: TypeAlias = npt.NDArray[np.float32]
    """float32 mono in [-1, 1], shape [n_samples]."""


# --- inbox ---------------------------------------------------------------------------------------------------------


class Role(StrEnum):
    """What a part of a source is for."""

    BOOK = "book"  # the text: .epub, .pdf, .txt, …; several are chapters or the same book in other formats
    CHUNKS = "chunks"  # a chunk JSON
    SETTINGS = "settings"  # per-book settings (TOML)
    COVER = "cover"  # .jpg or .png
    NFO = "nfo"  # book.nfo of the older tools
    OPF = "opf"  # Calibre's metadata.opf
    VOICE = "voice"  # voice.wav
    LOG = "log"  # run.log of the older tools: may name the voice


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a source, copied into the spool."""

    role: Role
    name: str
    """The file's own name as the user gave it, for display and for its suffix."""
    path: Path
    """The private copy."""
    digest: str
    """SHA-256 of the content, hex."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """A source on its way to an audiobook."""

    id: str
    """The first 12 hex digits of the digest."""
    digest: str
    """SHA-256 over the roles and digests of the parts: what the source is known by."""
    name: str
    """The stem of the file or the name of the folder, for people."""
    source: Path
    """Where it lies in the inbox (or where ``narrate`` found it): the book's file or the folder."""
    spool: Path
    """Its private folder."""
    parts: tuple[Part, ...]

    def part(self, role: Role) -> Part | None:
        """Return the first part with this role, if there is one."""
        return next((part for part in self.parts if part.role is role), None)


# --- reading -------------------------------------------------------------------------------------------------------


class ParagraphKind(StrEnum):
    """How a paragraph is treated when it is planned."""

    TEXT = "text"
    HEADING = "heading"  # a heading inside a chapter; the chapter's own title stands in `Chapter.title`
    BREAK = "break"  # a section break such as "* * *": silence, nothing spoken


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of text, white space folded, nothing else changed."""

    text: str
    """A line end in it (``\\n``) parts lines that are heard as lines: verse, an address, the head of a letter."""
    kind: ParagraphKind = ParagraphKind.TEXT


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter in reading order."""

    title: str
    """As a list of chapters shows it: "II", "Chapter One. The Arrival", "Epilogue"."""
    paragraphs: tuple[Paragraph, ...]
    """Without the chapter's own heading."""
    announced: bool = True
    """Whether the title is spoken before the text; False where the title is not in the book (a file name, say)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a book. Empty means unknown."""

    title: str = ""
    subtitle: str = ""
    authors: tuple[str, ...] = ()
    narrators: tuple[str, ...] = ()
    series: str = ""
    series_index: str = ""
    language: str = ""
    """BCP 47, as the source gives it: "en-GB"."""
    publisher: str = ""
    published: str = ""
    """A year or an ISO date."""
    description: str = ""
    genres: tuple[str, ...] = ()
    isbn: str = ""
    asin: str = ""

    @property
    def author(self) -> str:
        """The authors in one line, "Unknown" if there is none."""
        return ", ".join(self.authors) or "Unknown"


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover as it was found."""

    data: bytes = field(repr=False)
    media_type: str
    """``image/jpeg``, ``image/png``, ``image/svg+xml`` …"""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of a book that is not read out, and why."""

    title: str
    reason: str
    words: int


@dataclass(frozen=True, slots=True)
class Book:
    """A source, read."""

    metadata: Metadata
    chapters: tuple[Chapter, ...]
    cover: Cover | None = None
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    pronunciations: Mapping[str, str] = field(default_factory=dict)
    """What the book says of how its words are spoken: by word, a respelling, or IPA between strokes ("/ˈaɪpə/")."""


# --- planning ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How long a text an engine wants, in characters."""

    best_chars: int
    """Length of text per utterance at which it sounds best."""
    max_chars: int
    """Longest text it speaks in one go."""
    min_chars: int = 1
    """Shorter texts are better joined to a neighbour in the same paragraph."""
    one_sentence: bool = False
    """True if an utterance must hold one sentence, because the engine sets its own pauses between sentences."""


class Notation(StrEnum):
    """A kind of writing that is not spoken letter by letter, and that some engines put into words themselves."""

    CARDINALS = "cardinals"  # "7", "1,234", "0.5"
    ORDINALS = "ordinals"  # "21st"
    YEARS = "years"  # "1984", "the 1920s", "the '60s"
    TIMES = "times"  # "9:30", "9 a.m."
    TITLES = "titles"  # "Dr. Jekyll", "Mrs Hale", "St. Paul"
    LETTERS = "letters"  # "J. R. R.", "U.S.A.", "A4"
    PHONEMES = (
        "phonemes"  # "[word](/IPA/)", blanks in the IPA written as "‿": not found in books, made of pronunciations
    )


class Boundary(StrEnum):
    """What stands between a chunk and the next; it sets the silence between them."""

    CHAPTER_START = "chapter_start"
    CHAPTER_END = "chapter_end"
    SECTION_BREAK = "section_break"
    PARAGRAPH_END = "paragraph_end"
    PERIOD = "period"
    QUESTION_MARK = "question_mark"
    EXCLAMATION = "exclamation"
    DASH = "dash"
    COMMA = "comma"
    SEMICOLON = "semicolon"
    COLON = "colon"
    QUOTE_END = "quote_end"
    ELLIPSIS = "ellipsis"
    NONE = "none"


ENDS_OF_PARAGRAPHS = frozenset(
    {Boundary.CHAPTER_START, Boundary.CHAPTER_END, Boundary.SECTION_BREAK, Boundary.PARAGRAPH_END}
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is to be spoken. An engine uses the fields that its `EngineInfo.style_fields` names."""

    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.85
    min_p: float = 0.05
    top_p: float = 1.0
    repetition_penalty: float = 1.2
    speed: float = 1.0
    """1.0 is the voice's own pace, 2.0 twice as fast."""
    top_k: int = 0
    """Of how many of the likeliest tokens one is drawn, 1 for the likeliest itself; 0: as the model does."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a chunk that is spoken in one go, and the silence that follows it inside the chunk.

    A chunk falls into several segments where a pause must be exact: at an inline pause, and at the ends of sentences
    for an engine that wants one sentence at a time. With empty text it is silence alone.
    """

    text: str
    """The spoken form."""
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of planning, of the chunk JSON and of captions. It never crosses a paragraph or a chapter."""

    index: int
    """0-based, dense, in the order of the book."""
    chapter: int
    """0-based index into `Plan.chapters`."""
    text: str
    """The text of record: what the book says."""
    segments: tuple[Segment, ...]
    """What is spoken; empty where there is nothing to speak and the chunk is only its pause."""
    boundary: Boundary = Boundary.NONE
    pause_ms: int = 0
    """Silence after the chunk."""
    sentiment_raw: float = 0.0
    sentiment_compound: float = 0.0
    """Smoothed, in [-1, 1]."""
    style: Style = field(default_factory=Style)
    record: Mapping[str, Any] | None = None
    """The JSON object this chunk came from, if it came from one: unknown keys and original values are written back."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A book cut into chunks. `chunks` is lazy and can be walked once."""

    metadata: Metadata
    chapters: tuple[str, ...]
    """Titles in order; every chunk's `chapter` points into it."""
    chunks: Iterable[Chunk]
    voice: str = ""
    """The voice that the source asks for, empty if it asks for none."""
    header: Mapping[str, Any] | None = None
    """The ``_metadata`` object of the chunk JSON it came from, if it came from one."""
    skipped: tuple[Skipped, ...] = ()
    """Chapters that the settings leave out."""
    warnings: tuple[str, ...] = ()


# --- narrating -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice for an engine: one of its own (no path) or a sample to clone."""

    name: str
    digest: str
    """SHA-256 of the sample file or of the engine's own voice data, hex: part of every take's key."""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """What an engine is asked to speak, complete and picklable."""

    key: str
    """The key of the take it will become: a hash of everything that shapes the audio."""
    text: str
    voice: Voice
    style: Style
    seed: int
    """In [0, 2**63)."""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Word:
    """When a word of a take is spoken."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Take:
    """What an engine spoke for one utterance."""

    key: str
    wave: Waveform
    sample_rate_hz: int
    stop_reason: str = "end"
    """Why the engine stopped: ``end``; ``nothing_to_speak`` (no samples, no fault); or an engine's own word."""
    words: tuple[Word, ...] = ()
    """In order, for an engine that knows."""
    fault: str = ""
    """What the engine knows to be wrong with it, in words for people: it is spoken again with another seed."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An utterance that could not be spoken. A value, so that one chunk's failure does not end the others."""

    key: str
    reason: str
    final: bool = False
    """True if another seed cannot help: the engine does not take the text, or it ended its worker again and again."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A take that a worker stored, seen from outside: facts, no audio."""

    key: str
    samples: int
    sample_rate_hz: int
    peak_dbfs: float
    """Highest sample, -inf for silence."""
    rms_dbfs: float
    """Over the whole take, -inf for silence."""
    finite: bool
    """False if a sample was NaN or infinite; such a take is not written to disk."""
    render_s: float
    """Wall time that the engine took."""
    stop_reason: str
    size_bytes: int
    worker: int
    asked: str = ""
    """The key of the utterance, where `key` is another one because a fallback changed the numerics."""
    fallback: str = ""
    """What of the numerics a fallback changed (``device=cpu, reference_s=3``); empty if they are the engine's own."""
    words: tuple[Word, ...] = ()
    """As `Take.words`."""
    fault: str = ""
    """As `Take.fault`."""

    @property
    def utterance_key(self) -> str:
        """The key of the utterance that this answers."""
        return self.asked or self.key

    @property
    def duration_s(self) -> float:
        """Length of the audio."""
        return self.samples / self.sample_rate_hz
