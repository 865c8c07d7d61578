"""The self-test: quick checks, and a run that is broken on purpose."""
