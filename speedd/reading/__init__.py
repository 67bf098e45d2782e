"""Reading: a source becomes a `Book` of chapters in reading order, with what is known of it.

The way: `reader` joins what is known, `formats` picks the files and what reads them. Each format becomes `Block`s:
XHTML, HTML, DOCX and FictionBook by way of a `page`, PDF by way of its `pdf_layout`, text and Markdown from their
lines. `contents` and `division` say where chapters begin, `outline` and `heads` cut there, and `manuscript` decides
what is read out. Everything that comes in is hostile until parsed.
"""

from speedd.reading.beside import read_beside
from speedd.reading.language import detect, normal_tag
from speedd.reading.reader import read

__all__ = ["detect", "normal_tag", "read", "read_beside"]
