"""What Ray Data remembers of a dataset, kept from growing with the length of a run."""

from typing import Any

from ray.data._internal.execution.execution_callback import ExecutionCallback


class ForgetBlocks(ExecutionCallback):
    """Drops the statistics of finished blocks, 4 kB of the driver's memory for each batch, which nobody looks at."""

    def on_execution_step(self, executor: Any) -> None:
        """Empty the lists in which the stages of a dataset collect them."""
        for operator in executor._topology:
            for blocks in operator.get_stats().values():
                blocks.clear()
