"""What else a report says of a network besides its cost: training, memory, span, receptive field, as commands say it.

What enters is a model by name; what leaves is frozen. A reading that cannot be had is None, and `missing` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from ..analysis.memory import Memory, memory_of
from ..analysis.receptive_field import Fields, receptive_field
from ..analysis.span import Span, span_of
from ..core.errors import FlopcountError
from ..core.model_spec import ModelSpec
from ..core.protocol import ONE_VIEW, Protocol
from ..count import count, count_named
from ..models.by_name import with_model
from ..tracing import TURN
from ..tracing.arguments import Input, settled
from ..training.optimizers import OPTIMIZERS
from ..training.plan import Plan
from ..training.training import Training, count_training

__all__ = ["OPTIMIZER", "Readings", "readings_of"]

OPTIMIZER = "adamw"
"""The optimizer whose step and whose state are counted."""

_ENGINE = "auto"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of one network, at the clip of its report.

    `training` and `memory` are of a step of `OPTIMIZER`; `fields` are by module. `missing` has the reason for each that
    is None, by its name.
    """

    training: Training | None
    memory: Memory | None
    span: Span | None
    fields: Fields | None
    missing: dict[str, str]


def readings_of(
    spec: ModelSpec, protocol: Protocol = ONE_VIEW, progress: Callable[[str], None] = lambda what: None
) -> Readings:
    """Every reading of a model, each as its command gives it; none of them fails the others.

    Arguments:
        spec: the model, as its report counts it.
        protocol: the testing protocol, and the batch.
        progress: called with what is being done.
    """
    missing: dict[str, str] = {}

    def reading(names: tuple[str, ...], find: Callable[[], T]) -> T | None:
        try:
            return find()
        except FlopcountError as error:
            missing.update(dict.fromkeys(names, error.message))
            return None

    progress(f"{spec.name}: memory and span")
    followed = reading(("memory", "span"), lambda: count_named(spec, protocol, dataflow=True))
    memory = None if followed is None else reading(("memory",), lambda: memory_of(followed))
    span = None if followed is None else reading(("span",), lambda: span_of(followed))
    progress(f"{spec.name}: training")
    training = reading(("training",), lambda: with_model(spec, protocol, _training))
    progress(f"{spec.name}: receptive field")
    fields = reading(("receptive field",), lambda: with_model(spec, protocol, _fields))
    return Readings(training, memory, span, fields, missing)


def _training(module: nn.Module, input: Input, protocol: Protocol) -> Training:
    """A training step, on the forward pass that the module does in training mode."""
    plan = Plan(optimizer=OPTIMIZERS[OPTIMIZER])
    with TURN, plan.applied(module):
        shared = settled(input, module, _ENGINE)
        return count_training(count(module, shared, protocol), module, shared, _ENGINE, plan)


def _fields(module: nn.Module, input: Input, protocol: Protocol) -> Fields:
    return receptive_field(module, input)
