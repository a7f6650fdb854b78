"""Anything that can be called -> one nn.Module, so that every other file counts modules and nothing else.

A method of a module becomes a module that shares all attributes of its owner: the same paths, parameters and training
mode, with the method in place of the forward pass. For a function, the modules that it uses become its children by the
names of their variables; those that only a run can find are found by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from inspect import Parameter, signature
from threading import get_ident
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from ..core.errors import InputError
from .attribution import ModulePath
from .guard.preserve import preserved
from .torch_private import disable_current_modes, is_compiled, original_function, script_method_owner, wrapped_module
from .variables import Variables, globals_of, variables_of
from .walk import Inventory, named_modules

__all__ = ["as_module", "with_strangers"]


def as_module(target: Any) -> nn.Module:
    """The module that does what a callable does; a module is itself, a compiled one the module that was compiled.

    Raises:
        InputError: the object cannot be called, or is a class, a name or an exported program.
    """
    if isinstance(target, nn.Module):
        module: nn.Module = target
        while is_compiled(module):
            module = wrapped_module(module)
        return module
    _require_callable(target)
    scripted = script_method_owner(target)
    if scripted is not None:
        return _Function(target, f"{scripted.original_name}.{target.name}", Variables({"module": scripted}))
    owner = _owner_of(target)
    if owner is None:
        return _Function(target, _name_of(target), variables_of(target))
    owner = as_module(owner)
    name = _name_of(target)
    return owner if name is None else _method(owner, target, name)


def _require_callable(target: Any) -> None:
    kind = type(target).__name__
    if isinstance(target, str):
        fix = f"count_model({target!r}) counts a model by its name"
        raise InputError(f"count_flops takes a module or a callable, not the text {target!r}", [("fix", fix)])
    if isinstance(target, type):
        fix = f"make an object of it: count_flops({target.__name__}(...), input)"
        raise InputError(f"count_flops takes a module or a callable, not the class {target.__name__}", [("fix", fix)])
    if kind == "ExportedProgram":
        fix = "count its module: count_flops(program.module(), input)"
        raise InputError("count_flops takes a module or a callable, not an exported program", [("fix", fix)])
    if not callable(target):
        fix = "give a torch.nn.Module, one of its methods, or a function that uses modules"
        raise InputError(f"count_flops takes a module or a callable, not {_article(kind)} {kind}", [("fix", fix)])


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"


def _owner_of(target: Any) -> nn.Module | None:
    """The module whose method a callable is, also where it is wrapped or has some of its arguments."""
    for _ in range(100):  # functions may name themselves as what they wrap
        if isinstance(target, nn.Module):
            return target
        if isinstance(target, MethodType):
            return target.__self__ if isinstance(target.__self__, nn.Module) else None
        if isinstance(target, partial) and isinstance(vars(target).get("__wrapped__"), MethodType):
            target = vars(target)["__wrapped__"]  # a module's method that hooks of a library replace
        elif isinstance(target, partial):
            if target.args and isinstance(target.args[0], nn.Module) and _first_argument(target.func) == "self":
                return target.args[0]
            if variables_of(partial(_nothing, *target.args, **target.keywords)).modules:
                return None  # modules among the arguments are children beside it
            target = target.func
        else:
            wrapped = original_function(target) or getattr(target, "__wrapped__", None)
            if wrapped is None or not isinstance(target, FunctionType):
                return None
            target = wrapped
    return None


def _first_argument(function: Any) -> str:
    """The name of the first argument, "self" for a method before it is bound."""
    names = function.__code__.co_varnames if isinstance(function, FunctionType) else ()
    return names[0] if names else ""


def _nothing(*args: Any, **kwargs: Any) -> None:
    """A function that uses nothing itself."""


def _name_of(target: Any) -> str | None:
    """The name of a callable as users say it; None for the call of a module itself."""
    if isinstance(target, partial):
        wrapped = vars(target).get("__wrapped__")
        return _name_of(wrapped if isinstance(wrapped, MethodType) else target.func)
    if isinstance(target, nn.Module):
        return type(target).__name__
    wrapped = original_function(target) or getattr(target, "__wrapped__", None)
    if isinstance(wrapped, (MethodType, nn.Module, partial)):
        return _name_of(wrapped) if not isinstance(wrapped, nn.Module) else type(wrapped).__name__
    if isinstance(target, MethodType):
        owner = target.__self__
        if isinstance(owner, nn.Module) and target.__func__ is type(owner).__call__:
            return None
        kind = owner.__name__ if isinstance(owner, type) else type(owner).__name__
        return f"{kind}.{_plain(target.__name__)}"
    named = "name" if isinstance(target, torch.jit.ScriptFunction) else "__name__"
    name = getattr(target, named, None) or type(target).__name__
    return _plain(str(name))


def _plain(name: str) -> str:
    return "lambda" if name == "<lambda>" else name


class _Call(nn.Module):
    """Calls a method under torch's global hooks, but without the hooks of its owner, as the caller does."""

    function: Callable[..., Any]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the method."""
        return self.__dict__["function"](*args, **kwargs)


class _Method(nn.Module):
    """A module with all attributes of `owner`, whose call is that of one of its methods."""

    owner: nn.Module
    call: nn.Module
    recipe = None  # that of the owner describes its forward pass
    same_place: tuple[nn.Module, ...] = ()

    def __init__(self) -> None:  # not the one of nn.Module, which makes new attributes
        object.__setattr__(self, "__dict__", self.owner.__dict__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the method."""
        return self.call(*args, **kwargs)

    def train(self, mode: bool = True) -> _Method:
        """Put the owner into training mode, in its own way."""
        self.owner.train(mode)
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.owner, name)


