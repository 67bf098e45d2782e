"""How fast is Chatterbox here, part by part, and against stock? Nothing is imported here.

`contest` measures, `report` tells. `t3`, `s3gen`, `engine` and `long` are the programs that do it, each in a process of
its own, so that its memory is its own: a `program` that obeys an `order`.
"""
