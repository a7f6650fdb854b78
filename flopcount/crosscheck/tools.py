"""The counters that a check can ask, by name: each takes one pass of a module and gives its count and the causes.

A tool is imported when it is asked and not before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from torch import nn

from ..core.errors import InputError, UnknownNameError
from ..core.result import Result
from ..models.libraries.adapters import ready_torchvision
from .calflops_run import run_calflops
from .fvcore_causes import fvcore_causes
from .peer import Cause, Observed, PeerCount, failure_of
from .peers.calflops import calflops_causes
from .peers.fvcore import run_fvcore
from .peers.ptflops import ptflops_causes
from .peers.thop import thop_causes
from .peers.torch import run_torch
from .peers.torchinfo import torchinfo_causes
from .ptflops_run import batch_of, run_ptflops
from .thop_run import run_thop
from .torch_causes import torch_causes
from .torchinfo_run import run_torchinfo
from .watched import Watched

__all__ = ["DEFAULT", "TOOLS", "Answer", "Subject", "chosen"]

DEFAULT = ("fvcore", "torch")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool counted and why that is not ours."""

    count: PeerCount
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What every tool is given: the module with its arguments, and our own report of it."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    report: Result

    @cached_property
    def under_torch(self) -> tuple[PeerCount, tuple[Observed, ...]]:
        """The pass under torch's counter, which also says what fvcore ought to see."""
        count, operators = run_torch(self.module, self.args, self.kwargs)
        # where the pass failed, our own trace has to do
        return count, operators or tuple(map(Observed, self.report.ops))


def _torch(subject: Subject) -> Answer:
    count, operators = subject.under_torch
    return Answer(count, tuple(torch_causes(operators)) if count.failure is None else ())


def _fvcore(subject: Subject) -> Answer:
    _, operators = subject.under_torch
    run = run_fvcore(subject.module, subject.args, subject.kwargs)
    return Answer(run.count, tuple(fvcore_causes(operators, run)) if run.count.failure is None else ())


Run = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[PeerCount, Watched]]
Why = Callable[[Subject, Watched], Iterable[Cause]]


def _watched(tool: str, run: Run, why: Why) -> Callable[[Subject], Answer]:
    """A tool that runs beside our listener, in eval mode."""

    def answer(subject: Subject) -> Answer:
        try:
            ready_torchvision()  # ptflops and calflops import libraries that import it, if it is there
            count, watched = run(subject.module, subject.args, subject.kwargs)
        except Exception as error:  # whatever its import, its hooks, its formulas or the module under them raise
            return Answer(PeerCount(tool, version(tool), failure=failure_of(error)))
        return Answer(count, (*why(subject, watched), *_in_eval_mode(count.tool, subject, watched)))

    return answer


def _in_eval_mode(tool: str, subject: Subject, watched: Watched) -> Iterator[Cause]:
    """What a module in training does otherwise than in eval mode, into which the tool puts it."""
    if not any(part.training for part in subject.module.modules()):
        return
    theirs: Counter[str] = Counter()
    for op in watched.ops:
        theirs[op.op.module] += op.work.macs
    for module in subject.report.modules:
        amount = theirs[module.path] - module.own.macs
        if amount:
            yield Cause(tool, module.path, module.type, "switches to eval mode", amount)


def _ptflops_causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    return ptflops_causes(subject.module, watched, batch_of(subject.args, subject.kwargs))


def _calflops_causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    return calflops_causes(subject.module, watched)


@dataclass(frozen=True, slots=True)
class Tool:
    """The package that holds it and how it is asked."""

    package: str
    answer: Callable[[Subject], Answer]


TOOLS = {
    "fvcore": Tool("fvcore", _fvcore),
    "torch": Tool("torch", _torch),
    "thop": Tool("thop", _watched("thop", run_thop, lambda subject, watched: thop_causes(subject.module, watched))),
    "torchinfo": Tool("torchinfo", _watched("torchinfo", run_torchinfo, lambda _, watched: torchinfo_causes(watched))),
    "calflops": Tool("calflops", _watched("calflops", run_calflops, _calflops_causes)),
    "ptflops": Tool("ptflops", _watched("ptflops", run_ptflops, _ptflops_causes)),
}


def chosen(names: str | Sequence[str]) -> tuple[str, ...]:
    """Tool names, each once; one that does not exist or is not installed is an error before anything runs."""
    wanted = dict.fromkeys(name.strip() for name in (names.split(",") if isinstance(names, str) else names))
    if not wanted:
        raise InputError("no tool to check against", [("fix", f"name some of {', '.join(TOOLS)}")])
    for name in wanted:
        if name not in TOOLS:
            raise UnknownNameError("tool", name, TOOLS, f"choose from {', '.join(TOOLS)}")
        if find_spec(TOOLS[name].package) is None:
            fix = f"pip install 'flopcount[peers]', or check against {', '.join(DEFAULT)}"
            raise InputError(f"{name} is not installed", [("fix", fix)])
    return tuple(wanted)
