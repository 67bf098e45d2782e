"""Reading: a source becomes a `Book` of chapters in reading order, with what is known of it.

The way: `reader` picks the part and the format and joins what is known; `epub`, `plain` and `markdown` make a
`manuscript` of sections; `manuscript` decides what is read out. Everything that comes in is hostile until parsed.
"""

from speedd.reading.beside import Beside, read_beside
from speedd.reading.language import detect, normal_tag
from speedd.reading.reader import read

__all__ = ["Beside", "detect", "normal_tag", "read", "read_beside"]
