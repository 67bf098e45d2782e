"""Which formats of books are read."""

from __future__ import annotations

from typing import Final

READABLE: Final = ("epub", "fb2", "docx", "xhtml", "html", "htm", "md", "markdown", "txt", "pdf", "zip")
"""By suffix, first what says most about a book's structure: where a book lies twice, that one is read."""
