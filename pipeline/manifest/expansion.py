"""How much a compressed manifest may unpack to, which is looked at before its rows are made."""

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_EXPANSION = 200
"""Times its size to which a compressed manifest may unpack: ten times what lists of pictures come to."""

ALWAYS_UNPACKED = 16 * 2**20
"""Bytes to which any compressed manifest may unpack, however small it is."""

MAX_VALUES = 1000
"""Values that the rows of a Parquet file may have in one column, on average; only lists have more than one."""


def most_unpacked(packed: int) -> int:
    """Return the bytes to which a compressed manifest of so many bytes may unpack."""
    return max(ALWAYS_UNPACKED, MAX_EXPANSION * packed)


def unpacks_to_more(packed: int) -> str:
    """Return what was expected in the place of a compressed manifest of so many bytes that unpacks to too many."""
    return (
        f"a file of {packed:,} bytes to unpack to at most {most_unpacked(packed):,}: give it as CSV or JSON Lines, "
        "not compressed, if it is as it should be"
    )


def parquet_fault(metadata: Any, columns: Collection[str], packed: int) -> str:
    """Return what was expected of a Parquet file whose columns would fill memory; empty where they would not.

    Args:
        metadata: of the file, in which its writer says what it unpacks to.
        columns: that will be read.
        packed: bytes of the file.
    """
    unpacked = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema.partition(".")[0] not in columns:
                continue
            if chunk.num_values > MAX_VALUES * max(1, group.num_rows):
                return f"at most {MAX_VALUES:,} values in a row of column {chunk.path_in_schema}, on average"
            unpacked += chunk.total_uncompressed_size + _POINTER * chunk.num_values
    return unpacks_to_more(packed) if unpacked > most_unpacked(packed) else ""


_POINTER = 8
"""Bytes that each value takes in a row, whatever it is: one that repeats takes next to none in a file."""


def text_paths(table: pq.ParquetFile, columns: Collection[str]) -> list[str]:
    """Return the paths of texts in the given columns of a file, those within lists and structures included."""
    leaves = (table.schema.column(place) for place in range(len(table.schema)))
    return [
        leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.path.partition(".")[0] in columns
    ]


def longest_text(array: pa.Array) -> int:
    """Return the bytes of the longest text in an array, of any type; 0 where it has none."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        texts = pc.binary_length(array.dictionary).take(array.indices)
    elif pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        parts = array.flatten() if pa.types.is_struct(kind) else [array.flatten()]
        return max(map(longest_text, parts), default=0)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        texts = pc.binary_length(array)
    else:
        return 0
    return int(pc.max(texts).as_py() or 0)
