"""The commands of `nst`, one file each; `jobs.cli` registers them."""
