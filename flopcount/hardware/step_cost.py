"""The cost of a training step: forward, loss, backward and optimizer, by the operators that autograd runs."""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import InputError
from ..core.ops import Phase, Trace
from ..core.result import Result
from ..training.training import Training
from .cost import Cost, cost_on
from .followed_step import costed_step, is_stepwise
from .precision import counted_dtype
from .setting import Setting

__all__ = ["step_cost"]


def step_cost(training: Training, followed: Result, setting: Setting) -> Cost:
    """The cost of one step of a result that was counted in training, whose step was followed with its data.

    Raises:
        InputError: the step could not be followed, it has a GRU or a plain RNN and the device is a GPU, or the
            datasheet lacks what the precision needs.
    """
    trace = followed.saving
    if not isinstance(trace, Trace) or trace.dataflow is None:
        why = trace if isinstance(trace, str) and trace else "its training step was not followed"
        raise InputError(f"no time of a training step of {followed.model}", [("seen", str(why))])
    optimizer = tuple(op.costed for op in training.ops if op.phase is Phase.OPTIMIZER)
    ops = (*costed_step(trace), *optimizer)
    shown = training.step
    conditions = setting.conditions(counted_dtype(followed), training=True)
    stepwise = next((op for op in training.step.ops if is_stepwise(op)), None)
    if stepwise is not None and not conditions.cpu:
        raise InputError(
            f"no time of a training step of {followed.model} on {conditions.device.name}: {stepwise.name} is followed "
            "step by step, as a CPU runs it, and a GPU runs it as one kernel",
            [("in", stepwise.op.module or "the model itself"), ("fix", "ask for the forward pass, or use an LSTM")],
        )
    predicted = cost_on(
        replace(shown, dataflow=None),
        conditions,
        price=setting.price,
        utilisation=setting.utilisation,
        step=(ops, trace.dataflow),
        choice=setting.choice(conditions),
    )
    if training.epochs is None or training.samples is None:
        return predicted
    return replace(predicted, planned=(training.epochs, training.samples))
