"""A run in a process of its own, which can be killed.

`python -m jobs.selftest.chaos.driver ADDRESS PLAY`, PLAY as JSON.

Prints what the run came to as JSON, in its last line.
"""

import json
import sys

from jobs.selftest.chaos.stage import Play, connect


def main(address: str, play: str) -> None:
    """Run a play on the cluster at an address; `local`: on one of its own."""
    connect(address)
    progress = Play.from_json(play).run()
    print(json.dumps({"total": progress.total, "quarantined_before": progress.quarantined_before, **progress.counts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
