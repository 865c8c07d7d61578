"""The run of an archive: what is new or changed since the last run is computed in slices, and the index kept."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.archives import index
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Selection, photos
from pipeline.archives.rows import PhotoRow, check_originals_are_safe, row_of
from pipeline.encoder import load_encoder
from pipeline.flow import RunBroken, run_rows
from pipeline.manifest import each_of, pictures_of
from pipeline.options import RunOptions, failures, under_access
from pipeline.outputs import Progress, layout, summary
from pipeline.planning import fingerprint
from pipeline.recovery import RunLock
from pipeline.specs import ArchiveSpec, gather, globs

SLICE = 20_000
"""Rows that are planned together: more rows fill batches a little better, fewer take less memory."""


def rows_to_do(
    spec: ArchiveSpec,
    output: str,
    *,
    defaults: Mapping[str, object],
    weights: str,
    overwrite: bool = False,
    selection: Selection | None = None,
) -> Iterator[tuple[PhotoRow, str]]:
    """Return the rows of an archive that are new or changed, with their fingerprints; the archive is listed lazily.

    Args:
        spec: the archive.
        output: whose index says what is done.
        defaults: style parameters of all rows.
        weights: `embedded`, `imagenet`, or the URI of a file of weights.
        overwrite: whether rows that are done are wanted as well.
        selection: where photos and files that are passed over are counted.

    Raises:
        ValueError: if results would get in the way of originals, or styles or parameters cannot be used.
        StorageError: if the archive, a style or the index cannot be read.
        WeightsError: if the encoder is not to be had.
    """
    check_originals_are_safe(spec, output)
    params, encoder = StyleParams.of({}, defaults=defaults), load_encoder(weights)
    encoder.check_covers(params.layers)
    styles = _styles_of(spec, params)
    identities = _shared_identities(styles.values(), params)
    known = index.Known(output, styles=spec.choose == "round-robin")
    choose = Chooser(spec, styles, before=known.style_of, given=known.given)
    counted = selection if selection is not None else Selection()

    def listed() -> Iterator[tuple[PhotoRow, str]]:
        rows = (
            row_of(spec, photo, style, styles[style], params)
            for photo in photos(spec, counted)
            for style in choose(photo.path)
        )
        for one in rows:
            entry = one.photo.entry
            mark = fingerprint(one.row, encoder.sha256, {**identities, entry.uri: entry.identity})
            if known.is_done(mark) and not overwrite:
                counted.done += 1
            else:
                known.check_own(one)
                yield one, mark
        if not counted.taken:
            why = f"{_why_none(counted)}){globs.none_fits(spec.photos)}"
            raise ValueError(f"{spec.photos}: expected at least one photo ({why}")

    return listed()


def _shared_identities(styles: Iterable[str], params: StyleParams) -> dict[str, str]:
    """Return the identities of the pictures that all rows share, each looked up once.

    Raises:
        StorageError: if one cannot be looked up.
    """
    named = [uri for uris in pictures_of({}, params.to_json()).values() for uri in uris]
    with storage.neighbours_named():
        return {uri: storage.identity(uri) for uri in [*(u for each in styles for u in each_of("style", each)), *named]}


def _styles_of(spec: ArchiveSpec, params: StyleParams) -> Mapping[str, str]:
    """Return the styles of an archive by name.

    Raises:
        ValueError: if their results would take each other's place, or parameters do not fit a mixture of styles.
    """
    styles = gather(spec.styles)
    for name, uris in styles.items():
        if misfits := params.misfits(len(each_of("style", uris))):
            raise ValueError(f"style {name}: {'; '.join(map(str, misfits))}")
    if spec.choose == "all" and len(styles) > 1 and not spec.by_style:
        raise ValueError(
            f"{len(styles):,} styles for each photo, which would take each other's place: expected style_folders, or "
            "choose: round-robin or random"
        )
    return styles


def _why_none(selection: Selection) -> str:
    """Return why no photo was selected, in words."""
    return f"passed over: {selection.passed_over}" if selection.passed_over else "there is no file"


@under_access
def run_archive(
    spec: ArchiveSpec,
    options: RunOptions,
    *,
    defaults: Mapping[str, object],
    on_progress: Callable[[Progress], None] | None = None,
    slice_rows: int = SLICE,
) -> Progress:
    """Compute what is new or changed in an archive, and bring the index up to date.

    Photos are listed while the slice before is computed: of an archive of any size, one slice is in memory. The index
    has the rows of a slice as pending before it runs, and their outcomes afterwards.

    Args:
        spec: the archive.
        options: of the run; their output has the index.
        defaults: style parameters of all rows.
        on_progress: called with the progress of the whole run.
        slice_rows: rows that are planned together.

    Raises:
        ValueError: as `rows_to_do`, or if no photo is selected; nothing was started.
        Locked: if another run of the archive writes to the output.
        RunBroken: as `run`, and whatever else it raises.
    """
    check_originals_are_safe(spec, options.output)
    selection, joined = Selection(), dict[str, Any]()
    whole = Progress(total=0, done_before=0, passed_over=selection.passed_over)
    # Every slice is a run with a lock of its own; this one keeps other runs of the archive out between slices.
    with RunLock(layout.ledger_folder(options.output), force=options.force) as lock:
        todo = rows_to_do(
            spec,
            options.output,
            defaults=defaults,
            weights=options.weights,
            overwrite=options.overwrite,
            selection=selection,
        )
        while rows := list(itertools.islice(todo, slice_rows)):
            lock.check()
            before = dataclasses.replace(whole, done_before=whole.done_before + selection.done)
            selection.done = 0
            whole = _together(before, _run_slice(rows, options, before, on_progress))
            joined = summary.joined(joined, summary.read(options.output))
        whole.done_before += selection.done
        lock.check()
        if joined:
            _write_summary(joined, options, whole)
        else:
            _renew_passed_over(options.output, whole)
    if not whole.total and on_progress:
        on_progress(whole)
    return whole


def _run_slice(
    rows: Sequence[tuple[PhotoRow, str]],
    options: RunOptions,
    before: Progress,
    on_progress: Callable[[Progress], None] | None,
) -> Progress:
    """Compute one slice of an archive, and put it into the index before and after.

    Args:
        rows: of the slice, with their fingerprints.
        options: of the whole run.
        before: progress of the slices before.
        on_progress: called with the progress of the whole run.
    """
    index.update(options.output, rows, outcomes={})
    own = options.model_copy(update={"max_failures": options.max_failures.after(failures(before.counts))})
    progress = run_rows([one.row for one, _ in rows], own, on_progress=_of_whole(before, on_progress))
    index.update(options.output, rows, outcomes=index.outcomes_of(options.output, rows))
    return progress


def _write_summary(joined: dict[str, Any], options: RunOptions, whole: Progress) -> None:
    """Write the summary of the whole run in the place of the last slice's own."""
    joined["plan"]["done"] = whole.done_before
    joined["passed_over"] = whole.passed_over.to_json()
    joined["job"]["max_failures"] = str(options.max_failures)
    try:
        summary.write(options.output, joined)
    except storage.StorageError as error:
        raise RunBroken(f"every row has its outcome, but the end could not be put in order: {error}") from error


def _renew_passed_over(output: str, whole: Progress) -> None:
    """Write into the summary of the last run what is passed over now, where nothing was left to compute."""
    last, now = summary.read(output), whole.passed_over.to_json()
    if last and last.get("passed_over") != now:
        summary.write(output, {**last, "passed_over": now})


def _of_whole(before: Progress, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None] | None:
    """Return a function that takes the progress of a slice, and passes on that of the whole run."""
    return None if on_progress is None else lambda part: on_progress(_together(before, part))


def _together(before: Progress, part: Progress) -> Progress:
    """Return the progress of some slices and the next one as that of one run."""
    return dataclasses.replace(
        part,
        total=before.total + part.total,
        done_before=before.done_before + part.done_before,
        quarantined_before=before.quarantined_before + part.quarantined_before,
        counts=before.counts + part.counts,
        failures=[*before.failures, *part.failures][:100],
        warnings=[*before.warnings, *part.warnings][:100],
        warned=before.warned + part.warned,
        remarks=tuple(dict.fromkeys((*before.remarks, *part.remarks))),
        passed_over=before.passed_over,
        retries=before.retries + part.retries,
        began=before.began,
        seconds=before.seconds + part.seconds,
    )
