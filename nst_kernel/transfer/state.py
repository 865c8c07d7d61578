"""Where a transfer stands in the middle: what can be kept, and resumed from as if nothing had happened.

There is no state of a random generator in it: only the first pixels are drawn, by a seed, and they are long in here.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from safetensors.torch import load, save
from torch import Tensor

import nst_kernel
from nst_kernel.params import StyleParams
from nst_kernel.result import StylizeResult

LAYOUT = 1
"""Raised whenever the names or meanings of the tensors change."""

_ENTRY = "nst_state"


class StateError(ValueError):
    """A state that is damaged, or of another request, encoder or version."""


class Interrupted(Exception):
    """Raised by a transfer that its `progress` has stopped.

    Attributes:
        state: to go on from.
        iteration: loss evaluations made, of those of all scales.
        finished: by place in the batch, samples that had come to their end already.
    """

    def __init__(self, state: "State", *, iteration: int, finished: Mapping[int, StylizeResult]) -> None:
        self.state, self.iteration, self.finished = state, iteration, finished
        super().__init__(f"stopped at iteration {iteration}")


@dataclass(frozen=True)
class State:
    """A batch in the middle of its transfer.

    Attributes:
        request: a digest of what was asked, as `digest` says it; pictures take no part.
        tensors: by name, on the CPU: pixels, best pixels, losses, curves, masks, counters, the optimiser's memory, and
            what became of the scales before.
        notes: whatever the caller wants to keep beside it, as JSON.
    """

    request: str
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: str, tensors: Mapping[str, Tensor]) -> Self:
        """Of tensors on any device, which may change afterwards."""
        plain = torch.contiguous_format  # the only one that a file can have
        return cls(request, {name: t.detach().cpu().clone(memory_format=plain) for name, t in tensors.items()})

    def noting(self, **notes: Any) -> Self:
        """The same with these notes."""
        return dataclasses.replace(self, notes={**self.notes, **notes})

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        entry = {"layout": LAYOUT, "request": self.request, "notes": self.notes}
        return save(dict(self.tensors), metadata={_ENTRY: json.dumps(entry)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """From `to_bytes`, in this or another process. Nothing in the bytes is executed.

        Raises:
            StateError: if they are damaged, or of another layout.
        """
        try:
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            entry = json.loads(header["__metadata__"][_ENTRY])
            layout, request, notes = entry["layout"], str(entry["request"]), dict(entry["notes"])
            # Copies: what is loaded lies at odd addresses, and sums may depend on how vectors are aligned.
            tensors = {name: tensor.clone() for name, tensor in load(data).items()}
        except Exception as error:  # safetensors has errors of its own
            raise StateError(f"no state of a transfer: {error}") from error
        if layout != LAYOUT:
            raise StateError(f"a state of layout {layout}: expected {LAYOUT}")
        return cls(request, tensors, notes)


def digest(
    shape: tuple[int, int], params: Sequence[StyleParams], encoder_sha256: str, dtype: torch.dtype, precision: str
) -> str:
    """Of everything but pictures that decides what a batch in the middle looks like.

    The precision is what `auto` came to: changes of gradient between two precisions would teach the optimiser noise.
    """
    asked = [p.to_json() for p in params]
    about = [LAYOUT, nst_kernel.ALGORITHM_VERSION, shape, asked, encoder_sha256, str(dtype), precision]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same below a name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those below a name, without it."""
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}


def numbered(prefix: str, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Many below a name, each below its number."""
    return {name: t for n, part in enumerate(parts) for name, t in named(f"{prefix}/{n}", part).items()}


def listed(prefix: str, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """What `numbered` was given."""
    parts: list[dict[str, Tensor]] = []
    while part := below(f"{prefix}/{len(parts)}", tensors):
        parts.append(part)
    return parts
