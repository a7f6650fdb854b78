"""The optimizers whose step can be counted, by name; torch's own code runs on shapes, after its state exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import UnknownNameError
from ..core.one_line import OneLine

if TYPE_CHECKING:
    import torch

__all__ = ["OPTIMIZERS", "Optimizer", "find_optimizer"]


@dataclass(frozen=True, slots=True)
class Optimizer(OneLine):
    """An optimizer: name, title, how torch builds it for a list of parameters, and the numbers it keeps of each."""

    name: str
    title: str
    build: Callable[[Any], torch.optim.Optimizer]
    state: int


def _sgd(parameters: Any) -> torch.optim.Optimizer:
    import torch

    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, foreach=False)


def _adam(parameters: Any) -> torch.optim.Optimizer:
    import torch

    return torch.optim.Adam(parameters, lr=1e-3, foreach=False)


def _adamw(parameters: Any) -> torch.optim.Optimizer:
    import torch

    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, foreach=False)


OPTIMIZERS = {
    "sgd": Optimizer("sgd", "SGD with momentum 0.9, no weight decay", _sgd, 1),
    "adam": Optimizer("adam", "Adam without weight decay", _adam, 2),
    "adamw": Optimizer("adamw", "AdamW with weight decay", _adamw, 2),
}


def find_optimizer(name: str | None) -> Optimizer | None:
    """The optimizer of that name, or None without a name.

    Raises:
        UnknownNameError: there is no such optimizer; the message offers near names.
    """
    if name is None:
        return None
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", str(name), OPTIMIZERS, f"choose {', '.join(OPTIMIZERS)}, or none")
    return OPTIMIZERS[name]
