"""Run utterances through engine workers.

`base` is the executor as its callers see it, `protocol` what its two halves tell each other. `pool` is the half in the
main process, `worker` the half in each worker process; neither imports the other. `scheduler` and `takes` serve both.
"""
