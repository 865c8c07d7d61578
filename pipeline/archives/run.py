"""An archive's run: what is new or changed since the last one, slice by slice, and the index of it all."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.archives import index
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Selection, photos
from pipeline.archives.rows import Asked, asked, check_originals_are_safe
from pipeline.encoder import load_encoder
from pipeline.flow import RunBroken, run_rows
from pipeline.manifest import pictures_of
from pipeline.options import Job, failures
from pipeline.outputs import Progress, layout, summary
from pipeline.planning import fingerprint
from pipeline.recovery import RunLock
from pipeline.specs import ArchiveSpec, gather

SLICE = 20_000
"""Rows that are planned together. More share batches a little better, fewer take less memory."""


def rows_to_do(
    spec: ArchiveSpec,
    output: str,
    *,
    defaults: Mapping[str, object],
    weights: str,
    overwrite: bool = False,
    selection: Selection | None = None,
) -> Iterator[tuple[Asked, str]]:
    """The rows of an archive that the index of an output does not know as done, and their fingerprints, lazily.

    Raises:
        ValueError: if results would get in the way of originals, or styles or parameters cannot be used.
        StorageError: if the archive, a style or the index cannot be read.
        WeightsError: if the encoder is not to be had.
    """
    check_originals_are_safe(spec, output)
    params, encoder = StyleParams.of({}, defaults=defaults), load_encoder(weights)
    encoder.check_covers(params.layers)
    styles = gather(spec.styles)
    if spec.choose == "all" and len(styles) > 1 and not spec.by_style:
        raise ValueError(
            f"{len(styles):,} styles for each photo, which would take each other's place: expected style_folders, or "
            "choose: round-robin or random"
        )
    shared = pictures_of({}, params.to_json()).values()
    identities = {uri: storage.identity(uri) for uri in [*styles.values(), *shared]}
    known = index.Known(output, styles=spec.choose == "round-robin")
    choose = Chooser(spec, styles, before=known.style_of, given=known.given)
    counted = selection if selection is not None else Selection()

    def listed() -> Iterator[tuple[Asked, str]]:
        for photo in photos(spec, counted):
            for style in choose(photo.path):
                one = asked(spec, photo, style, styles[style], params)
                mark = fingerprint(one.row, encoder.sha256, {**identities, photo.entry.uri: photo.entry.identity})
                if known.is_done(mark) and not overwrite:
                    counted.done += 1
                else:
                    known.check_own(one)
                    yield one, mark
        if not counted.taken:
            reasons = ", ".join(f"{count:,} files: {why}" for why, count in counted.passed_over.items())
            raise ValueError(f"{spec.photos}: expected at least one photo ({reasons or 'there is no file'})")

    return listed()


def run_archive(
    spec: ArchiveSpec,
    job: Job,
    *,
    defaults: Mapping[str, object],
    on_progress: Callable[[Progress], None] | None = None,
    slice_rows: int = SLICE,
) -> Progress:
    """Compute what is new or changed in an archive, and bring the index up to date.

    Photos are listed while the slice before is done with: of an archive of any size, one slice is in memory. The index
    says which rows a slice has taken up before it runs, and what became of them afterwards.

    Raises:
        ValueError: as `rows_to_do`, or if no photo is selected; nothing was started.
        Locked: if another run of the archive writes to the output.
        RunBroken: as `run`, and whatever else it raises.
    """
    check_originals_are_safe(spec, job.output)
    selection, whole, said = Selection(), Progress(total=0, done_before=0), dict[str, Any]()
    with RunLock(layout.ledger_folder(job.output), force=job.force) as lock:
        todo = rows_to_do(
            spec, job.output, defaults=defaults, weights=job.weights, overwrite=job.overwrite, selection=selection
        )
        while some := list(itertools.islice(todo, slice_rows)):
            lock.check()
            index.update(job.output, some, outcomes={})
            before = dataclasses.replace(whole, done_before=whole.done_before + selection.done)
            selection.done = 0
            own = dataclasses.replace(job, max_failures=job.max_failures.after(failures(before.counts)))
            part = run_rows([one.row for one, _ in some], own, on_progress=_telling(before, on_progress))
            whole = _together(before, part)
            said = summary.joined(said, summary.read(job.output))
            index.update(job.output, some, outcomes=index.outcomes_of(job.output, some))
        whole.done_before += selection.done
        if said:
            lock.check()
            _speak_of_all(said, job, whole)
    if not whole.total and on_progress:
        on_progress(whole)
    return whole


def _speak_of_all(said: dict[str, Any], job: Job, whole: Progress) -> None:
    """Put the summary of the whole in the place of the last slice's own."""
    said["plan"]["done"] = whole.done_before
    said["job"]["max_failures"] = str(job.max_failures)
    try:
        summary.write(job.output, said)
    except storage.StorageError as error:
        raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error


def _telling(before: Progress, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None] | None:
    """What tells of a slice as of a part of the whole."""
    return None if on_progress is None else lambda part: on_progress(_together(before, part))


def _together(before: Progress, part: Progress) -> Progress:
    return dataclasses.replace(
        part,
        total=before.total + part.total,
        done_before=before.done_before + part.done_before,
        quarantined_before=before.quarantined_before + part.quarantined_before,
        counts=before.counts + part.counts,
        failures=[*before.failures, *part.failures][:100],
        retries=before.retries + part.retries,
        began=before.began,
        seconds=before.seconds + part.seconds,
    )
