"""Scenarios: small runs of drawn pictures, whose outcome is known beforehand and compared with what they left."""

import dataclasses
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobs.pictures import draw
from jobs.selftest.chaos import hooks
from pipeline import images, storage
from pipeline.cluster import connect as connect_pipeline
from pipeline.flow import run
from pipeline.options import Interruptions, Resources, RunOptions
from pipeline.outputs import Progress, parts, read_part, read_results, summary
from pipeline.recovery import ledger

SIZE = 64
"""Long side of every picture, pixels."""

TO_THE_END: Mapping[str, object] = {"scales": "", "min_improvement": 0, "precision": "fp32"}
"""Parameters with which every row makes all its iterations, so that there is time for a fault."""

PICTURES = ("lake", "town", "night", "mosaic")


def connect(address: str | None) -> str:
    """Connect to a Ray cluster such that its workers become a part of the self-test.

    Args:
        address: of the cluster; None: one that is started here.

    Returns:
        The address under which other processes reach it.
    """
    import ray

    if not ray.is_initialized():
        connect_pipeline(address, runtime_env={"worker_process_setup_hook": hooks.SETUP})
    return str(ray.get_runtime_context().gcs_address)


@dataclass(frozen=True)
class Scenario:
    """A small run whose outcome is known beforehand: one manifest and one output.

    Attributes:
        manifest: URI.
        output: URI of the folder.
        ids: of the manifest's rows.
        iterations: of each row.
        rows_per_batch: at most.
        actors: at work.
        worth_saving: as in `Interruptions`.
        stall_timeout: as in `run`.
    """

    manifest: str
    output: str
    ids: tuple[str, ...]
    iterations: int = 5
    rows_per_batch: int = 2
    actors: int = 2
    worth_saving: float = 10.0
    stall_timeout: float = 600.0

    @classmethod
    def from_json(cls, text: str) -> "Scenario":
        """Make a scenario from what `to_json` returned."""
        fields = json.loads(text)
        return cls(**{**fields, "ids": tuple(fields["ids"])})

    def to_json(self) -> str:
        """Return the scenario as JSON, for another process."""
        return json.dumps(dataclasses.asdict(self))

    def run(self) -> Progress:
        """Run the scenario in this process, which is connected to a cluster."""
        return run(
            self.manifest,
            RunOptions(
                output=self.output,
                resources=Resources(
                    num_actors=self.actors,
                    batch_size=self.rows_per_batch,
                    interruptions=Interruptions(worth_saving=self.worth_saving),
                ),
                stall_timeout=self.stall_timeout,
            ),
            defaults={"size": SIZE, "iterations": self.iterations, **TO_THE_END},
        )

    def start_driver(self, address: str) -> "subprocess.Popen[str]":
        """Run the scenario in a process of its own.

        Args:
            address: of the cluster; `local` starts one.
        """
        command = [sys.executable, "-m", "jobs.selftest.chaos.driver", address, self.to_json()]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def committed(self) -> set[str]:
        """Return the ids of the rows that have an outcome in the results."""
        if not parts(self.output):
            return set()
        return set(read_results(self.output, columns=["id"])["id"].to_pylist())

    def tally(self) -> list[dict[str, Any]]:
        """Return what actors began to optimise: `ids` of rows together, the `run`, and the `node`."""
        try:
            files = storage.list_files(hooks.tally_folder(self.output), suffix=".json")
        except storage.NotFound:
            return []
        begun: list[dict[str, Any]] = [json.loads(storage.read_bytes(file)) for file in files]
        return begun

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the results by id."""
        return {row["id"]: row for row in read_results(self.output).to_pylist()}


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario under a fault.

    Attributes:
        rows: of the manifest.
        lost: rows without an outcome, or that are `ok` without a whole picture.
        duplicated: rows that are in the results more than once.
        recomputed: times that a row was begun again.
        in_flight: rows that were being worked on when the fault was injected; no more may be begun again.
        strokes: times that the fault was injected.
        wrong: everything else that is not as it must be, a message each.
        note: a figure for the table.
    """

    rows: int
    lost: int = 0
    duplicated: int = 0
    recomputed: int = 0
    in_flight: int = 0
    strokes: int = 1
    wrong: tuple[str, ...] = ()
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, duplicated or wrong, and no more was begun again than was in flight."""
        return not (self.lost or self.duplicated or self.wrong) and self.recomputed <= self.in_flight


def judge(
    scenario: Scenario,
    *,
    expected: Mapping[str, str] | None = None,
    in_flight: int = 0,
    strokes: int = 1,
    wrong: Sequence[str] = (),
    note: str = "",
) -> Outcome:
    """Compare everything that a finished scenario left with what it must leave.

    Args:
        scenario: that has ended.
        expected: status by id of rows that must not be `ok`.
        in_flight: rows that may have been begun twice.
        strokes: times that the fault was injected.
        wrong: what was noticed before.
        note: a figure for the table.
    """
    rows = scenario.rows()
    statuses = {row_id: (expected or {}).get(row_id, "ok") for row_id in scenario.ids}
    lost = [row_id for row_id in scenario.ids if row_id not in rows or not _is_whole(rows[row_id])]
    stored = sum(len(read_part(part, ["id"])) for part in parts(scenario.output))
    begun = Counter(row_id for entry in scenario.tally() for row_id in entry["ids"])
    return Outcome(
        rows=len(scenario.ids),
        lost=len(lost),
        duplicated=stored - len(rows),
        recomputed=sum(begun.values()) - len(begun),
        in_flight=in_flight,
        strokes=strokes,
        wrong=(*wrong, *_wrong_statuses(rows, statuses), *_wrong_files(scenario)),
        note=note,
    )


def _wrong_statuses(rows: Mapping[str, Mapping[str, Any]], expected: Mapping[str, str]) -> Iterator[str]:
    """Yield a message for each row of results, or of the manifest, whose status is not the expected one."""
    for row_id in sorted(rows.keys() | expected.keys()):
        status, wanted = rows.get(row_id, {}).get("status"), expected.get(row_id)
        if status != wanted:
            yield f"row {row_id} is {status}, not {wanted}: {rows.get(row_id, {}).get('error')}"


def _wrong_files(scenario: Scenario) -> Iterator[str]:
    """Yield a message for each thing in an output that a finished run must not leave, or that contradicts itself."""
    if attempts := ledger.read_attempts(scenario.output):
        yield f"the ledger still has {len(attempts)} attempts"
    run_json: Any = summary.read(scenario.output)
    if sum(run_json["counts"].values()) != run_json["plan"]["rows"]:
        yield f"run.json: {run_json['counts']} do not add up to {run_json['plan']}"
    if half := [name for name in storage.list_files(scenario.output) if name.endswith(".part")]:
        yield f"half written: {half[0]}"


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Return whether the picture of an `ok` row is there, all of it; True for other rows."""
    if row["status"] != "ok":
        return True
    try:
        return images.decode(storage.read_bytes(row["output"])).shape == (row["height"], row["width"], 3)
    except (storage.StorageError, images.ImageError):
        return False


