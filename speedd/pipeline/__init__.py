"""The way of one book, from a source in the spool to an audiobook in the outbox. Begin with `narrator`."""
