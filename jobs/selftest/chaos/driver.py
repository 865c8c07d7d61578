"""A run in a process of its own, which can be killed.

`python -m jobs.selftest.chaos.driver ADDRESS SCENARIO`, SCENARIO as JSON, prints counts of the run as JSON in its last
line.
"""

import json
import sys

from jobs.selftest.chaos.scenario import Scenario, connect


def main(address: str, scenario: str) -> None:
    """Run a scenario on a cluster, and print its counts.

    Args:
        address: of the cluster; `local` starts one.
        scenario: as JSON.
    """
    connect(address)
    progress = Scenario.from_json(scenario).run()
    print(json.dumps({"total": progress.total, "quarantined_before": progress.quarantined_before, **progress.counts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
