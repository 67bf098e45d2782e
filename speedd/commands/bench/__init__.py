"""How fast is this machine, and what does speedd add to or take from a naive loop? Nothing is imported here.

`contest` measures, `report` tells; `naive` and `whole` are the programs that run against each other, each in a process
of its own; `workers` is the executor alone; `material` is what they read; `machine` looks at processes.
"""
