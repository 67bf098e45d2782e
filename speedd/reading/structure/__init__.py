"""What every format shares: blocks of text become sections, chapters and a book."""
