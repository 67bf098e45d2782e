"""Cut a `Book` into `Chunk`s."""
