"""Reading: a source becomes a `Book` of chapters in reading order, with what is known of it.

The way: `reader` joins what is known, and `formats` picks the files and what reads them. Each format becomes `Block`s:
EPUB, HTML, DOCX, FictionBook and Markdown by way of `html.page`, PDF by way of `pdf.layout`, plain text from its lines.
`structure.contents` and `structure.division` say where chapters begin, `structure.outline` and `structure.headings` cut
there, and `structure.manuscript` decides what is read out. Everything that comes in is hostile until parsed.
"""

from speedd.reading.beside import read_beside
from speedd.reading.language import detect, normal_tag
from speedd.reading.reader import read

__all__ = ["detect", "normal_tag", "read", "read_beside"]
