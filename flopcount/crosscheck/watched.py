"""A tool at work on the user's module, with our own listener beside it: what ran, and which formulas were called.

What enters is the module, its input and the tool's call; what leaves is the tool's answer and, of the very same pass,
the operators with our cost, the calls of modules and the calls of the tool's functional formulas. Afterwards module,
torch's namespaces, standard output and logging are as before: these tools print, patch torch and leave hooks behind.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional

from ..core.installation import Installation
from ..core.ops import CostedOp, ModuleCall
from ..core.reason import Reason
from ..models.torchvision_operators import ready_torchvision
from ..rules.costing import cost
from ..tracing.attribution import ModulePath
from ..tracing.guard.preserve import preserved
from ..tracing.native import NativeMode
from .peer import Answer, Cause, Peer, PeerCount, Subject, in_inference_mode, quiet

__all__ = ["FormulaCall", "Journal", "Watched", "watch", "watched_peer"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FormulaCall:
    """One call of a tool's formula for a function: in which module, before which operator, with which shapes."""

    function: str
    path: str
    at: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    amount: int


@dataclass(frozen=True, slots=True)
class Watched:
    """One pass: modules by their first name, operators with our cost, calls of modules, calls of formulas."""

    modules: dict[str, nn.Module]
    ops: tuple[CostedOp, ...]
    calls: tuple[ModuleCall, ...]
    formula_calls: tuple[FormulaCall, ...]


class Journal:
    """Where a running tool's wrapper writes down that a formula was called, and finds what the tool printed."""

    def __init__(self, path: ModulePath, listener: NativeMode, output: io.StringIO) -> None:
        self._path = path
        self._listener = listener
        self.output = output
        self.formula_calls: list[FormulaCall] = []

    def note_calls(
        self, function: Any, formula: Callable[..., T], amount_of: Callable[[Any], int] = int
    ) -> Callable[..., T]:
        """The formula for a function, which the tool asks just before the function runs; every call is written down."""
        function_name = _name_of(function)

        def noting_formula(*args: Any, **kwargs: Any) -> T:
            result, at = formula(*args, **kwargs), len(self._listener.ops)
            shapes = tuple(map(_shape, args)), {name: _shape(value) for name, value in kwargs.items()}
            self.formula_calls.append(FormulaCall(function_name, self._path.path, at, *shapes, amount_of(result)))
            return result

        return noting_formula


def _name_of(function: Any) -> str:
    """A function's name; those of torch.nn.functional that choose by an argument have another name inside."""
    public = (name for name, value in vars(functional).items() if value is function and not name.startswith("_"))
    return f"F.{name}" if (name := next(public, "")) else f"torch.{function.__name__}"


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, torch.Tensor) else value


def watch(module: nn.Module, call: Callable[[Journal], Any]) -> tuple[Any, Watched]:
    """Run the tool in inference mode, where operators arrive whole; with gradients, if the module asks for them."""
    return in_inference_mode(lambda gradients: _watch(module, call, gradients))


def _watch(module: nn.Module, call: Callable[[Journal], Any], gradients: Any) -> tuple[Any, Watched]:
    path = ModulePath(module)
    listener = NativeMode(path)
    journal = Journal(path, listener, io.StringIO())
    modules = dict(module.named_modules())
    with (
        preserved(module, real=True),
        _namespaces_kept(),
        _silence(journal.output),
        quiet(),
        gradients,
        path,
        listener,
    ):
        answer = call(journal)
    listener.let_go()
    return answer, Watched(modules, tuple(cost(listener.ops)), tuple(path.calls), tuple(journal.formula_calls))


@contextmanager
def _namespaces_kept() -> Iterator[None]:
    """Restore what a tool patches in torch, also what it leaves behind when the module raises."""
    owners: tuple[Any, ...] = (functional, torch, torch.Tensor)
    before = [dict(vars(owner)) for owner in owners]
    try:
        yield
    finally:
        for owner, names in zip(owners, before, strict=True):
            for name, value in list(vars(owner).items()):
                if isinstance(value, ModuleType):  # a part of torch that was loaded meanwhile
                    continue
                if name not in names:
                    delattr(owner, name)
                elif value is not names[name]:
                    setattr(owner, name, names[name])


@contextmanager
def _silence(output: io.StringIO) -> Iterator[None]:
    """Send what the tools print to `output`; drop what they log, and the handler that logging adds."""
    handlers, level = list(logging.root.handlers), logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(output), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.root.handlers[:] = handlers
        logging.disable(level)


def watched_peer(
    name: str,
    run: Callable[[Subject], tuple[PeerCount, Watched]],
    causes: Callable[[Subject, Watched], Iterable[Cause]],
    *requirements: str,
) -> Peer:
    """A tool that runs beside our listener, in eval mode; `requirements` are what pip installs for it."""

    def answer(subject: Subject) -> Answer:
        try:
            ready_torchvision()  # ptflops and calflops import libraries that import it, if it is there
            count, watched = run(subject)
        except Exception as error:  # whatever its import, its hooks, its formulas or the module under them raise
            return Answer(peer.failed(error))
        return Answer(count, (*causes(subject, watched), *_in_eval_mode(name, subject, watched)))

    peer = Peer(name, answer, Installation("peers", requirements))
    return peer


_EVAL_MODE = Reason("switches to eval mode")


def _in_eval_mode(tool: str, subject: Subject, watched: Watched) -> Iterator[Cause]:
    """What a module in training does differently in eval mode, into which the tool puts it."""
    if not any(part.training for part in subject.module.modules()):
        return
    theirs: Counter[str] = Counter()
    for op in watched.ops:
        theirs[op.op.module] += op.work.macs
    for module in subject.report.modules:
        amount = theirs[module.path] - module.own.macs
        if amount:
            yield Cause(tool, module.path, module.type, _EVAL_MODE, amount)
