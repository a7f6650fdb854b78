"""`counting()`: what a block of code costs while it runs, as torch's FlopCounterMode is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from ._version import __version__
from .core.errors import InputError
from .core.ops import CostedOp
from .core.protocol import ONE_VIEW
from .core.result import ResultInput
from .core.shown_as_tables import ShownAsTables
from .core.table import Table
from .report import Report
from .rules.costing import cost
from .tracing.block_path import BlockPath
from .tracing.blocks import BlockMode
from .tracing.callables import as_module
from .tracing.communication import left_out

__all__ = ["Counting", "counting"]

_NO_INPUT = ResultInput(clip=None, stride=1, fps=None, shapes=(), batch=None, dtype="")


class Counting(ShownAsTables):
    """The count of a block of code, which can be read in the block (so far) and after it.

    It has the attributes and methods of a `Report`: `macs`, `flops`, `total`, `by_module()`, `by_operator()`,
    `uncosted`, `to_json()`. `report` is that report. What needs a module to be counted again (memory, span, a closed
    form) is refused.
    """

    def __init__(self, models: Mapping[str, nn.Module]) -> None:
        self._name = type(models[""]).__name__ if "" in models else "code"
        self._path = BlockPath(models)
        self._mode = BlockMode(self._path)
        self._running = ExitStack()
        self._state = "new"
        self._read: tuple[Any, Report] | None = None

    def __enter__(self) -> Counting:
        if self._state != "new":
            raise InputError(f"this count is {self._state}", [("fix", "count another block with another counting()")])
        self._state = "running"
        self._running.enter_context(self._path)
        self._running.enter_context(self._mode)
        return self

    def __exit__(self, *error: object) -> None:
        self._state = "over"
        self._running.__exit__(None, None, None)

    @property
    def report(self) -> Report:
        """The count so far, or of the whole block."""
        now = self._mode.steps, sum(self._path.calls.values()), self._state
        if self._read is None or self._read[0] != now:
            self._read = now, self._count()
        return self._read[1]

    def _count(self) -> Report:
        ops: list[CostedOp] = []
        noted = [*self._mode.ops.values()]
        for costed, (_, times) in zip(cost([op for op, _ in noted]), noted, strict=True):
            ops += [costed] * times
        calls = [call for call, times in self._path.calls.items() for _ in range(times)]
        threads = ", ".join(self._path.elsewhere)
        elsewhere = (f"the work of other threads is left out, where these modules ran: {threads}",) if threads else ()
        return Report(
            model=self._name,
            departures=(),
            input=_NO_INPUT,
            views=ONE_VIEW.views,
            ops=tuple(ops),
            tree=self._path.tree,
            calls=tuple(calls),
            engine="code",
            used_elsewhere=self._path.used,
            versions={"flopcount": __version__, "torch": torch.__version__},
            assumed=(*elsewhere, *left_out(self._mode.communication)),
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return getattr(self.report, name)

    def _headline(self) -> str:
        return f"{self._state}: {self.report.macs:,} MACs"

    def _tables(self) -> tuple[Table, ...]:
        return self.report._tables()


def counting(model: Callable[..., Any] | None = None, *, models: Mapping[str, nn.Module] | None = None) -> Counting:
    """Count a block of code while it runs, such as a training step: forward, backward and optimizer.

    The code computes what it computes without it, except that compiled modules run uncompiled, as their kernels cannot
    be seen, and control flow that is an operator (`torch.cond`) as the Python that it stands for. Operations of this
    thread alone count; each is of the module that runs, or whose gradient it makes. Work of compiled extensions is not
    seen. Use it as a context manager: `with flopcount.counting() as count:`.

    Arguments:
        model: the module whose tree the count has, so that paths are as in `count_flops`; without it, each module that
            runs is named by its class.
        models: several modules by name, such as {"student": student, "teacher": teacher}.

    Raises:
        InputError: an argument is not a module, or both are given.
    """
    if model is not None and models:
        raise InputError("counting got both model and models", [("fix", "give one of them")])
    named = {"": model} if model is not None else dict(models or {})
    for name, module in named.items():
        if not isinstance(module, nn.Module):
            raise InputError(
                f"counting follows modules, and {name or 'model'} is a {type(module).__name__}",
                [("fix", "give a torch.nn.Module, or nothing: modules are found when they run")],
            )
        if "." in str(name):
            raise InputError(f"a model is named {name!r}", [("fix", "give a name without dots")])
    return Counting({str(name): as_module(module) for name, module in named.items()})
