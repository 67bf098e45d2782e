"""HTML, and the pages that EPUB, DOCX, FictionBook and Markdown become."""
