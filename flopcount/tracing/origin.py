"""Where an exception was raised: this decides whether another engine is tried, never the words of the exception.

What enters is an exception with its traceback; what leaves is a Failure: the layer, the place in the caller's own code
(or in torch's, if the network consists of torch's layers alone), and which code raised it there. An error at the same
place on two engines is the module's own, not the engine's.
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import torch
from torch import nn

from .layout import row_major
from .torch_private import AUTOGRAD, DEVICE_CHECKS, WITHOUT_VALUES, TensorBase, out_of_sight

__all__ = ["Failure", "asks_for_data", "failure_of", "first_line", "lacks_data", "says_that_data_is_missing"]

_OURS = str(Path(__file__).parent)
_TORCHS = str(Path(torch.__file__).parent)


_LAYERS = (str(Path(_TORCHS) / "functional.py"), *(str(Path(_TORCHS) / "nn" / n) for n in ("functional.py", "modules")))
_AUTOGRAD = (
    *(str(Path(_TORCHS) / name) for name in AUTOGRAD),
    str(Path(_OURS) / "torch_private.py"),  # for `blind_transforms`
)
_NO_LAYERS = (str(Path("modules") / "module.py"), str(Path("modules") / "container.py"))
_OF_SHAPES = (RuntimeError, ValueError, IndexError, AssertionError)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of a module on one engine.

    `code` and `line` are the innermost place in the caller's code. `by_caller`: the caller's code raised it, not an
    operator or torch; `by_python`: Python itself raised it (a `raise`, a missing key), not compiled code that it
    called; `by_raise`: a `raise` statement raised it; `by_operator`: an operator of torch raised it. `unpacks`: the
    values that an assignment in Python wanted, if it raised it. `function` and `file` are the place of the error, and
    `assumed` is what the count had assumed until then, and `invents` whether it had read values that it invents.
    """

    error: BaseException
    layer: str
    module: nn.Module
    given: tuple[Any, ...]
    code: CodeType | None
    line: int
    by_caller: bool
    by_python: bool
    by_raise: bool
    by_operator: bool
    unpacks: int
    function: str
    file: str
    assumed: tuple[str, ...] = ()
    invents: bool = False

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {first_line(self.error)}"

    def is_same_place_as(self, other: Failure) -> bool:
        """Whether both occurred in the same line of the same layer."""
        return (self.layer, self.code, self.line) == (other.layer, other.code, other.line)

    @property
    def place(self) -> str:
        """Layer, file, line and the line itself: "encoder.pool (Pool), nets.py:12: n = int(lengths.max())"."""
        layer = f"{self.layer or 'the model itself'} ({type(self.module).__name__})"
        if self.code is None:
            return layer
        file = self.code.co_filename
        text = _statement(file, self.line)
        return f"{layer}, {_short(file)}:{self.line}" + (f": {text}" if text else "")

    @property
    def by_autograd(self) -> bool:
        """Whether torch raised it where it begins to differentiate, as it does for tensors without a gradient."""
        return self.file.startswith(_AUTOGRAD)

    @property
    def refuses_input(self) -> bool:
        """Whether an operator or a layer of torch raised it, with a type that a wrong shape leads to."""
        if not isinstance(self.error, _OF_SHAPES) or isinstance(self.error, NotImplementedError):
            return False
        return self.by_operator or (self.file.startswith(_LAYERS) and not self.file.endswith(_NO_LAYERS))

    def is_same_as(self, other: Failure) -> bool:
        """Whether both are the same error of the module itself, which every engine meets.

        Two errors in the same line are the same if the caller's code or an operator raised them. If compiled code that
        is called there raised them, type and words must be the same too, since it may have read its arguments' data.
        """
        if not self.is_same_place_as(other):
            return False
        if self.by_caller and not self.by_python:
            return _words(self.error) == _words(other.error)
        return True


def failure_of(error: BaseException, layer: str, module: nn.Module, given: tuple[Any, ...]) -> Failure:
    """The origin of an exception that a traced module raised."""
    steps = [step for step in _steps(error.__traceback__) if not _passes_on(step)]
    last = steps[-1] if steps else None
    theirs = [step for step in _before_dispatch(steps) if _is_callers(step)]
    place = theirs[-1] if theirs else next(reversed(_before_dispatch(steps)), None)
    return Failure(
        error,
        layer,
        module,
        given,
        place.tb_frame.f_code if place else None,
        place.tb_lineno if place else 0,
        by_caller=last is not None and _is_callers(last),
        by_python=last is not None and "CALL" not in _stopped_at(last),
        by_raise=last is not None and _stopped_at(last).startswith("RAISE"),
        by_operator=any(step.tb_frame.f_code.co_name == _DISPATCH for step in steps),
        unpacks=_unpacked_by(last) if last is not None else 0,
        function=last.tb_frame.f_code.co_name if last else "",
        file=_file(last) if last else "",
    )


