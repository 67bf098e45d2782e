"""Notice, settle and accept what is dropped: path → `Job` with a private copy in the spool."""
