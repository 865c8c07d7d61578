"""The known name that a misspelt one probably means, by its letters in order."""

import difflib
from collections.abc import Collection, Mapping
from typing import TypeVar

Key = TypeVar("Key")

SHOWN = 3
"""Names that are suggested at most."""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the known names that are nearest to a name, as a question; empty if none is near.

    A name may be meant as a whole or by one of its words: `wieght` is near to each of the names that have `weight`.

    Args:
        name: as somebody wrote it.
        known: what there is, the usual ones first.
    """
    written = name[:80].strip().lower()
    near = _nearest(written, {each: each.lower() for each in known})
    if not near and len(written) > 3:
        words = {(each, word): word for each in known for word in each.lower().split("_") if len(word) > 3}
        near = list(dict.fromkeys(each for each, _ in _nearest(written, words)))
    if not near:
        near = difflib.get_close_matches(written, list(known), n=1)
    several = near[:SHOWN]
    return f"did you mean {' or '.join(filter(None, (', '.join(several[:-1]), several[-1])))}?" if several else ""


def known_name(name: str, known: Collection[str], aliases: Collection[str] = ()) -> str:
    """Return what was expected in the place of an unknown name: the known ones that are near, or all that there are.

    Args:
        name: as somebody wrote it.
        known: names that there are.
        aliases: other names, which may be near too.
    """
    close = did_you_mean(name, [*known, *aliases])
    return f"a known name; {close}" if close else f"one of {', '.join(known)}"


def with_nearest(expected: str, written: object, known: Collection[str]) -> str:
    """Return what was expected, and behind it which of a few known words is near to what somebody wrote, if one is.

    Args:
        expected: in words, those that are known among them.
        written: the value; a text, of words with commas between them too, or a list of words; else nothing is near.
        known: the words that are known.
    """
    words = written.split(",") if isinstance(written, str) else written if isinstance(written, list | tuple) else ()
    unknown = [word for word in words if isinstance(word, str) and word.strip() not in known]
    close = did_you_mean(unknown[0], known) if unknown else ""
    return f"{expected}; {close}" if close else expected


def _nearest(written: str, known: Mapping[Key, str]) -> list[Key]:
    """Return the keys of the texts that need fewest changes to be the one that is written, if few do."""
    most = max(1, len(written) // 4)
    needed = {key: changes(written, text) for key, text in known.items() if abs(len(text) - len(written)) <= most}
    least = min(needed.values(), default=most + 1)
    return [key for key, count in needed.items() if count == least] if least <= most else []


def changes(one: str, other: str) -> int:
    """Return how many letters are to be added, left out, replaced or swapped with the next to make one text another."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
