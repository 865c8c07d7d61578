"""The shape of the output folder: every file that a run writes, and where it lies.

    OUTPUT/
        images/NAME                   a picture, under the name that its row gives, or that its pictures make
        images/NAME.steps/NUMBER.png  what it was after so many evaluations; the last is the picture
        images/NAME.steps/animation.webp, .gif
        results/part-DIGEST.parquet   rows of one finished batch
        results/rest-DIGEST.parquet   parts merged at the end of a run; the next run merges them again
        results/rows-DIGEST.parquet   parts merged into a file of full size, which stays
        run.json                      summary of the last run that came to its end
        progress.json                 how far the run is
        run.lock                      held by the run that writes here
        run.lock-DIGEST               for a moment, of whoever replaces the lock of a dead run
        ledger/STAGE-KEY-NAME.json    an attempt that is under way, or whose process crashed
        ledger/run.lock               held by an archive's run, from before its first photos are listed
        preempted/DIGEST.safetensors  saved state of a batch that was interrupted
        plan/plan.json                of a large run: what its plan was made from, and its files
        plan/rows-DIGEST.parquet      rows in the order of their batches, some batches to a file
        index.parquet                 of an archive: which photo became which picture
        index/NUMBER.parquet          what its run has begun since: rows that index.parquet gets at the end
        report/                       the page about the run, or any other folder that is given for it
            index.html
            data/KIND-NUMBER.STAMP.js
            code/NAME.STAMP.js, code/plotly-VERSION.min.js
            thumbs/DIGEST.webp

The folder of a grid holds its runs, and each of them has the shape above:

    OUTPUT/
        history/ID.json               one for each run: what it is, when it began, whether and how it ended
        runs/ID/                      the output of that run
        latest.json                   which run was the last to come to its end
        run.lock
"""

import re
from collections.abc import Iterator, Sequence

from pipeline import storage

INDEX = "index.parquet"
LATEST = "latest.json"
RUNS = "runs"
PARTS = "*.parquet"
"""Names of the files of results, as messages have them."""

FULL = "rows-"
"""How the names of files of results begin that have grown to their full size."""

HOME = "index.html"
DATA, CODE, THUMBS = "data", "code", "thumbs"
"""Names in the folder of a report: its page, and folders for the rest."""


_RUN_ID = r"\d{4}-\d\d-\d\dT\d{6}Z-[0-9a-f]{8}(?:-again)*"
_HEX16, _HEX32 = "[0-9a-f]{16}", "[0-9a-f]{32}"


def images_folder(output: str) -> str:
    """Return the folder of the pictures."""
    return storage.join(output, "images")


def picture_file(output: str, name: str) -> str:
    """Return the URI of the picture that a row's `output` names."""
    return storage.join(images_folder(output), name)


def steps_folder(picture: str) -> str:
    """Return the folder of what a picture was on the way, beside it."""
    return f"{picture}.steps"


def frame_file(picture: str, evaluation: int) -> str:
    """Return the URI of what a picture was after so many evaluations."""
    return storage.join(steps_folder(picture), f"{evaluation:04}.png")


def animation_file(picture: str, format: str) -> str:
    """Return the URI of the animation that shows how a picture was made."""
    return storage.join(steps_folder(picture), f"animation.{format}")


def is_step(uri: str) -> bool:
    """Return whether a file may be of a picture on the way, or an animation of them, as its name says."""
    return re.fullmatch(r"\d{4,6}\.png|animation\.(?:webp|gif)", uri.rpartition("/")[2]) is not None


def results_folder(output: str) -> str:
    """Return the folder of the Parquet files that make the results."""
    return storage.join(output, "results")


def part_file(output: str, digest: str) -> str:
    """Return where the rows of one batch go."""
    return storage.join(results_folder(output), f"part-{digest}.parquet")


def merged_file(output: str, digest: str, *, full: bool) -> str:
    """Return where merged rows go; a full file is not merged again."""
    return storage.join(results_folder(output), f"{FULL if full else 'rest-'}{digest}.parquet")


def is_full(uri: str) -> bool:
    """Return whether a file of results has grown to its full size, which its name says."""
    return uri.rpartition("/")[2].startswith(FULL)


def summary_file(output: str) -> str:
    """Return the file with the summary of the last run."""
    return storage.join(output, "run.json")


def progress_file(output: str) -> str:
    """Return the file in which a run writes how far it is."""
    return storage.join(output, "progress.json")


def lock_file(output: str) -> str:
    """Return the file that is the lock of an output."""
    return storage.join(output, "run.lock")


def lock_claim(output: str, digest: str) -> str:
    """Return the file of whoever replaces a lock; `digest` stands for the lock that is replaced."""
    return f"{lock_file(output)}-{digest}"


def ledger_folder(output: str) -> str:
    """Return the folder of the attempts that are under way; an archive's run holds a lock in it as well."""
    return storage.join(output, "ledger")


