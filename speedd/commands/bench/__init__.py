"""How fast is this machine, and what does speedd add to or take from a naive loop? Nothing is imported here.

`contest` measures, `report` tells; `naive` and `whole` are the programs that run against each other, each in a process
of its own; `material` is what they read; `coders` listens to the AAC coders; `machine` looks at processes.
"""
