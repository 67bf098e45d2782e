"""The outbox: lay out and publish a finished audiobook, as audiobook servers want it.

`names` and `layout` say where things go, `cover`, `metadata`, `captions` and `runlog` make what lies beside the audio,
`publishing` puts it in place.
"""
