"""Plays: small runs of drawn pictures, whose outcome is known beforehand, and how they are judged."""

import dataclasses
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobs.pictures import draw
from jobs.selftest.chaos import hooks
from pipeline import images, storage
from pipeline.cluster import connect as connect_pipeline
from pipeline.flow import run
from pipeline.options import Interruptions, Resources
from pipeline.outputs import Progress, parts, read_part, read_results, summary
from pipeline.recovery import ledger

SIZE = 64
PICTURES = ("lake", "town", "night", "mosaic")


def connect(address: str | None) -> str:
    """Connect to a Ray cluster, or to one of our own, such that workers are part of the self-test; its address."""
    import ray

    if not ray.is_initialized():
        connect_pipeline(address, runtime_env={"worker_process_setup_hook": hooks.SETUP})
    return str(ray.get_runtime_context().gcs_address)


@dataclass(frozen=True)
class Play:
    """One manifest and one output.

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
    iterations: int = 20
    rows_per_batch: int = 2
    actors: int = 2
    worth_saving: float = 10.0
    stall_timeout: float = 600.0

    @classmethod
    def from_json(cls, text: str) -> "Play":
        """What `to_json` gave."""
        said = json.loads(text)
        return cls(**{**said, "ids": tuple(said["ids"])})

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(dataclasses.asdict(self))

    def run(self) -> Progress:
        """Run it, in this process, which is connected to a cluster."""
        return run(
            self.manifest,
            output=self.output,
            defaults={"size": SIZE, "iterations": self.iterations, "scales": "", "precision": "fp32"},
            resources=Resources(
                num_actors=self.actors,
                batch_size=self.rows_per_batch,
                interruptions=Interruptions(worth_saving=self.worth_saving),
            ),
            stall_timeout=self.stall_timeout,
        )

    def driver(self, address: str) -> "subprocess.Popen[str]":
        """Run it in a process of its own."""
        command = [sys.executable, "-m", "jobs.selftest.chaos.driver", address, self.to_json()]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def committed(self) -> set[str]:
        """Ids of rows that have an outcome."""
        if not parts(self.output):
            return set()
        return set(read_results(self.output, columns=["id"])["id"].to_pylist())

    def tally(self) -> list[dict[str, Any]]:
        """What actors began: `ids` of rows together, the `run`, and the `node`."""
        try:
            files = storage.list_files(hooks.tally_folder(self.output), suffix=".json")
        except storage.StorageError:
            return []
        found: list[dict[str, Any]] = [json.loads(storage.read_bytes(file)) for file in files]
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """The results by id."""
        return {row["id"]: row for row in read_results(self.output).to_pylist()}


@dataclass(frozen=True)
class Outcome:
    """What a fault did to a play.

    Attributes:
        rows: that were asked.
        lost: rows without an outcome, or that are `ok` without a whole picture.
        duplicated: rows that are in the results more than once.
        recomputed: times that a row was begun again.
        in_flight: rows that were being worked on when the fault struck; no more may be begun again.
        strokes: how often it struck.
        wrong: what else is not as it must be.
        note: a figure worth telling.
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
        """Whether the contract held."""
        return not (self.lost or self.duplicated or self.wrong) and self.recomputed <= self.in_flight


def judge(
    play: Play,
    *,
    expected: Mapping[str, str] | None = None,
    in_flight: int = 0,
    strokes: int = 1,
    wrong: Sequence[str] = (),
    note: str = "",
) -> Outcome:
    """Look at everything that a finished play left behind.

    Args:
        play: that is over.
        expected: status by id of rows that shall not be `ok`.
        in_flight: rows that may have been begun twice.
        strokes: of the fault.
        wrong: what was noticed on the way.
        note: a figure worth telling.
    """
    troubles, rows = list(wrong), play.rows()
    statuses = {row_id: (expected or {}).get(row_id, "ok") for row_id in play.ids}
    lost = [row_id for row_id in play.ids if row_id not in rows or not _is_whole(rows[row_id])]
    for row_id in sorted(rows.keys() | statuses.keys()):
        found, asked = rows.get(row_id, {}).get("status"), statuses.get(row_id)
        if found != asked:
            troubles.append(f"row {row_id} is {found}, not {asked}: {rows.get(row_id, {}).get('error')}")
    stored = sum(len(read_part(part, ["id"])) for part in parts(play.output))
    begun = Counter(row_id for entry in play.tally() for row_id in entry["ids"])
    if left := ledger.read_attempts(play.output):
        troubles.append(f"the ledger still has {len(left)} attempts")
    said: Any = summary.read(play.output)
    if sum(said["counts"].values()) != said["plan"]["rows"]:
        troubles.append(f"run.json: {said['counts']} do not add up to {said['plan']}")
    if half := [name for name in storage.list_files(play.output) if name.endswith(".part")]:
        troubles.append(f"half written: {half[0]}")
    return Outcome(
        rows=len(play.ids),
        lost=len(lost),
        duplicated=stored - len(rows),
        recomputed=sum(begun.values()) - len(begun),
        in_flight=in_flight,
        strokes=strokes,
        wrong=tuple(troubles),
        note=note,
    )


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether the picture of an `ok` row is there, all of it."""
    if row["status"] != "ok":
        return True
    try:
        return images.decode(storage.read_bytes(row["output"])).shape == (row["height"], row["width"], 3)
    except (storage.StorageError, images.ImageError):
        return False


@dataclass
class Stage:
    """A scratch folder and a cluster, for many plays.

    Attributes:
        home: URI of the folder, which every machine of the cluster can reach.
        address: of the cluster.
        random: decides the moments.
    """

    home: str
    address: str
    random: random.Random
    plays: Counter[str] = field(default_factory=Counter)

    def furnish(self) -> None:
        """Draw the pictures."""
        for name in PICTURES:
            self.put(f"{name}.png", images.encode(draw(name, SIZE), metadata={}))

    def put(self, name: str, data: bytes) -> str:
        """Store a picture; the URI."""
        uri = storage.join(self.home, "pictures", name)
        storage.write_bytes(uri, data)
        return uri

    def play(
        self,
        name: str,
        ids: Sequence[str],
        *,
        contents: Mapping[str, str] | None = None,
        again: bool = False,
        **how: Any,
    ) -> Play:
        """A play of rows with these ids; of a name that was given before, with an output of its own.

        Args:
            name: of its folder.
            ids: of its rows.
            contents: URIs of content pictures by id; by default drawn ones.
            again: the very play of that name instead, whose finished rows need not be computed again.
            how: fields of `Play`.
        """
        self.plays[name] += not (again and self.plays[name])
        folder = storage.join(self.home, name, str(self.plays[name]))
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
        return Play(manifest, storage.join(folder, "output"), tuple(ids), **how)

    def _picture(self, number: int) -> str:
        return storage.join(self.home, "pictures", f"{PICTURES[number]}.png")


def pixels(row: Mapping[str, Any]) -> "np.typing.NDArray[np.uint8]":
    """The picture of a row."""
    return images.decode(storage.read_bytes(row["output"]))
