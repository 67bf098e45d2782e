"""Find who speaks when: the direct speech in a book's chunks, and where the speaker seems to change.

Read in order, chunk by chunk, so that a plan read back from its JSON is marked as it was. Known are “double” and
‘single’ quotation marks, curly or straight, «guillemets» and „low marks“, speech that begins a paragraph with a dash,
and quotations over several paragraphs, each of which opens anew and only the last of which closes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from speedd.model import ENDS_OF_PARAGRAPHS, Boundary
from speedd.planning.sentences import SPEECH_VERBS

_CLOSERS = {"“": "”", "‘": "’", "«": "»", "»": "«", "„": "“”", '"': '"', "'": "'"}
_MARK = re.compile("[“”‘’«»„\"']")
_SINGLE = "‘’'"
_DASH = "—"
_BEGINS_WITH_DASH = re.compile(r"\s*[—―–]\s?(?=\w)")
# The narrator comes between, ", said she" or " — сказал он", and goes again.
_ASIDE = re.compile(rf"(?<=[,!?.…])\s+(?:(?:{SPEECH_VERBS})\b|[—–]\s+(?=[a-zà-öø-ÿа-яё]))")
_RESUMES = re.compile(r"[.,]\s+[—–]\s?(?=\w)|[.!?…]\s+(?=[A-Z])")
# An apostrophe that stands where a quotation mark could.
_ELISION = re.compile(r"(?:[Tt]is|[Tt]was|[Tt]were|[Tt]will|[Tt]would|em|til|cause|bout|appen|alf|ave|im|er|un|n)\b")
_ELIDED = re.compile(r"\b(?:o|th|an|ol|\w+in|\w+s)$", re.IGNORECASE)
_GOES_ON = re.compile(r" [a-z]")
_SURE_CLOSE = re.compile(r"[.,!?…—–-][’'](?!\w)|(?P<opens> [‘'](?=\w))")
_BEFORE_SPEECH = re.compile(rf"(?:^|[.,:;!?…—–―)\]”’»\"'-]|(?<![\w-])(?:{SPEECH_VERBS}))\s*[*_(\[]*$")
_ENDS_SPEECH = re.compile(r"[.,!?…;—–-][*_]*$")
_NAME = r"I|[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*"
_TAG = re.compile(rf"\b(?:(?:{SPEECH_VERBS}) (?P<after>{_NAME})|(?P<before>{_NAME}) (?:\w+ly )?(?:{SPEECH_VERBS}))\b")
_PRONOUNS = frozenset(("He", "She", "They", "We", "You", "It", "Who"))
_LOOK = 24  # characters before an opening mark that tell speech from a word in quotes
_FAR = 2000  # characters in which a single quotation mark is looked for that surely closes
_FEWEST_WORDS = 2  # fewer, in mid-sentence, are a word that is quoted


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a chunk's text that somebody in the book says."""

    start: int
    """Where it starts in the text, its quotation mark or dash included."""
    stop: int
    """Where it has ended, its quotation mark included."""
    opens: bool = True
    """False if it goes on from the chunk before."""
    closes: bool = True
    """False if it goes on in the next chunk."""
    new_speaker: bool = False
    """Whether somebody else seems to speak than the last time."""


class _Span(NamedTuple):
    start: int
    stop: int
    opens: bool
    closes: bool


class Dialogue:
    """Marks one chunk after the other, in the order of the book."""

    def __init__(self) -> None:
        self._open = ""
        """The mark of a quotation that has begun and not ended; a dash where it is speech without marks."""
        self._in_paragraph = False
        self._has_spoken = False
        """Whether somebody has spoken in this paragraph."""
        self._speaker = ""
        """The name that stood by the last speech, if one did."""

    def next(self, text: str, boundary: Boundary) -> tuple[Quote, ...]:
        """Return the direct speech in the next chunk.

        The speaker seems to change with the first speech of a paragraph, unless a quotation goes on from the paragraph
        before, or the same name stands by both.

        Args:
            text: the text of record.
            boundary: what follows it: tells where paragraphs end.
        """
        if boundary is Boundary.CHAPTER_START and not self._in_paragraph:
            return ()  # a heading: who tells a story in one chapter may go on in the next
        ends_paragraph = boundary in ENDS_OF_PARAGRAPHS
        goes_on = False
        if not self._in_paragraph:
            goes_on = bool(self._open) and text.lstrip().startswith(self._open)
            self._has_spoken = goes_on
            self._open = self._open if goes_on else ""
            if not goes_on and _BEGINS_WITH_DASH.match(text):
                self._open = _DASH
        if self._open == _DASH:
            dashed = _dashed(text, begins=not self._in_paragraph, ends=ends_paragraph)
            spans = [span for span in dashed if span.stop > span.start]
            self._open = "" if ends_paragraph else _DASH
        else:
            spans, self._open = _quoted(text, self._open, skip_mark=goes_on)
        self._in_paragraph = not ends_paragraph
        return tuple(self._quotes(text, spans))

    def _quotes(self, text: str, spans: list[_Span]) -> Iterator[Quote]:
        name = _named(text) if spans else ""
        for span in spans:
            changes = span.opens and not self._has_spoken and not (name and name == self._speaker)
            if changes or name:
                self._speaker = name
            self._has_spoken = True
            yield Quote(*span, new_speaker=changes)