def attempt_file(output: str, name: str) -> str:
    """Return where an attempt is noted."""
    return storage.join(ledger_folder(output), f"{name}.json")


def saved_states_folder(output: str) -> str:
    """Return the folder of the saved states of interrupted batches."""
    return storage.join(output, "preempted")


def saved_state_file(output: str, digest: str) -> str:
    """Return where the state of a batch is saved."""
    return storage.join(saved_states_folder(output), f"{digest}.safetensors")


def is_saved_state(uri: str) -> bool:
    """Return whether a file is a saved state, as its name says."""
    return re.fullmatch(rf"{_HEX32}\.safetensors", uri.rpartition("/")[2]) is not None


def plan_folder(output: str) -> str:
    """Return the folder of the plan of a large run."""
    return storage.join(output, "plan")


def plan_index(output: str) -> str:
    """Return the file that says what a plan was made from, and which its files are."""
    return storage.join(plan_folder(output), "plan.json")


def plan_file(output: str, digest: str) -> str:
    """Return where some rows of a plan lie; `digest` stands for them."""
    return storage.join(plan_folder(output), f"rows-{digest}.parquet")


def index_file(output: str) -> str:
    """Return the index of an archive's output."""
    return storage.join(output, INDEX)


def index_folder(output: str) -> str:
    """Return the folder of rows that the index gets at the end of a run."""
    return storage.join(output, "index")


def index_part(output: str, number: int) -> str:
    """Return where the rows of a slice wait for the end of their run."""
    return storage.join(index_folder(output), f"{number:06}.parquet")


def report_folder(output: str) -> str:
    """Return the folder of the report, unless another one was given for it."""
    return storage.join(output, "report")


def history_folder(output: str) -> str:
    """Return the folder with one record for each run of a grid."""
    return storage.join(output, "history")


def history_file(output: str, id: str) -> str:
    """Return the record of one run of a grid."""
    return storage.join(history_folder(output), f"{id}.json")


def runs_folder(output: str) -> str:
    """Return the folder that holds the runs of a grid."""
    return storage.join(output, RUNS)


def run_folder(output: str, id: str) -> str:
    """Return the output of one run of a grid."""
    return storage.join(runs_folder(output), id)


def latest_file(output: str) -> str:
    """Return the file that names the last complete run of a grid."""
    return storage.join(output, LATEST)


def is_run_id(text: object) -> bool:
    """Return whether a value that was read from storage can be the id of a run of a grid."""
    return isinstance(text, str) and re.fullmatch(_RUN_ID, text) is not None


_LOCK = rf"(?:ledger/)?run\.lock(?:-{_HEX16})?"

_WRITTEN = re.compile(
    r"(?:runs/[^/]+/)?"
    rf"(?:images/.+|results/(?:part|rest|rows)-{_HEX16}\.parquet|(?:run|progress)\.json|{_LOCK}"
    rf"|plan/(?:plan\.json|rows-{_HEX16}\.parquet)|ledger/[^/]+\.json|preempted/{_HEX32}\.safetensors|index(?:/\d{{6}})?\.parquet"
    r"|report/(?:index\.html|(?:data|code)/[^/]+|thumbs/[^/]+\.webp))"
    rf"|history/{_RUN_ID}\.json|latest\.json"
)
"""Paths below an output that runs write."""

_EVIDENCE = re.compile(
    rf"(.*?)/(?:results/(?:part|rest|rows)-{_HEX16}\.parquet|{_LOCK}|preempted/{_HEX32}\.safetensors"
    rf"|plan/rows-{_HEX16}\.parquet|ledger/[^/]+-{_HEX16}-{_HEX32}\.json|history/{_RUN_ID}\.json)"
)
"""Files that nothing but a run writes, below the output that they make of a folder."""


def is_written_by_runs(output: str, uri: str) -> bool:
    """Return whether a file is one that runs into an output write, as its place and name say."""
    folder = output.rstrip("/") + "/"
    return uri.startswith(folder) and _WRITTEN.fullmatch(uri.removeprefix(folder)) is not None


def without_outputs(folder: str, files: Sequence[str]) -> list[str]:
    """Return the files of a listing without those of runs.

    A folder in which runs have left files is an output. Of one below the listed folder nothing is returned, since
    whatever is there is about its runs. Of the listed folder itself, or one above, what runs write is left out.

    Args:
        folder: that was listed.
        files: below it, as the listing spells them.
    """
    outputs = {match[1] for file in files if (match := _EVIDENCE.fullmatch(file))}
    if not outputs:
        return list(files)
    top = storage.plain(folder).rstrip("/")
    below = {output for output in outputs if storage.plain(output).startswith(f"{top}/")}
    return [
        file
        for file in files
        if not any(is_written_by_runs(output, file) for output in outputs - below)
        and below.isdisjoint(_folders_of(file))
    ]


def _folders_of(file: str) -> Iterator[str]:
    """Yield every folder above a file."""
    folder = file
    while (place := folder.rfind("/")) > 0:
        folder = folder[:place]
        yield folder
