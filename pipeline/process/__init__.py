"""What a process does about hangs, signals, draining nodes and a lost lock, and child processes with limits.

Three kinds of process take part in a run. The **driver** plans, waits for rows and holds the run lock. **Actors**
optimise batches, for seconds to hours each. **Tasks** fetch and write, for seconds. All of them may crash at any time;
`pipeline/recovery/README.md` says what that costs. This room is about the ends that a process can foresee, or that it
brings about itself:

- *A picture hangs its decoder, crashes it or floods its memory*: decoders run in `children`, processes with a limit of
  time and memory each, so that it costs no process that plans, fetches or reports. Its row fails.
- *An actor or a task hangs*: it shows no sign of life for `stall_timeout`. `watchdog`, a thread in C of the same
  process, ends it and prints its stacks. Its record stays in the ledger, so that this is a crash of its rows.
- *SIGTERM reaches an actor*, since its machine will be taken away. `Preemption`, a handler in its main thread, ends it
  at once if less than `worth_saving` seconds of work are unsaved; else work stops after the current iteration, its
  state is saved, and then the process ends.
- *Ray drains the node of an actor*. `draining`, a thread that asks Ray every 2 s, tells `Preemption`: short work is
  finished, long work is saved as after SIGTERM.
- *The run of an actor is over*, stopped or replaced by another. `recovery.orphans`, a thread that reads the run lock
  every 15 s, ends the actor at once, since nobody waits for its result.
- *The driver loses the run lock* while it waits for a row. The thread that renews the lock calls what `interruptible`
  gave, which raises `MainThreadInterrupted` in the main thread, and the run ends with exit code 3.
- *Millions of objects are made at once*, as in planning. `garbage.paused` keeps Python from searching all of them for
  reference cycles again and again.

**Leaving is not crashing.** An actor that ends on SIGTERM, on draining or with its run withdraws its records from the
ledger first (`Preemption.before_leaving`), so that its rows are not suspected; the watchdog leaves them. All end by
`_exit`: to Ray, a process that is gone is one to replace, while SystemExit is a failure of the job.

**Which thread does what.** Signal handlers run in the main thread only. Ray constructs an actor in its main thread,
where `Preemption` sets its handler, and calls it in another one: so the handler notes the request, and the work looks
at `Preemption.wanted` after each iteration. The driver's main thread is in a wait that nothing but a signal ends, which
is why `interruptible` sends it SIGUSR1. The watchdog needs no thread of Python, so that it also ends code that never
releases the interpreter's lock.

**In what order, after each iteration of an actor**: `watchdog.alive()`, the deadline of the batch, `Preemption.wanted`,
the time of the next periodic save. A save restarts the count of unsaved seconds (`Preemption.saved`).
"""

from pipeline.process import children, draining, garbage, watchdog
from pipeline.process.interrupt import interruptible
from pipeline.process.machine import main_memory
from pipeline.process.native_stderr import is_native, native_stderr_hidden
from pipeline.process.polling import call_when
from pipeline.process.preemption import Preemption
from pipeline.process.stages import STAGES, stage

__all__ = [
    "STAGES",
    "Preemption",
    "call_when",
    "children",
    "draining",
    "garbage",
    "interruptible",
    "is_native",
    "main_memory",
    "native_stderr_hidden",
    "stage",
    "watchdog",
]
