"""What a run would come to: buckets, batches, memory, work, time and cost, before anything runs."""

import dataclasses
import functools
import heapq
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from nst_kernel import PARAMETERS, StyleParams
from nst_kernel.cost import Saving
from pipeline import storage
from pipeline.cluster import ActorPool, pool_for
from pipeline.encoder import load_encoder, outline_of
from pipeline.manifest import Row, Rows, Source, check_formats, check_originals
from pipeline.options import RunOptions, under_access
from pipeline.outputs import Finished, PassedOver, finished, pair_name
from pipeline.planning import BatchRange, Failure, History, Plan, cost, output_shapes, plan, validated
from pipeline.words import counted, doing

if TYPE_CHECKING:
    from nst_kernel import Vgg19

NAMED = 100
"""Rows that fail at planning of which an estimate has the names."""

SHARED_SETTINGS = tuple(name for name, parameter in PARAMETERS.items() if parameter.graph)
"""Names of what `StyleParams.graph` holds, in its order."""


@dataclass(frozen=True)
class Bucket:
    """Rows of one shape and settings.

    Attributes:
        shape: (height, width) of the outputs.
        settings: shared by its rows, of those that differ between buckets.
        rows: in all.
        styles: distinct style pictures.
        batches: in all.
        rows_per_batch: of the largest.
        memory: bytes that the largest batch takes at its peak.
        saving: how memory is saved such that a row fits.
        evaluations: losses of single rows, at most.
        multiply_adds: of all rows, in convolutions.
    """

    shape: tuple[int, int]
    settings: Mapping[str, object]
    rows: int
    styles: int
    batches: int
    rows_per_batch: int
    memory: float
    saving: Saving
    evaluations: int
    multiply_adds: float


@dataclass(frozen=True)
class Rate:
    """The speed of one actor in multiply-adds per second, and the source of that number."""

    multiply_adds: float
    source: str

    def seconds(self, multiply_adds: float) -> float:
        """Return the seconds that one actor takes for so many multiply-adds; 0 where the rate is not known."""
        return multiply_adds / self.multiply_adds if self.multiply_adds else 0.0


