"""One attempt to run a module on one engine, with everything restored afterwards."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import get_ident
from typing import Any, TypeVar

import torch
from torch import nn

from ..core.errors import FlopcountError, InputError
from ..core.memo import calls
from .absent_devices import absent_device_of, autocast_here
from .attribution import ModulePath
from .blocks import BlockMode
from .climbing import Failed
from .ending import Ending
from .engines import Rung, Start
from .guard.distributed import refuse_shards, unsharded
from .guard.exits import leaving
from .guard.held import Held
from .guard.keeper import Keeper
from .guard.preserve import collected, preserved, uncollected
from .guard.threads import TURN, Beside, watched_threads
from .holders import tensors_within
from .invented import ELSEWHERE, fix_random_numbers, is_random_elsewhere
from .mode import RecordingMode
from .origin import failure_of, first_line, lacks_data
from .torch_private import COMPILED_UNDER_HOOKS, DYNAMO, current_dispatch_modes, disable_current_modes
from .uncountable import AbsentDevice, Uncountable, Unknown, are_countable, refuse_tensor
from .walk import Inventory

__all__ = ["attempt", "refuse_uncountable"]

ResultT = TypeVar("ResultT")


def attempt(
    module: nn.Module, path: ModulePath, rung: Rung, body: Callable[[Start], ResultT]
) -> tuple[ResultT, RecordingMode, Ending]:
    """Run `body` on one engine: its result, the recording mode, and what it left in the module.

    Module and process are restored afterwards.

    Raises:
        Failed: the module raised.
        Unknown: the module needs a value or an operator that this engine does not have.
        FlopcountError: the module does something that no engine can count.
    """
    name = type(module).__name__
    owned = path.owned
    keeper = Keeper()
    collection = uncollected() if rung.name == "meta" else collected()
    with TURN, _set_aside(), _uncompiled(), collection:
        everything = (*owned.parameters, *owned.buffers)
        held = Held([part for _, part in owned.modules], everything)
        whole = rung.name == "meta"
        refuse_shards(module, owned, (*everything, *held.tensors), of_parts=True, whole=whole)
        kept = preserved(module, real=rung.real, owned=owned, held=held, watches=False)
        with kept as lazy, path, watched_threads(name) as beside:
            processes = unsharded(owned) if whole else 1
            with _apart(beside.owner):
                begun = rung.start(module, path, calls(torch.get_default_dtype()), keeper)
            fix_random_numbers()  # later than what the engine itself imports
            begun.mode.their_tensors = lambda: [t for t in (*everything, *held.tensors) if id(t) not in owned.lazy]
            begun.mode.has_optimizer = held.has_optimizer
            if processes > 1:
                begun.mode.assume(f"the work of all {processes} processes that share the module counts together")
            beside.on_answer = lambda: begun.mode.suspects(beside.refuse_waiting)
            with _let_go(begun.mode, beside), _undone(keeper, beside.owner), _told(begun.mode, rung, beside):
                with leaving(begun.mode), autocast_here(begun.mode.assume), beside.going_on(begun.mode):
                    result = body(begun)
                    beside.end()
                _raise_what_was_caught(beside.owner)
                doubt = begun.mode.doubt
                if doubt is not None:
                    raise Unknown(f"the module caught {type(doubt).__name__}: {first_line(doubt)}")
                if is_random_elsewhere():
                    begun.mode.assume(ELSEWHERE)
                ending = Ending.of(path, begun.mode.used, lazy, held)
    return result, begun.mode, ending


@contextmanager
def _let_go(mode: RecordingMode, beside: Beside) -> Iterator[None]:
    """Undo circles that hold the module: Python looks for them so seldom that large networks would pile up."""
    try:
        yield
    finally:
        mode.let_go()
        mode.path.let_go()
        beside.on_answer = _nothing


def _nothing() -> None:
    """What is left to do once a run is over."""


@contextmanager
def _undone(keeper: Keeper, thread: int) -> Iterator[None]:
    """Restore all tensors that the run writes to, and the last `Unknown` of an outer count."""
    try:
        with _apart(thread):
            yield
    finally:
        keeper.restore()


@contextmanager
def _apart(thread: int) -> Iterator[None]:
    """Keep what this count does not know apart from an outer count, whose module may catch the error."""
    before = Unknown.last.get(thread)
    Unknown.last[thread] = None
    try:
        yield
    finally:
        Unknown.last[thread] = before


@contextmanager
def _told(mode: RecordingMode, rung: Rung, beside: Beside) -> Iterator[None]:
    """Turn what a user's module raises, SystemExit included, into an error with its place; flopcount's own pass."""
    path, module = mode.path, mode.path.root
    try:
        yield
    except FlopcountError:
        beside.refuse()
        raise
    except Unknown as unknown:
        layer, part, inputs = path.failure or (*_caught_in(unknown, path), ())
        try:
            unknown.place = unknown.place or failure_of(unknown, layer, part, inputs).place
            if isinstance(unknown, AbsentDevice) and not unknown.layer:
                unknown.layer = f"{layer or 'the model itself'} ({type(part).__name__})"
        finally:
            del layer, part, inputs
        beside.refuse()
        raise
    except Uncountable as error:
        raise _uncountable(module, error, path.failure[0] if path.failure else "") from None
    except KeyboardInterrupt:  # from the caller
        raise
    except BaseException as error:
        beside.refuse()
        try:
            _raise_what_was_caught(beside.owner)
        except Uncountable as uncountable:
            raise _uncountable(module, uncountable, "") from None
        layer, part, inputs = path.failure or ("", module, ())
        failure = replace(
            failure_of(error, layer, part, inputs), assumed=mode.assumed, invents=bool(mode.invented.said())
        )
        absent = absent_device_of(failure.file, failure.function)
        try:
            if absent:
                raise AbsentDevice(absent, f"{layer or 'the model itself'} ({type(part).__name__})") from error
            if not rung.real and lacks_data(failure):
                needs_data = Unknown(str(failure))
                needs_data.place, needs_data.by_compiled_code = failure.place, failure.by_caller
                raise needs_data from error
            raise Failed(failure) from error
        finally:
            del failure, layer, part, inputs


def _caught_in(error: Unknown, path: ModulePath) -> tuple[str, nn.Module]:
    """The innermost module whose code an error passed, for one that no module call let out."""
    traceback, layer, part = error.__traceback__, "", path.root
    while traceback is not None:
        owner = traceback.tb_frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and id(owner) in path.names:
            layer, part = path.names[id(owner)], owner
        traceback = traceback.tb_next
    return layer, part


def _raise_what_was_caught(thread: int) -> None:
    """Raise what the engine raised if the module caught it, since the module then goes on with other numbers."""
    caught = Unknown.last.get(thread)
    if caught is not None:
        try:
            raise caught
        finally:
            del caught


def _set_aside() -> Any:
    """Disable the modes of an outer count or block; a caller's own modes stay."""
    outer = any(isinstance(mode, (RecordingMode, BlockMode)) for mode in current_dispatch_modes())
    return disable_current_modes() if outer else nullcontext()


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Run compiled modules uncompiled; Dynamo would trace through this trace itself, and warns of its hooks."""
    if DYNAMO not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=COMPILED_UNDER_HOOKS)
        yield


def refuse_uncountable(module: nn.Module, owned: Inventory, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse tensors that exist before the run: sparse, nested and quantized ones, and shards.

    Raises:
        InputError: there is one.
    """
    tensors: list[Any] = tensors_within(args, kwargs)
    refuse_shards(module, owned, tensors, of_parts=False)
    try:
        with _apart(get_ident()):
            for position, tensor in enumerate(tensors):
                if isinstance(tensor, torch.Tensor):
                    refuse_tensor(tensor, f"input {position}")
            held = [t for t in (*owned.parameters, *owned.buffers) if id(t) not in owned.lazy]
            if not are_countable(held):
                for tensor in held:
                    refuse_tensor(tensor, owned.name_of(tensor))
    except Uncountable as error:
        raise _uncountable(module, error, "") from None


def _uncountable(module: nn.Module, error: Uncountable, where: str) -> InputError:
    place = where or f"the model itself ({type(module).__name__})"
    return InputError(f"{error.what}, which cannot be counted", [("in", place), ("fix", error.fix)])
