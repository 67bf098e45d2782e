"""What every format's text goes through once it is cut: notes written in brackets, stray marks of notes."""

from __future__ import annotations

from dataclasses import replace

from speedd.model import ParagraphKind
from speedd.reading.structure.manuscript import Block, Manuscript
from speedd.reading.structure.notes import attach_written_notes, without_stray_marks


def tidied(manuscript: Manuscript) -> Manuscript:
    """Find the notes that a text holds without links, and take the marks of notes out of its paragraphs."""
    blocks = [block for section in manuscript.sections for block in section.blocks]
    settled, written = attach_written_notes(blocks)
    tidy = iter([_tidy(block) for block in settled])
    sections = tuple(
        replace(section, blocks=tuple(next(tidy) for _ in section.blocks)) for section in manuscript.sections
    )
    return replace(manuscript, sections=sections, notes={**manuscript.notes, **written})


def _tidy(block: Block) -> Block:
    if block.kind is not ParagraphKind.TEXT or block.skip_reason:
        return block
    text = without_stray_marks(block.text)
    return block if text == block.text else replace(block, text=text)
