"""Checks that what a run needs is there and works, by using it: encoder, storage, cluster, and one row."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.pictures import draw
from pipeline import images, storage
from pipeline.cluster import connect, pool_on_cluster
from pipeline.encoder import load_encoder
from pipeline.flow import run
from pipeline.options import Resources, RunOptions
from pipeline.outputs import read_results
from pipeline.words import counted


@dataclass(frozen=True)
class Finding:
    """The outcome of a check.

    Attributes:
        check: its name.
        ok: whether it succeeded.
        found: what there is, or what went wrong.
    """

    check: str
    ok: bool
    found: str


def findings(home: str, *, address: str | None, weights: str) -> Iterator[Finding]:
    """Run one check after the other and yield their outcomes; one that fails does not stop the next.

    Args:
        home: URI of an empty scratch folder.
        address: of a Ray cluster; None: one that is started here.
        weights: name, path or URI of the encoder's weights.
    """
    checks: dict[str, Callable[[], str]] = {
        "encoder": lambda: _encoder(weights),
        "storage": lambda: _storage(home),
        "cluster": lambda: _cluster(address),
        "one row": lambda: _row(home, weights),
    }
    for name, check in checks.items():
        try:
            yield Finding(name, True, check())
        except Exception as error:  # whatever goes wrong is the outcome of the check
            yield Finding(name, False, f"{type(error).__name__}: {error}")


def _encoder(weights: str) -> str:
    """Load the encoder, and return its name and checksum."""
    loaded = load_encoder(weights)
    return f"{loaded.name}, SHA-256 {loaded.sha256[:16]}…"


def _storage(home: str) -> str:
    """Use every operation of storage that a run uses, and return what was checked."""
    uri, data = storage.join(home, "probe", uuid.uuid4().hex), b"nst" * 10_000
    if not storage.write_if(uri, data, replaces=None) or storage.write_if(uri, data, replaces=None):
        raise ValueError(f"{home} does not keep what is there from being written anew: two runs might share an output")
    storage.write_bytes(uri, data[::-1])
    if storage.read_bytes(uri) != data[::-1] or storage.read_bytes(uri, start=1, end=4) != data[::-1][1:4]:
        raise ValueError(f"{uri} is not what was written")
    if uri.rpartition("/")[2] not in {name.rpartition("/")[2] for name in storage.list_files(storage.parent(uri))}:
        raise ValueError(f"{uri} was written and is not listed")
    storage.identity(uri)
    storage.remove(uri)
    return f"{home} can be written, read, listed and deleted; only one of two writers makes a file"


def _cluster(address: str | None) -> str:
    """Connect to a cluster, and return what actors a run would have there."""
    connect(address)
    pool = pool_on_cluster()
    threads = f"{counted(pool.threads, 'thread')} each" if pool.threads else "as many threads as torch takes"
    each = f"{pool.num_gpus:g} GPU each" if pool.num_gpus else threads
    memory = "unknown" if pool.memory is None else f"{pool.memory / 1e9:.1f} GB"
    return f"{counted(pool.count, 'actor')}, {each}, memory for each {memory}"


def _row(home: str, weights: str) -> str:
    """Run one small row, and return where it was computed, its loss and the time it took."""
    names = {"content": "lake", "style": "night"}
    for name in names.values():
        storage.write_bytes(storage.join(home, f"{name}.png"), images.encode(draw(name, 128), metadata={}))
    manifest, output = storage.join(home, "rows.csv"), storage.join(home, "output")
    storage.write_bytes(manifest, b"content,style\nlake.png,night.png\n")
    defaults = {"size": 128, "iterations": 20, "scales": ""}
    progress = run(
        manifest, RunOptions(output=output, weights=weights, resources=Resources(num_actors=1)), defaults=defaults
    )
    (row,) = read_results(output).to_pylist()
    if progress.counts["ok"] != 1:
        raise ValueError(f"the row is {row['status']}: {row['error']}")
    height, width, _ = images.decode(storage.read_bytes(row["output"])).shape
    start = row["curve"]["total"][0]
    if not row["total_loss"] < start:
        raise ValueError(f"the loss went from {start:.4g} to {row['total_loss']:.4g}")
    where = f"on {row['device']} of {row['host']}, in {row['precision']}"
    took = sum(row["seconds"].values())
    return f"{width} x {height} px {where}: loss {start:.4g} → {row['total_loss']:.4g} in {took:.1f} s"