@dataclass
class Harness:
    """What many scenarios share: a scratch folder with pictures, and a cluster.

    Attributes:
        home: URI of the folder, which every machine of the cluster can reach.
        address: of the cluster.
        random: decides when faults are injected.
        scenarios: how many of each name were made.
    """

    home: str
    address: str
    random: random.Random
    scenarios: Counter[str] = field(default_factory=Counter)

    def draw_pictures(self) -> None:
        """Draw the pictures of all scenarios and store them."""
        for name in PICTURES:
            self.store_picture(f"{name}.png", images.encode(draw(name, SIZE), metadata={}))

    def store_picture(self, name: str, data: bytes) -> str:
        """Store a picture and return its URI."""
        uri = storage.join(self.home, "pictures", name)
        storage.write_bytes(uri, data)
        return uri

    def scenario(
        self,
        name: str,
        ids: Sequence[str],
        *,
        contents: Mapping[str, str] | None = None,
        again: bool = False,
        **how: Any,
    ) -> Scenario:
        """Make a scenario of rows with these ids and store its manifest.

        Args:
            name: of its folder; each scenario of a name has an output of its own.
            ids: of its rows.
            contents: URIs of content pictures by id; by default drawn ones.
            again: whether it gets the output of the last one of its name, whose finished rows are then done.
            how: fields of `Scenario`.
        """
        self.scenarios[name] += not (again and self.scenarios[name])
        folder = storage.join(self.home, name, str(self.scenarios[name]))
        manifest = storage.join(folder, "rows.jsonl")
        rows = [
            {
                "id": row_id,
                "content": (contents or {}).get(row_id) or self._picture(number % 2),
                "style": self._picture(2 + number // 2 % 2),
                "seed": number,
            }
            for number, row_id in enumerate(ids)
        ]
        storage.write_bytes(manifest, "".join(json.dumps(row) + "\n" for row in rows).encode())
        return Scenario(manifest, storage.join(folder, "output"), tuple(ids), **how)

    def _picture(self, number: int) -> str:
        """Return the URI of a drawn picture."""
        return storage.join(self.home, "pictures", f"{PICTURES[number]}.png")


def pixels(row: Mapping[str, Any]) -> "np.typing.NDArray[np.uint8]":
    """Return the picture of a row of results: uint8 (H, W, 3)."""
    return images.decode(storage.read_bytes(row["output"]))
