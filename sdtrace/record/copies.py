"""Tensors of a device that travel to the host in one copy, for which nobody waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tensor = Any

#: Steps that may be on their way before the oldest is waited for.
BEHIND = 64
#: Columns of a row of p, and of a drafted token, that are made on the device.
OF_TARGET = ("target_argmax_ids", "target_top2_gap", "target_sq", "target_entropy", "target_varentropy")
OF_DRAFT = ("draft_probs", "overlap", "draft_sq", "draft_entropy")


@dataclass(frozen=True)
class Flat:
    """Tensors end to end in one of float64, which holds every float32 and every id exactly; `parts`: (name, shape) in order."""

    values: Tensor
    parts: tuple[tuple[str, tuple[int, ...]], ...]

    def arrays(self) -> dict[str, Any]:
        """The tensors as numpy arrays of float64."""
        whole, at, found = self.values.numpy(), 0, {}
        for name, shape in self.parts:
            size = 1
            for n in shape:
                size *= n
            found[name] = whole[at : at + size].reshape(shape)
            at += size
        return found


def flat(tensors: Mapping[str, Tensor]) -> Flat:
    """All of them in one tensor of their device."""
    import torch

    parts = tuple((name, tuple(value.shape)) for name, value in tensors.items())
    return Flat(torch.cat([value.reshape(-1).double() for value in tensors.values()]), parts)


def sent(flat: Flat) -> tuple[Flat, Any]:
    """The copy on the host, and the event that ends it (None where it is there already). Nobody waits."""
    import torch

    if flat.values.device.type == "cpu":
        return flat, None
    host = torch.empty(flat.values.shape, dtype=torch.float64, pin_memory=True)
    host.copy_(flat.values, non_blocking=True)
    event = torch.Event(flat.values.device)
    event.record()
    return Flat(host, flat.parts), event
