"""Groups of commands beside those of a run, one file each; `jobs.cli` adds them to `nst`."""
