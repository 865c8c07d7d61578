"""Injected faults, and what becomes of every row: the table that `nst selftest --chaos` prints and the tests check.

`scenario` makes small runs whose outcome is known beforehand, and compares what a run left with that. `faults` injects
a fault into each, with the help of `processes` (which processes work on which rows, and how one is ended), `driver` (a
run in a process of its own) and `hooks` (inside the workers).
"""
