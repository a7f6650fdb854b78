"""Which engine runs a module: an attempt is made only if the earlier ones cannot tell, and a real run only for data.

What enters is a ladder of engines; what leaves is the result of the first that meets nothing unknown. An error is the
module's own if tensors without data raise it twice in the same line, with and without devices. If they disagree, or if
the module asks for values, the next engine is tried. The place of an error decides this, never its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import nn

from ..core.errors import ForwardError, TraceError
from .engines import Rung
from .inputs import specs_of
from .origin import Failure, first_line
from .uncountable import NoKernel, Unknown

__all__ = ["Failed", "climb"]

ResultT = TypeVar("ResultT")


class Failed(Exception):
    """The module raised on one engine."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__()


Outcome = tuple[Rung, Failure | Unknown]


def climb(module: nn.Module, ladder: Iterable[Rung], engine: str, run: Callable[[Rung], ResultT]) -> ResultT:
    """The result of the first attempt that succeeds; `engine` is "auto" or the name of the engine to try.

    Raises:
        ForwardError: the module itself raises.
        TraceError: no engine could run it.
    """
    outcomes: list[Outcome] = []
    try:
        for rung in ladder:
            if engine in ("auto", rung.name) and _serves(rung, outcomes):
                try:
                    return run(rung)
                except Unknown as unknown:
                    outcomes.append((rung, unknown))
                except Failed as failed:
                    outcomes.append((rung, failed.failure))
        failure = _own(outcomes)
        if failure is not None and isinstance(failure.error, NoKernel):
            raise _lacks_kernel(module, failure, failure.error) from failure.error
        if failure is not None:
            try:
                raise forward_error(module, failure) from failure.error
            finally:
                del failure
        raise TraceError(
            f"{type(module).__name__} cannot be traced without its values",
            [
                *{rung.name: str(outcome) for rung, outcome in outcomes}.items(),
                ("fix", "give the module with real weights (not on the meta device) and real input tensors"),
            ],
        )
    finally:
        outcomes.clear()  # the frames of an attempt keep its tensors alive, and would keep this list


def _serves(rung: Rung, outcomes: list[Outcome]) -> bool:
    """Whether an attempt can find out more than the earlier ones."""
    if not outcomes:
        return True
    failed = isinstance(outcomes[-1][1], Failure)
    if rung.retries:
        return not failed
    if rung.real:
        return _wants_values(outcomes) and (not rung.gradients or failed)
    # with gradients a module gets further only if it raises without them
    return failed and not _unknowns(outcomes) if rung.gradients else True


def _unknowns(outcomes: list[Outcome]) -> list[Unknown]:
    return [outcome for _, outcome in outcomes if isinstance(outcome, Unknown)]


def _wants_values(outcomes: list[Outcome]) -> bool:
    """Whether the module needs values: an attempt without data asked for one, or two such attempts disagree."""
    dataless = [(rung, outcome) for rung, outcome in outcomes if not rung.real]
    if _unknowns(dataless) or not dataless:
        return True
    on_meta = [outcome for rung, outcome in dataless if rung.name == "meta" and isinstance(outcome, Failure)]
    on_fake = [outcome for rung, outcome in dataless if rung.name == "fake" and isinstance(outcome, Failure)]
    if not on_fake:
        return False
    first, *with_gradients = on_fake
    agree = any(first.is_same_as(other) for other in on_meta)
    return not agree or not all(first.is_same_place_as(other) for other in with_gradients)


def _own(outcomes: list[Outcome]) -> Failure | None:
    """The module's own error, if there is one: an error on real tensors, or on all engines without data."""
    real = [outcome for rung, outcome in outcomes if rung.real]
    failures = [outcome for outcome in (real or [outcome for _, outcome in outcomes]) if isinstance(outcome, Failure)]
    if not failures or (real and isinstance(real[-1], Unknown)) or (not real and _unknowns(outcomes)):
        return None
    # the caller's words name devices as they would be, so the last is shown; Python and torch name types as they are
    shown = [failure for failure in failures if failure.by_caller and failure.by_raise]
    return shown[-1] if shown else failures[-1 if real else 0]


def _lacks_kernel(module: nn.Module, failure: Failure, error: NoKernel) -> TraceError:
    """No engine has a kernel: torch cannot tell the shape of the operator's result."""
    name = error.operator.replace(".", "::")
    message = f"{type(module).__name__} needs {error.operator}, which has no kernel for {error.device} tensors"
    return TraceError(
        message,
        [
            ("in", f"{failure.layer or 'the model itself'} ({type(failure.module).__name__})"),
            ("fix", f'say the shape of its result by torch.library.register_fake("{name}"), or count where it runs'),
        ],
    )


_NORMS = "_verify_batch_size"  # torch's function that requires several values per channel


def forward_error(module: nn.Module, failure: Failure) -> ForwardError:
    """The module's own error, with its layer; advice only if an operator or a layer of torch rejects its input."""
    details = [("in", f"{failure.layer or 'the model itself'} ({type(failure.module).__name__})")]
    seen = ", ".join(map(str, specs_of(failure.given)))
    if seen:
        details.append(("given", seen))
    if failure.function == _NORMS:
        fix = "a norm in training needs several values per channel: give a larger batch or clip, or call .eval()"
        details.append(("fix", fix))
    elif failure.refuses_input:
        details.append(("fix", "check the input's shape against what this layer needs"))
    message = f"{type(module).__name__} raised {type(failure.error).__name__}: {first_line(failure.error)}"
    return ForwardError(message, details)
