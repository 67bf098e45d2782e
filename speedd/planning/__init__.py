"""Cut a `Book` into `Chunk`s, or read the chunks that a chunk JSON holds."""

from speedd.planning.planner import plan_book

__all__ = ["plan_book"]
