"""Which rows of an archive are new or changed; neither torch nor Ray is loaded."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import pyarrow.compute as pc

from nst_kernel import StyleParams
from pipeline import storage
from pipeline.archives import index
from pipeline.archives.chooser import Chooser
from pipeline.archives.photos import Selection, photos
from pipeline.archives.rows import PhotoRow, check_originals_are_safe, row_of
from pipeline.encoder import outline_of
from pipeline.images import Unreadable
from pipeline.manifest import each_of, pictures_of
from pipeline.outputs import parts, read_results
from pipeline.planning import fingerprint
from pipeline.specs import ArchiveSpec, gather, globs


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
    params, encoder = StyleParams.of({}, defaults=defaults), outline_of(weights)
    encoder.check_covers(params.layers)
    styles = _styles_of(spec, params)
    identities = _shared_identities(styles.values(), params)
    broken = _unreadable_before(output) if not overwrite else frozenset()
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
            elif mark in broken:
                counted.failed += 1
            else:
                known.check_own(one)
                yield one, mark
        if not counted.taken:
            why = f"{_why_none(counted)}){globs.none_fits(spec.photos)}"
            raise ValueError(f"{spec.photos}: expected at least one photo ({why}")

    return listed()


def _unreadable_before(output: str) -> Collection[str]:
    """Return the fingerprints of rows that failed since a picture is none, or is damaged: as it is, it fails again.

    What failed for another reason, such as storage that did not answer or a picture that was larger than allowed, is
    tried again.

    Raises:
        StorageError: if the results cannot be read.
    """
    if not parts(output):
        return frozenset()
    table = read_results(output, columns=["fingerprint", "status", "error_class"], ordered=False)
    failed = pc.equal(table["status"], "failed")
    unreadable = table.filter(pc.and_(failed, pc.equal(table["error_class"], Unreadable.__name__)))
    return frozenset(mark for mark in unreadable["fingerprint"].to_pylist() if mark)


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
