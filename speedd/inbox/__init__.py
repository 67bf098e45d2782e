"""Notice, settle and accept what is dropped: path → `Job` with a private copy in the spool.

`names` says what a file is from its name alone, `listing` reads the inbox, `grouping` makes `Candidate`s of what was
read, `scanner` waits until they have settled, `spool` takes the private copy, and `ends` moves the source away when it
is done with. `doorbell` only rings so that the next scan comes sooner; `mounts` knows where nobody rings.
"""
