"""Counts in words: a number with its noun or verb in the singular or the plural."""


def counted(count: int, word: str) -> str:
    """Return a count with its noun: 1 row, 2 rows, 1,000 batches."""
    return f"{count:,} {word}" + ("" if count == 1 else "es" if word.endswith("ch") else "s")


def doing(count: int, verb: str) -> str:
    """Return a count with what so many do: 1 fails, 2 fail."""
    return f"{count:,} {verb}" + ("s" if count == 1 else "")
