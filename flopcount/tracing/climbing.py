"""Which engine runs a module: an attempt is made only if the earlier ones cannot tell, and a real run only for data.

What enters is a ladder of engines; what leaves is the result of the first that meets nothing unknown. An error is the
module's own if tensors without data raise it twice in the same line, with and without devices. If they disagree, or if
the module asks for values, the next engine is tried. The place of an error decides this, never its words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from torch import nn

from ..core.errors import ForwardError, TraceError
from .advice import advice_on
from .engines import Rung, elsewhere
from .guard.distributed import ShardedError
from .holders import tensors_within
from .inputs import specs_of
from .origin import Failure, first_line
from .uncountable import AbsentDevice, NoKernel, Unknown

__all__ = ["Failed", "climb"]

ResultT = TypeVar("ResultT")


class Failed(Exception):
    """The module raised on one engine."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__()


Outcome = tuple[Rung, Failure | Unknown]


def climb(
    module: nn.Module,
    arguments: tuple[Any, Any],
    ladder: Iterable[Rung],
    engine: str,
    run: Callable[[Rung], ResultT],
) -> ResultT:
    """The result of the first attempt that succeeds; `engine` is "auto" or the name of the engine to try.

    `arguments` are those of the module, positional ones and keywords, for advice on an error.

    Raises:
        ForwardError: the module itself raises.
        TraceError: no engine could run it.
    """
    rungs = tuple(ladder)
    try:
        return _climb(module, arguments, rungs, engine, run)
    except AbsentDevice:
        pass  # outside of this clause, so that a later error has no context
    try:
        return _climb(module, arguments, map(elsewhere, rungs), engine, run)
    except AbsentDevice as absent:
        raise TraceError(
            f"{type(module).__name__} asks for {absent.device}, which is not here",
            [
                ("in", absent.layer),
                ("seen", f"torch.{absent.device}.is_available() is False"),
                ("fix", "count it where there is one, or let the module take its device from its input: x.device"),
            ],
        ) from None


def _climb(
    module: nn.Module, arguments: tuple[Any, Any], ladder: Iterable[Rung], engine: str, run: Callable[[Rung], ResultT]
) -> ResultT:
    outcomes: list[Outcome] = []
    try:
        for rung in ladder:
            if engine in ("auto", rung.name) and _serves(rung, outcomes):
                try:
                    return run(rung)
                except AbsentDevice:
                    raise
                except Unknown as unknown:
                    outcomes.append((rung, unknown))
                except Failed as failed:
                    outcomes.append((rung, failed.failure))
                except ShardedError:
                    if not _refuses_input(outcomes):
                        raise
                    break  # shapes alone say that the input is wrong
        failure = _own(outcomes)
        if failure is not None and isinstance(failure.error, NoKernel):
            raise _lacks_kernel(module, failure, failure.error) from failure.error
        if failure is not None:
            try:
                raise forward_error(module, failure, arguments) from failure.error
            finally:
                del failure
        places = [unknown.place for unknown in _unknowns(outcomes) if unknown.place]
        raise TraceError(
            f"{type(module).__name__} cannot be traced without its values",
            [
                *(("in", place) for place in places[-1:]),
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
    if not rung.gradients:
        return True
    # with gradients a module gets further only if it raises without them
    without = [outcome for rung, outcome in outcomes if not rung.gradients]
    if not without or not all(unknown.by_compiled_code for unknown in _unknowns(outcomes)):
        return False
    return not rung.hides_floats or any(isinstance(outcome, Unknown) or outcome.by_autograd for outcome in without)


def _refuses_input(outcomes: list[Outcome]) -> bool:
    """Whether an operator rejected the shapes that it got."""
    return bool(outcomes) and all(isinstance(o, Failure) and o.refuses_input for _, o in outcomes)


def _unknowns(outcomes: list[Outcome]) -> list[Unknown]:
    """What is not known; an engine that hides numbers which a later one knows does not tell."""
    tells = [outcome for rung, outcome in outcomes if not (rung.gradients and rung.hides_floats)]
    return [outcome for outcome in tells if isinstance(outcome, Unknown)]


def _wants_values(outcomes: list[Outcome]) -> bool:
    """Whether the module needs values: an attempt without data asked for one, or two such attempts disagree."""
    dataless = [(rung, outcome) for rung, outcome in outcomes if not rung.real]
    if _unknowns(dataless) or not dataless:
        return True
    on_meta = [outcome for rung, outcome in dataless if rung.name == "meta" and isinstance(outcome, Failure)]
    on_fake = [outcome for rung, outcome in dataless if rung.name == "fake" and isinstance(outcome, Failure)]
    if not on_fake or _agreed_with_gradients(outcomes):
        return False
    first, *with_gradients = on_fake
    agree = any(first.is_same_as(other) for other in on_meta)
    return not agree or not all(first.is_same_place_as(other) for other in with_gradients)


def _agreed_with_gradients(outcomes: list[Outcome]) -> list[Failure]:
    """The errors of a module that differentiates, if it meets the same one on meta and on fake tensors."""
    errors = [o for rung, o in outcomes if rung.gradients and not rung.real and isinstance(o, Failure)]
    return errors if len(errors) > 1 and errors[0].is_same_as(errors[-1]) else []


def _own(outcomes: list[Outcome]) -> Failure | None:
    """The module's own error, if there is one: an error on real tensors, or on all engines without data."""
    real = [outcome for rung, outcome in outcomes if rung.real]
    failures = [outcome for outcome in (real or [outcome for _, outcome in outcomes]) if isinstance(outcome, Failure)]
    if not failures or isinstance(outcomes[-1][1], Unknown) or (not real and _unknowns(outcomes)):
        return None
    failures = failures if real else _agreed_with_gradients(outcomes) or failures
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


def forward_error(module: nn.Module, failure: Failure, arguments: tuple[Any, Any] = ((), {})) -> ForwardError:
    """The module's own error, with its layer, and advice where the cause is known."""
    details = [("in", f"{failure.layer or 'the model itself'} ({type(failure.module).__name__})")]
    seen = ", ".join(map(str, specs_of(tensors_within(*failure.given))))
    if seen:
        details.append(("given", seen))
    details += [("assumed", text) for text in failure.assumed]
    if failure.invents:
        details.append(("fix", "give the tensor, or say its values: TensorSpec((4,), 'int64', values=(5, 3, 2, 2))"))
    else:
        details += advice_on(failure, module, arguments)
    message = f"{type(module).__name__} raised {type(failure.error).__name__}: {first_line(failure.error)}"
    return ForwardError(message, details)
