"""The commands of `nst`, one file each; `jobs.cli` says which there are and in what order its help lists them."""

from jobs.commands.lazy import Place, group_of, unfolded

__all__ = ["Place", "group_of", "unfolded"]
