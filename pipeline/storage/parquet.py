"""Parquet files that the thread that reads them decodes by itself."""

from typing import TYPE_CHECKING, Any

from pipeline.storage.ranged_file import RangedFile

if TYPE_CHECKING:
    import pyarrow.parquet as pq


def parquet_file(source: bytes | RangedFile, **options: Any) -> "pq.ParquetFile":
    """Return an opened Parquet file of which Arrow's own threads decode nothing, if it is read with use_threads=False.

    A thread of Arrow's that gives bytes back to Python while the interpreter ends makes the process abort: a command
    that reads a small file and ends would do so now and then on a busy machine.

    Args:
        source: bytes of the file, or the file in storage.
        **options: of pyarrow.parquet.ParquetFile.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source, **options)
    file.reader.set_use_threads(False)  # which iter_batches(use_threads=False) leaves as it is
    return file
