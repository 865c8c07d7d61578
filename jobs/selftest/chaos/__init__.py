"""Faults on purpose, and what becomes of every row: the table that `nst selftest --chaos` prints and the tests assert.

`stage` has plays: small runs whose outcome is known beforehand. `faults` spoils them, with the help of `victims` (who
is at work where), `driver` (a run in a process of its own) and `hooks` (inside the workers).
"""