def _method(owner: nn.Module, target: Any, name: str) -> nn.Module:
    call = type(name, (_Call,), {})()
    call.__dict__["function"] = target
    members = {"owner": owner, "call": call, "same_place": (owner, call), "forward": staticmethod(target)}
    kind: type[_Method] = type(name, (_Method,), members)
    return kind()


class _Function(nn.Module):
    """A function whose children are the modules that it uses."""

    def __init__(self, function: Any, name: str | None, variables: Variables) -> None:
        super().__init__()
        self.__class__ = type(name or "function", (_Function,), {"forward": _with_arguments_of(function)})
        self.__dict__["function"] = function
        self._modules.update(variables.modules)
        self._parameters.update(variables.parameters)
        self.__dict__["places"] = [(place, *_home(self, place.parameter)) for place in variables.places]
        inner = _innermost(function)
        self.__dict__["globals"] = (inner, globals_of(inner)) if isinstance(inner, FunctionType) else None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the function; global variables that it sets are as before, and the rest others restore."""
        before = self._globals()
        try:
            for place, table, name in self.__dict__["places"]:
                if table[name] is not place.parameter:
                    place.put(table[name])  # an engine's own parameter, as in the modules
            return self.__dict__["function"](*args, **kwargs)
        finally:
            for table, name, value in before:
                if table.get(name) is not value:
                    table[name] = value

    def _globals(self) -> list[tuple[dict[str, Any], str, Any]]:
        if self.__dict__["globals"] is None:
            return []
        function, names = self.__dict__["globals"]
        table = function.__globals__
        return [(table, name, table[name]) for name in names if name in table]


def _with_arguments_of(function: Any) -> Callable[..., Any]:
    """A forward pass that says that it takes what the function takes."""

    def forward(self: _Function, *args: Any, **kwargs: Any) -> Any:
        return _Function.forward(self, *args, **kwargs)

    with suppress(TypeError, ValueError):  # functions in C may not say it
        takes = signature(function)
        own = Parameter("_module", Parameter.POSITIONAL_ONLY)
        vars(forward)["__signature__"] = takes.replace(parameters=[own, *takes.parameters.values()])
    return forward


def _home(root: nn.Module, parameter: nn.Parameter) -> tuple[dict[str, Any], str]:
    """The table and the name of a parameter in the modules of a function."""
    for _, part in named_modules(root):
        for name, other in part._parameters.items():
            if other is parameter:
                return part._parameters, name
    return {"": parameter}, ""


def _innermost(function: Any) -> Any:
    """The function of a method, of bound arguments or of a wrapper."""
    for _ in range(100):
        inner = original_function(function) or getattr(function, "__wrapped__", None)
        if isinstance(function, partial):
            inner = function.func
        elif isinstance(function, MethodType):
            inner = function.__func__
        if inner is None:
            return function
        function = inner
    return function


def with_strangers(target: Any, run: Callable[..., object]) -> nn.Module:
    """The same as `as_module`, with the modules that only a run of a function can find among its children.

    `run` runs the module without arithmetic; it is called for functions alone, with a `watch` as of `trace`. A module
    that the function builds anew in each run stays its own business.
    """
    module = as_module(target)
    if not isinstance(module, _Function) or module is target:
        return module
    strangers: list[nn.Module] = []
    run(module, watch=partial(_finding, strangers))
    if strangers:
        for stranger in strangers:
            _adopt(module, stranger)
        ran: set[int] = set()
        run(module, watch=partial(_meeting, ran))
        for name, child in [*module._modules.items()]:
            if any(child is stranger for stranger in strangers) and id(child) not in ran:
                del module._modules[name]
    return module


def _adopt(module: nn.Module, stranger: nn.Module) -> None:
    name, number = type(stranger).__name__, 1
    while name in module._modules:
        number += 1
        name = f"{type(stranger).__name__}_{number}"
    module._modules[name] = stranger


@contextmanager
def _finding(strangers: list[nn.Module], path: ModulePath, inputs: Any) -> Iterator[None]:
    """Note each module that runs and belongs to no other one; it is as before at the end of the run."""
    known = {*path.names}
    thread = get_ident()
    with ExitStack() as kept:

        def meet(module: nn.Module, args: Any) -> None:
            if id(module) in known or get_ident() != thread:
                return
            owned = Inventory.of(module)
            known.update(id(part) for _, part in owned.modules)
            if not any(module is stranger for stranger in strangers):
                strangers.append(module)
            if not any(t.is_inference() for t in owned.parameters if id(t) not in owned.lazy):
                with disable_current_modes():
                    kept.enter_context(preserved(module, real=False, owned=owned))

        hook = register_module_forward_pre_hook(meet)
        try:
            yield
        finally:
            hook.remove()
            with disable_current_modes(), torch.inference_mode(False):
                kept.close()


@contextmanager
def _meeting(ran: set[int], path: ModulePath, inputs: Any) -> Iterator[None]:
    """Note which modules run."""
    hook = register_module_forward_pre_hook(lambda module, args: ran.add(id(module)))
    try:
        yield
    finally:
        hook.remove()
