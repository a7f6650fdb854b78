"""A counter that a check runs: how it runs, what it gets, what it answers, and the causes of its difference."""

from __future__ import annotations

import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from torch import nn

from ..core.installation import Installation
from ..core.one_line import OneLine
from ..core.ops import CostedOp, Signature
from ..core.reason import Reason
from ..core.result import Result

__all__ = [
    "Answer",
    "Cause",
    "Peer",
    "PeerCount",
    "RealOperator",
    "Subject",
    "failure_of",
    "in_inference_mode",
    "quiet",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PeerCount(OneLine):
    """One tool's own account in MACs: what each module adds itself, or why there is none.

    `printed` is the total as the tool prints it, in its own `unit`, of which `per_mac` make one MAC.
    `halves` is the number of operators with an odd number of FLOPs, each of which loses half a MAC.
    `remark` is what else a reader should know about the printed number.
    """

    tool: str
    version: str
    by_module: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    halves: int = 0
    printed: int = 0
    unit: str = "MACs"
    per_mac: int = 1
    remark: str = ""

    def _headline(self) -> str:
        if self.failure is not None:
            return f"{self.tool} {self.version}: failed, {self.failure}"
        counted = sum(self.by_module.values())
        return f"{self.tool} {self.version}: {counted:,} MACs, printed as {self.printed:,} {self.unit}"


@dataclass(frozen=True, slots=True)
class Cause(OneLine):
    """Why a tool's count differs: `amount` MACs that it adds to (or leaves out of) ours, in `calls` calls."""

    tool: str
    path: str
    op: str
    why: Reason
    amount: int
    calls: int = 1


@dataclass(frozen=True, slots=True)
class RealOperator(OneLine):
    """One operator of the real forward pass, with our cost.

    `part_of` is the composite call that it came out of (one object per call), where that call has no rule of ours;
    `kernels` are those that served it, `has_formula` whether torch's counter knows any of them.
    """

    costed: CostedOp
    part_of: Signature | None = None
    kernels: tuple[Signature, ...] = ()
    has_formula: bool = True


@dataclass(frozen=True)
class Subject(OneLine):
    """What every tool is given: the module with its arguments, and our own report of it."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    report: Result
    _passes: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def names(self) -> dict[int, str]:
        """The first name of each part of the module, by its `id`."""
        return {id(part): name for name, part in self.module.named_modules()}

    def once(self, run: Callable[[Subject], T]) -> T:
        """The result of a run on this subject, computed for the first tool that asks for it."""
        if run not in self._passes:
            self._passes[run] = run(self)
        result: T = self._passes[run]
        return result


@dataclass(frozen=True, slots=True)
class Answer(OneLine):
    """What a tool counted and why that differs from ours."""

    count: PeerCount
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool under the name of its package: how it answers, how it is installed, and which version it is.

    `installation` is None for what flopcount itself is installed with.
    """

    name: str
    answer: Callable[[Subject], Answer]
    installation: Installation | None = None
    version_of: Callable[[str], str] = version

    @property
    def version(self) -> str:
        """The installed version."""
        return self.version_of(self.name)

    @property
    def installed(self) -> bool:
        """Whether the package is installed."""
        return find_spec(self.name) is not None

    def count(self, by_module: Mapping[str, int], printed: int, unit: str = "MACs", remark: str = "") -> PeerCount:
        """Its count in MACs; what it prints but charges to no module goes to the model itself."""
        macs = Counter(by_module)
        macs[""] += printed - sum(macs.values())
        return PeerCount(self.name, self.version, dict(macs), printed=printed, unit=unit, remark=remark)

    def failed(self, error: Exception) -> PeerCount:
        """An account without counts, and why the tool failed."""
        return PeerCount(self.name, self.version, failure=failure_of(error))


def failure_of(error: Exception) -> str:
    """One line of an exception, or of the one that a tool wrapped in its own."""
    error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    said = f": {error}".splitlines()[0] if str(error) else f" in {_raised_in(error)}"
    return f"{type(error).__name__}{said}"


def _raised_in(error: Exception) -> str:
    """The function that raised, for tools whose assertions have no message."""
    last = traceback.extract_tb(error.__traceback__)
    return last[-1].name if last else "the call"


def in_inference_mode(run: Callable[[AbstractContextManager[Any]], T]) -> T:
    """The result of a run in inference mode, or with gradients where the module differentiates inside."""
    try:
        return run(torch.inference_mode())
    except Exception:  # whatever a module raises on real tensors
        return run(torch.enable_grad())


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the tools' warnings about unknown operators and tracing; the causes say the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
