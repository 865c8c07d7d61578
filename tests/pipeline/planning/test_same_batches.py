"""Random manifests come to the batches that they came to before planning was cut into steps."""

import hashlib
from random import Random

from nst_kernel import StyleParams
from pipeline.manifest.row import Row
from pipeline.planning.batch import Failure
from pipeline.planning.history import History
from pipeline.planning.limits import Limits
from pipeline.planning.plan import plan

RECORDED = "75e4a8cf7900a9c7"
"""Of what was planned when signs were kept. Another model of cost or memory changes it, and nothing else may."""

GONE = Failure("StorageError", "gone")
SETTINGS = [StyleParams(), StyleParams(seed=1), StyleParams(iterations=(7,)), StyleParams(pooling="max")]
SHAPES: list[tuple[int, int] | Failure] = [
    (64, 64),
    (48, 64),
    (3000, 2000),
    (640, 480),
    Failure("StorageError", "gone"),
]


def batches(drawn: Random) -> str:
    """The batches of one random manifest, without fingerprints: those depend on the version of the algorithm."""
    rows, shapes = [], {}
    for n in range(drawn.randrange(60)):
        content, style = f"/c{drawn.randrange(9)}.png", f"/s{drawn.randrange(3)}.png"
        rows.append(Row(f"r{n}", content, style, f"{n}.png", drawn.choice(SETTINGS), "rows.csv", n))
        shapes[f"r{n}"] = drawn.choice(SHAPES)
    owners = {f"{n}.png": "other" for n in range(60) if drawn.random() < 0.1}
    limits = Limits(
        drawn.randint(1, 9),
        drawn.choice([None, 65536]),
        drawn.choice([None, 1e9, 2e10]),
        drawn.choice(["fp32", "bf16"]),
        drawn.randint(1, 5),
    )
    work = plan(
        rows,
        encoder_sha256="e",
        history=History(owners=owners),
        limits=limits,
        shape_of=lambda some: [shapes[row.id] for row in some],
        identify=lambda uris: dict.fromkeys(uris, "1"),
    )
    return repr(
        [
            (batch.saving, [(p.row.id, p.shape, p.failure and p.failure.error) for p in batch.rows])
            for batch in work.batches
        ]
    )


def test_batches_are_those_that_they_were() -> None:
    drawn = Random(0)
    digest = hashlib.sha256("".join(batches(drawn) for _ in range(100)).encode())
    assert digest.hexdigest()[:16] == RECORDED