def _quoted(text: str, mark: str, *, skip_mark: bool) -> tuple[list[_Span], str]:
    """The speech between quotation marks, and the mark of what is left open at the end.

    Args:
        text: of the chunk.
        mark: that of a quotation that goes on from before, else empty.
        skip_mark: whether its mark stands once more at the beginning.
    """
    spans: list[_Span] = []
    start = len(text) - len(text.lstrip())
    opens = False
    for found in _MARK.finditer(text, start + (1 if skip_mark else 0)):
        at = found.start()
        if not mark:
            if _may_open(text, at):
                mark, start, opens = found[0], at, True
        elif found[0] in _CLOSERS[mark] and _closes(text, at):
            if not opens or _is_speech(text, start, at):
                spans.append(_Span(start, at + 1, opens, closes=True))
            mark = ""
        elif found[0] == mark and mark in '“«"' and _may_open(text, at):
            # Somebody forgot to close the last one.
            spans.append(_Span(start, len(text[:at].rstrip()), opens, closes=True))
            start, opens = at, True
    if mark and opens and not _is_speech(text, start, len(text)):
        mark = ""
    if mark:
        spans.append(_Span(start, len(text), opens, closes=False))
    return [span for span in spans if span.stop > span.start], mark


def _may_open(text: str, at: int) -> bool:
    mark, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if mark in "“„«":
        return bool(after.strip()) or mark == "«"
    if mark in "”’" or not after.strip() or before.isalnum() or (before in ".,!?…" and before):
        return False
    if mark in _SINGLE and (elision := _ELISION.match(text, at + 1)):
        # “‘Tis true,’ said he” opens; “so ‘tis” does not.
        return elision[0][0].isupper() and _sure_close_after(text, at + 1)
    return True


def _closes(text: str, at: int) -> bool:
    mark, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if mark == '"':
        return not ((before.isspace() or not before) and after.isalnum())
    if mark not in _SINGLE:
        return True
    if after.isalnum():
        return False  # don’t
    if not before.isalnum():
        return bool(before.strip())
    # The boys’ boat, goin’ home, o’ the sea; or else a quotation that ends in a word.
    if _ELIDED.search(text, max(0, at - _LOOK), at) and _GOES_ON.match(text, at + 1):
        return False
    return not _sure_close_after(text, at + 1)


def _sure_close_after(text: str, at: int) -> bool:
    """Whether a single quotation mark that surely closes comes before another opens."""
    found = _SURE_CLOSE.search(text, at, at + _FAR)
    return found is not None and found["opens"] is None


def _is_speech(text: str, start: int, stop: int) -> bool:
    """Whether a quotation is something said, not a word or a title in quotes."""
    if _BEFORE_SPEECH.search(text[max(0, start - _LOOK) : start]):
        return True
    inner = text[start + 1 : stop]
    return len(inner.split()) >= _FEWEST_WORDS and (stop == len(text) or _ENDS_SPEECH.search(inner) is not None)


def _dashed(text: str, *, begins: bool, ends: bool) -> Iterator[_Span]:
    """The speech in a chunk of a paragraph that began with a dash."""
    at = len(text) - len(text.lstrip())
    opens = begins
    while aside := _ASIDE.search(text, at):
        yield _Span(at, aside.start(), opens, closes=True)
        resumed = _RESUMES.search(text, aside.end())
        if resumed is None:
            return
        at = resumed.start() + 1
        at += len(text[at:]) - len(text[at:].lstrip())
        opens = True
    yield _Span(at, len(text), opens, closes=ends)


def _named(text: str) -> str:
    """Who speaks, where a name (or "I") stands by the speech."""
    tag = _TAG.search(text)
    name = (tag["after"] or tag["before"]) if tag else ""
    return "" if name in _PRONOUNS else name
