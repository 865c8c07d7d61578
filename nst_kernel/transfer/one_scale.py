"""The loop of one scale: iterate, let finished samples leave, tell the observer; never wait for the device."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nst_kernel.params import StyleParams
from nst_kernel.transfer.cuda_graph import Repeated
from nst_kernel.transfer.descent import Descent, Stopped, together
from nst_kernel.transfer.iterates import Iterates, Losses
from nst_kernel.transfer.observer import Observer
from nst_kernel.transfer.pacing import Pace, mark
from nst_kernel.transfer.state import below, listed, named, numbered

PATIENCE = 20
"""Evaluations between two looks at which samples have ended."""

LOSSES_EVERY = 8
"""Evaluations on a GPU between two looks at losses: the host is that far ahead of it."""


def descend(
    objective: Losses,
    x: Tensor,
    params: Sequence[StyleParams],
    *,
    iterations: int,
    observer: Observer | None = None,
    resume: Mapping[str, Tensor] | None = None,
) -> Descent:
    """Minimise column 0 of `objective` over x (B, ...), each sample by itself.

    A sample whose loss or gradient is not finite goes back to its best iterate, starts anew and is marked.
    One whose loss fell by less than `min_improvement` of itself over `window` evaluations stays where it is, and
    leaves the batch once a quarter of it has ended, so that the rest goes faster.

    Args:
        objective: of all samples.
        x: the first pixels of each sample.
        params: of each sample.
        iterations: evaluations at most.
        observer: called after each evaluation; it may stop the descent.
        resume: `Stopped.tensors` of an earlier call with equal arguments. The result is that of an uninterrupted one,
            on a CPU to the bit.

    Raises:
        Stopped: when the observer stops it while there are samples left to optimise.
    """
    batch = _Batch(objective, x, params, iterations, resume)
    pace = Pace(x.device)
    for k in range(batch.made + 1, iterations + 1):
        batch.step()
        if observer:
            pace.step()
            batch.tell_losses(observer, k)
            observer.iteration(k, iterations)
            if observer.frames:
                observer.frames.after(k, batch.members.tolist(), batch.iterates)
        if batch.ends and k % PATIENCE == 0:
            batch.release()
            if not len(batch.members):
                break
        if observer and observer.stop:
            if observer.frames:
                observer.frames.pass_on()
            raise batch.stopped(k)
    if observer and observer.frames:
        observer.frames.pass_on()
    return batch.descent()


class _Batch:
    """The samples that are still optimised, by their place in the batch, and the results of those that have left it."""

    def __init__(
        self,
        objective: Losses,
        x: Tensor,
        params: Sequence[StyleParams],
        iterations: int,
        resume: Mapping[str, Tensor] | None,
    ) -> None:
        self.ends = any(p.min_improvement > 0 for p in params)
        self.members = torch.arange(len(x))
        self.left: list[tuple[Tensor, Descent]] = []
        if resume is not None:
            self.members = resume["members"]
            for part in listed("gone", resume):
                self.left.append((part.pop("members"), Descent(**part).to(x.device)))
            if len(self.members) < len(x):
                here = self.members.to(x.device)
                objective, x, params = objective.select(here), x[here], [params[b] for b in self.members.tolist()]
        self.iterates = Iterates(objective, x, params, iterations)
        if resume is not None:
            self.iterates.load(below("walk", resume))
        self.made = int(self.iterates.k) if resume is not None else 0
        self._prepare(x.device)

    def _prepare(self, device: torch.device) -> None:
        """Make the step that is repeated, and the look at who has ended, for the samples that are there now."""
        self.step = Repeated(self.iterates.iterate, device)
        self._look, self._losses = _Look(device), _Look(device)

    def tell_losses(self, observer: Observer, k: int) -> None:
        """Tell an observer that wants them the losses of evaluation k; on a GPU, now and then those of one before."""
        if not observer.wants_losses or (self.iterates.x.is_cuda and k % LOSSES_EVERY):
            return
        if (losses := self._losses(self.iterates.curves[k - 1, :, 0])) is not None:
            for sample, loss in zip(self.members.tolist(), losses.tolist(), strict=True):
                observer.loss(sample, loss)

    def release(self) -> None:
        """Let samples that have ended leave the batch, if they are a quarter of it: for fewer it does not pay."""
        active = self._look(self.iterates.active)
        if active is None or 4 * int(active.sum()) > 3 * len(active):
            return
        gone, staying = (~active).nonzero()[:, 0], active.nonzero()[:, 0]
        device = self.iterates.x.device
        self.left.append((self.members[gone], self.iterates.descent(gone.to(device))))
        self.members = self.members[staying]
        if len(self.members):
            del self.step  # and the memory of its graph
            self.iterates.select(staying.to(device))
            self._prepare(device)

    def stopped(self, k: int) -> Stopped:
        """Return what is raised when the descent is stopped after evaluation k."""
        left = [{"members": places, **descent.to_tensors()} for places, descent in self.left]
        # Names of tensors in files of saved states, which stay as they are.
        tensors = {
            "members": self.members,
            **numbered("gone", left),
            **named("walk", self.iterates.to_tensors()),
        }
        so_far = self.descent()
        ended = torch.ones(len(so_far.x), dtype=torch.bool)
        ended[self.members] = ~self.iterates.active.cpu()
        return Stopped(tensors, k, so_far, ended)

    def descent(self) -> Descent:
        """Return the results of all samples, in their places."""
        if not len(self.members):
            return together(self.left)
        everyone = torch.arange(len(self.members), device=self.iterates.x.device)
        return together([*self.left, (self.members, self.iterates.descent(everyone))])


class _Look:
    """A look at values of the samples that never waits for the device: on a GPU it is one look late."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.sent: tuple[Tensor, torch.cuda.Event] | None = None

    def __call__(self, values: Tensor) -> Tensor | None:
        """Return the values (B,) as they were at the last look, None at the first; on a CPU, as they are now."""
        if not self.on_gpu:
            return values.clone()
        last, there = self.sent, torch.empty(len(values), dtype=values.dtype, pin_memory=True)
        there.copy_(values, non_blocking=True)
        self.sent = there, mark()
        if last is None:
            return None
        last[1].synchronize()  # of many evaluations ago: the device has more than enough to do meanwhile
        return last[0]
