"""Read a source into a `Book`."""
