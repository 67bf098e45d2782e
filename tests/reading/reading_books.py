"""What tests look at in a book."""

from speedd.model import Book


def titles(book: Book) -> list[str]:
    return [chapter.title for chapter in book.chapters]


def texts(book: Book, chapter: int = 0) -> list[str]:
    return [paragraph.text for paragraph in book.chapters[chapter].paragraphs]


def words(book: Book) -> list[int]:
    return [sum(len(text.split()) for text in texts(book, at)) for at in range(len(book.chapters))]


def skipped(book: Book) -> list[tuple[str, int]]:
    return [(part.reason, part.words) for part in book.skipped]