@dataclass(frozen=True)
class Estimate:
    """What a plan comes to.

    Attributes:
        buckets: those with most work first.
        failures: rows that fail at planning, id and why.
        done: rows that need nothing.
        duplicates: rows of the manifest that repeat others.
        actors: that share the work.
        device: what an actor computes on, cpu or gpu.
        memory: bytes that an actor has; None if it is not known.
        rate: of one actor.
        device_seconds: of optimising, over all actors.
        seconds: until the last actor is done, if the others' work is as even as planned.
        remarks: on the parameters of the rows to compute.
        passed_over: files and folders of an archive that are left out.
        names: by id, what the first rows that fail at planning are called among people.
    """

    buckets: tuple[Bucket, ...]
    failures: tuple[tuple[str, Failure], ...]
    done: int
    duplicates: int
    actors: int
    device: str
    memory: float | None
    rate: Rate
    device_seconds: float
    seconds: float
    remarks: tuple[str, ...] = ()
    passed_over: PassedOver = field(default_factory=PassedOver)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows are to be optimised."""
        return sum(bucket.rows for bucket in self.buckets)

    @property
    def batches(self) -> int:
        """How many batches are to be optimised."""
        return sum(bucket.batches for bucket in self.buckets)

    @property
    def evaluations(self) -> int:
        """How many losses of single rows are evaluated at most."""
        return sum(bucket.evaluations for bucket in self.buckets)

    @property
    def multiply_adds(self) -> float:
        """How many multiply-adds the convolutions take, forward and back."""
        return sum(bucket.multiply_adds for bucket in self.buckets)

    def __str__(self) -> str:
        """Return rows, actors and times as a line, then what to know about parameters and the first failures."""
        lines = [f"{self.in_words}, {counted(self.actors, 'actor')} on {self.device}, {self.times}"]
        lines += [f"Note: {remark}." for remark in self.remarks]
        lines += [f"{name} fails at planning: {why}" for name, why in self.why_first(20)]
        return "\n".join(lines)

    def why_first(self, count: int) -> list[tuple[str, str]]:
        """Return what the first rows that fail at planning are called, and why they fail."""
        return [(self.names.get(row_id, row_id), failure.error) for row_id, failure in self.failures[:count]]

    @property
    def in_words(self) -> str:
        """How many rows are to do, in how many batches, and what becomes of the others."""
        batches, buckets = counted(self.batches, "batch"), counted(len(self.buckets), "bucket")
        words = [f"{counted(self.rows, 'row')} to do in {batches} of {buckets}"]
        words += [f"{self.done:,} done before"] if self.done else []
        words += [f"{doing(self.duplicates, 'repeat')} others"] if self.duplicates else []
        words += [f"{doing(len(self.failures), 'fail')} at planning"] if self.failures else []
        return ", ".join(words)

    @property
    def times(self) -> str:
        """How long the run takes at most, and how much time of devices."""
        whole, devices = (str(timedelta(seconds=round(seconds))) for seconds in (self.seconds, self.device_seconds))
        return f"{whole} at most, {devices} of device time"

    def dollars(self, price: float) -> float:
        """Return what the run costs at so many dollars for each device hour."""
        return self.device_seconds / 3600 * price

    def to_json(self) -> dict[str, Any]:
        """Return every figure as JSON types."""
        totals = {name: getattr(self, name) for name in ("rows", "batches", "evaluations", "multiply_adds")}
        return totals | dataclasses.asdict(self) | {"passed_over": self.passed_over.to_json()}


@under_access
def estimate(
    manifest: Source,
    options: RunOptions,
    *,
    defaults: Mapping[str, object] | None = None,
    rate: float | None = None,
) -> Estimate:
    """Return what a run would come to. Nothing is started and nothing written.

    Args:
        manifest: as for `run`.
        options: as for `run`. What is done in their output is left out; without an output nothing is done yet. Without
            a cluster's address, actors are those of this machine.
        defaults: as for `run`.
        rate: multiply-adds per second of one actor; None: this machine's, from a second's work.

    Raises:
        ManifestError: with every problem of the manifest.
        WeightsError: if the encoder is not to be had.
        StorageError: if the results in the output cannot be read.
    """
    valid = validated(manifest, options, defaults=defaults)
    whole = estimate_rows(valid.rows, options, rate=rate)
    return dataclasses.replace(whole, duplicates=len(valid.duplicates), remarks=(*valid.remarks, *whole.remarks))


@under_access
def estimate_rows(rows: Sequence[Row], options: RunOptions, *, rate: float | None = None) -> Estimate:
    """Return what computing rows would come to, as `estimate`; it raises the same errors."""
    output = storage.absolute(options.output) if options.output else ""
    if output:
        check_originals(rows, output)
    check_formats(rows, options.encoding.depth)
    encoder = outline_of(options.weights)
    pool = pool_for(options.resources)
    done = finished(output) if output else Finished({}, {})
    work = plan(
        rows,
        encoder_sha256=encoder.sha256,
        history=History(
            {} if options.overwrite else done.fingerprints,
            done.owners,
            {} if options.release else done.quarantined,
            framed=done.framed,
        ),
        limits=pool.limits(options.resources.batch_size),
        shape_of=functools.partial(output_shapes, decoding=options.decoding),
    )
    return summarise(work, pool, known_rate(work, pool, options.weights, rate), encoder=encoder.kind)


def known_rate(work: Plan, pool: ActorPool, weights: str, rate: float | None) -> Rate:
    """Return the rate of an actor: the one that is given, or else what this machine does with the first rows.

    Args:
        work: the plan.
        pool: the actors.
        weights: of the encoder, as `load_encoder` takes them.
        rate: multiply-adds per second; None: it is measured.
    """
    if rate:
        return Rate(rate, "as given")
    if not work.batches or work.batches[0].rows[0].failure:
        return Rate(0.0, "not measured: nothing to do")
    from nst_kernel import Vgg19

    params = work.batches[0].rows[0].row.params
    measured = measure_rate(Vgg19(load_encoder(weights)), params, threads=pool.threads)
    return Rate(measured, "one short evaluation on this machine")


def summarise(work: Plan, pool: ActorPool, rate: Rate, *, duplicates: int = 0, encoder: str = "") -> Estimate:
    """Return the estimate for running a plan on a pool whose actors work at the given rate.

    Args:
        work: the plan.
        pool: the actors.
        rate: at which each of them works.
        duplicates: rows that repeat others.
        encoder: kind of the encoder's weights; empty: not known.
    """
    rows = work.batches.planned.rows
    groups: defaultdict[tuple[tuple[int, int], tuple[object, ...]], list[BatchRange]] = defaultdict(list)
    for span in work.batches.ranges:
        if span.shape is not None:
            groups[(span.shape, rows[span.start].params.graph)].append(span)
    failures = [(rows[place].id, failure) for place, failure in work.batches.planned.failures.items()]
    named = [rows[place] for place in itertools.islice(work.batches.planned.failures, NAMED)]
    settings = [dict(zip(SHARED_SETTINGS, graph, strict=True)) for _, graph in groups]
    differ = {name for name in SHARED_SETTINGS if len({each[name] for each in settings}) > 1}
    buckets = [
        _bucket(rows, ranges, {name: value for name, value in shared.items() if name in differ}, pool.precision)
        for ranges, shared in zip(groups.values(), settings, strict=True)
    ]
    lengths = [length for ranges in groups.values() for length in _lengths(rows, ranges, rate)]
    return Estimate(
        buckets=tuple(sorted(buckets, key=lambda bucket: -bucket.multiply_adds)),
        failures=tuple(failures),
        done=work.done,
        duplicates=duplicates,
        actors=pool.count,
        device="gpu" if pool.num_gpus else "cpu",
        memory=pool.memory,
        rate=rate,
        device_seconds=sum(lengths),
        seconds=_until_all_are_done(sorted(lengths, reverse=True), pool.count),
        remarks=work.remarks(encoder),
        names={row.id: pair_name(_as_result(row)) for row in named},
    )


def _as_result(row: Row) -> dict[str, object]:
    """Return what names a row, by the columns of the results."""
    return {"id": row.id, "content": row.content, "style": row.style, "manifest": row.file, "manifest_row": row.number}


def _lengths(rows: Rows, ranges: Sequence[BatchRange], rate: Rate) -> Iterator[float]:
    """Yield the seconds of each batch of one bucket."""
    each = cost.multiply_adds(rows[ranges[0].start].params, _shape(ranges))
    for span in ranges:
        yield from itertools.repeat(rate.seconds(span.length * each), span.batches)


def _bucket(rows: Rows, ranges: Sequence[BatchRange], settings: Mapping[str, object], precision: str) -> Bucket:
    """Return the figures of one bucket from its batches."""
    params, shape, saving = rows[ranges[0].start].params, _shape(ranges), ranges[0].saving
    styles = rows.at(np.concatenate([np.arange(span.start, span.start + span.rows) for span in ranges])).column("style")
    count, most = sum(span.rows for span in ranges), max(span.length for span in ranges)
    return Bucket(
        shape=shape,
        settings=settings,
        rows=count,
        styles=pc.count_distinct(styles.indices).as_py(),
        batches=sum(span.batches for span in ranges),
        rows_per_batch=most,
        memory=most * cost.memory(params, shape, precision=precision, saving=saving),
        saving=saving,
        evaluations=count * cost.evaluations(params, shape),
        multiply_adds=count * cost.multiply_adds(params, shape),
    )


def _shape(ranges: Sequence[BatchRange]) -> tuple[int, int]:
    """Return the shape that the rows of a bucket have."""
    assert ranges[0].shape is not None
    return ranges[0].shape


def _until_all_are_done(lengths: Sequence[float], workers: int) -> float:
    """Return when the last of some workers is free, if each takes the next piece of work as soon as it can."""
    free = [0.0] * workers
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def measure_rate(encoder: "Vgg19", params: StyleParams, *, threads: int | None = None) -> float:
    """Measure the multiply-adds per second of one actor on this machine, from a few evaluations of a small pair.

    It takes about a second.

    Args:
        encoder: moved to the GPU if there is one.
        params: whose layers, precision and optimiser are used.
        threads: of torch on a CPU; None: as many as torch takes.
    """
    import torch  # by who measures alone: workers that fetch and write import this package too

    from nst_kernel import stylize

    cuda = torch.cuda.is_available()
    side, count = (512, 16) if cuda else (128, 6)
    tried = dataclasses.replace(params, size=side, upscale=True, scales=(), iterations=(count,), init="noise")
    ticks: list[float] = []

    def tick(_done: int, _total: int) -> None:
        if cuda:
            torch.cuda.synchronize()
        ticks.append(time.perf_counter())

    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        stylize(picture, picture, tried, encoder=encoder.to("cuda") if cuda else encoder, progress=tick)
    finally:
        torch.set_num_threads(before)
    # The first evaluation prepares what the others use.
    spent = statistics.median(later - sooner for sooner, later in itertools.pairwise(ticks[1:]))
    return cost.multiply_adds(tried, (side, side)) / count / spent
