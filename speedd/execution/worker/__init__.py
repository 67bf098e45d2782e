"""The half of the executor in a worker process: one warm engine, and what it speaks goes to disk."""
