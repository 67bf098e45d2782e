"""Cut a `Book` into `Chunk`s, or read the chunks that a chunk JSON holds."""

from speedd.planning.chunk_json import read_chunk_json, voice_from_log, write_chunk_json
from speedd.planning.lexicon import Lexicon, load_lexicon
from speedd.planning.planner import plan_book
from speedd.planning.sentences import split_sentences
from speedd.planning.styling import style_for

__all__ = [
    "Lexicon",
    "load_lexicon",
    "plan_book",
    "read_chunk_json",
    "split_sentences",
    "style_for",
    "voice_from_log",
    "write_chunk_json",
]