def _statement(file: str, line: int) -> str:
    """A line of code, with those after it while a bracket is open: "if (" alone would say nothing."""
    text = linecache.getline(file, line).strip()
    for more in range(line + 1, line + _LINES):
        if sum(map(text.count, "([{")) <= sum(map(text.count, ")]}")):
            break
        text = f"{text} {linecache.getline(file, more).strip()}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LINES, _LONGEST = 6, 160


def _short(file: str) -> str:
    """A file below the working directory or below a folder of packages as seen from there, else its name alone."""
    path = Path(file)
    packages = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    for folder in (*packages, str(Path.cwd())):
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return path.name


_OF_STORAGE = str(Path(_TORCHS) / "storage.py")
_DISPATCH = "__torch_dispatch__"


def says_that_data_is_missing(error: BaseException) -> bool:
    """Whether the type of an operator's exception says that it needs values, or does not support their absence."""
    return isinstance(error, NotImplementedError) or type(error).__module__.startswith(WITHOUT_VALUES)


def lacks_data(failure: Failure) -> bool:
    """Whether an error means that a tensor has no data: an operator, a storage or compiled code raised it.

    It is unknown what compiled code reads, and all its errors have the same type, that of C++ errors.
    """
    error = failure.error
    if failure.by_caller:
        return isinstance(error, RuntimeError) and not failure.by_python
    if isinstance(error, ValueError) and (_within_torch(failure.file), failure.function) in DEVICE_CHECKS:
        return True
    if says_that_data_is_missing(error):
        return failure.by_operator or failure.file == _OF_STORAGE
    return asks_for_data(error)


def _within_torch(file: str) -> str:
    """The path of a file within torch, with slashes."""
    path = Path(file)
    return path.relative_to(_TORCHS).as_posix() if path.is_relative_to(_TORCHS) else file


def asks_for_data(error: BaseException) -> bool:
    """Whether torch reports, below its operators, that a tensor has no data."""
    return _words(error) in _without_data()


def first_line(error: BaseException) -> str:
    """The first line of an exception's words, if it has any."""
    return next(iter(_words(error)[1].splitlines()), "no message")


def _words(error: BaseException) -> tuple[type, str]:
    try:
        return type(error), str(error).strip()
    except Exception:
        return type(error), ""


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _before_dispatch(steps: list[TracebackType]) -> list[TracebackType]:
    """The steps of the module's forward pass: after those of flopcount, up to the dispatch of an operator."""
    begun = 0
    while begun < len(steps) and _file(steps[begun]).startswith(_OURS):
        begun += 1
    ended = begun
    while ended < len(steps) and steps[ended].tb_frame.f_code.co_name != _DISPATCH:
        ended += 1
    return steps[begun:ended]


def _passes_on(step: TracebackType) -> bool:
    """Whether this is a mode of flopcount's between the caller's code and torch."""
    return step.tb_frame.f_code.co_name == "__torch_function__" and _file(step).startswith(_OURS)


def _is_callers(step: TracebackType) -> bool:
    return not _file(step).startswith((_OURS, _TORCHS))


def _file(step: TracebackType) -> str:
    return step.tb_frame.f_code.co_filename


def _stopped_at(step: TracebackType) -> str:
    """The instruction that raised; if it is a call without a frame of its own, compiled code raised."""
    instruction = _instructions(step.tb_frame.f_code).get(step.tb_lasti)
    return instruction.opname if instruction else ""


def _unpacked_by(step: TracebackType) -> int:
    """How many values the instruction that raised takes apart."""
    instruction = _instructions(step.tb_frame.f_code).get(step.tb_lasti)
    return int(instruction.argval) if instruction and instruction.opname == "UNPACK_SEQUENCE" else 0


@cache
def _instructions(code: CodeType) -> dict[int, dis.Instruction]:
    return {instruction.offset: instruction for instruction in dis.get_instructions(code)}


@cache
def _without_data() -> tuple[tuple[type, str], ...]:
    """The errors that torch itself raises, below Python and its operators, when code reads missing data."""
    tensor = row_major((), torch.float32).empty()
    asks: tuple[Any, ...] = (
        TensorBase.data_ptr,
        TensorBase.item,
    )  # not those of torch.Tensor, which are replaced in a count
    with out_of_sight():
        return tuple(words for ask in asks if (words := _refusal(ask, tensor)) is not None)


def _refusal(ask: Callable[[torch.Tensor], object], tensor: torch.Tensor) -> tuple[type, str] | None:
    try:
        ask(tensor)
    except RuntimeError as error:
        return _words(error)
    return None
