"""Columns that stand in the names of folders, such as `size=512/`, as Spark, Hive and Arrow write large tables."""

import dataclasses
import urllib.parse
from collections.abc import Iterator, Mapping

from pipeline.manifest.items import Header, Item, Once, Record
from pipeline.manifest.row import RowProblem, shown

_NOTHING = "__HIVE_DEFAULT_PARTITION__"
"""What stands in the name of a folder for no value."""


def partition_of(file: str, source: str) -> dict[str, str]:
    """Return the columns that the folders between a source and one of its files give, by name.

    Args:
        file: URI of the file.
        source: the folder that was given.
    """
    given = set(source.split("/"))
    pairs = [part.partition("=") for part in file.split("/")[:-1] if part not in given]
    named = {name: "" if value == _NOTHING else value for name, mark, value in pairs if name and mark}
    return {urllib.parse.unquote(name): urllib.parse.unquote(value) for name, value in named.items()}


def with_partition(file: str, items: Iterator[Item], partition: Mapping[str, str]) -> Iterator[Item]:
    """Yield what a file holds, with the columns that its folders give in each row.

    Args:
        file: URI of the file.
        items: that it holds.
        partition: columns of its folders, all of them known ones.
    """
    first = True
    for item in items:
        if isinstance(item, Record):
            is_blank = all(cell in (None, "") for cell in item.cells.values())
            yield item if is_blank else Record(item.number, {**item.cells, **partition})
            continue
        if isinstance(item, Header):
            for name in [name for name in partition if name in item.names]:
                expected = (
                    f"this column in the file or in the name of its folder, {name}={partition[name]}, not in both"
                )
                if not item.is_repeated:
                    yield Once(RowProblem(file, item.number, name, "", expected), ("folder", name))
            item = dataclasses.replace(item, names=(*item.names, *(partition if first else ())))
            first = False
        yield item


def unknown_folder(file: str, name: str, value: str) -> RowProblem:
    """Return the problem of a folder that gives a column which no manifest has."""
    expected = "a known column in the name of a folder, NAME=VALUE: rename the folder, or give its files by name"
    return RowProblem(file, None, None, shown(f"{name}={value}"), expected)
