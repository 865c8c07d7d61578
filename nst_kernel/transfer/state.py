"""States of transfers that were interrupted: saved, and resumed as if nothing had happened.

The state of a random generator is not part of it: only the first pixels are drawn, by a seed, and the state has what
became of them.
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
from nst_kernel.transfer.errors import StateError

LAYOUT = 1
"""Version of the names and contents of the tensors; states of another one are refused."""

_ENTRY = "nst_state"


@dataclass(frozen=True)
class State:
    """The state of a batch in the middle of its transfer.

    Attributes:
        request: what `digest` returns for the batch; it does not depend on pictures.
        tensors: by name, on the CPU: pixels, best pixels, losses, curves, masks, counters, the optimiser's memory, and
            what became of the scales before.
        notes: values that the caller wants to keep with it, as JSON.
    """

    request: str
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: str, tensors: Mapping[str, Tensor]) -> Self:
        """Return a state of copies of tensors, which may lie on any device and change afterwards."""
        plain = torch.contiguous_format  # the only one that a file can have
        return cls(request, {name: t.detach().cpu().clone(memory_format=plain) for name, t in tensors.items()})

    def noting(self, /, **notes: Any) -> Self:
        """Return a copy of the state with further notes."""
        return dataclasses.replace(self, notes={**self.notes, **notes})

    def to_bytes(self) -> bytes:
        """Return the state as the bytes of a safetensors file."""
        entry = {"layout": LAYOUT, "request": self.request, "notes": self.notes}
        return save(dict(self.tensors), metadata={_ENTRY: json.dumps(entry)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that `to_bytes` wrote, in this or another process. Nothing in the bytes is executed.

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
    """Return a digest of everything, except pictures, that determines the state of a batch in mid-transfer.

    The precision is what `auto` chose: changes of gradient between two precisions would teach the optimiser noise.
    """
    parameters = [p.to_json() for p in params]
    about = [LAYOUT, nst_kernel.ALGORITHM_VERSION, shape, parameters, encoder_sha256, str(dtype), precision]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix/` before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): t for name, t in tensors.items() if name.startswith(f"{prefix}/")}


def numbered(prefix: str, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of all parts, with `prefix/NUMBER/` before each name."""
    return {name: t for n, part in enumerate(parts) for name, t in named(f"{prefix}/{n}", part).items()}


def listed(prefix: str, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the parts from tensors named `prefix/NUMBER/…`, as `numbered` names them, in order."""
    parts: list[dict[str, Tensor]] = []
    while part := below(f"{prefix}/{len(parts)}", tensors):
        parts.append(part)
    return parts
